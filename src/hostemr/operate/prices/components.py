"""A bill by the parts that a clinic knows, and several bills beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hostemr.operate.price import Bill, Line

_PARTS = {
    "server": ("the machine and its disks", ("ec2.", "ebs.")),
    "containers": ("what runs the application, and small functions", ("fargate.", "lambda.", "ecr.")),
    "database": ("its instances, data and logs", ("aurora.", "rds.")),
    "session cache": ("who is signed in", ("cache.",)),
    "network": (
        "load balancer, gateways, addresses, traffic, names",
        ("alb.", "clb.", "nat.", "ipv4", "endpoint.", "traffic.", "accelerator.", "route53."),
    ),
    "firewall": ("the web application firewall", ("waf.",)),
    "files": ("file systems and buckets", ("efs.", "s3.")),
    "backups": ("what is kept of database and files, and tests that restore it", ("backup.",)),
    "keys and secrets": ("encryption keys and passwords", ("kms.", "secret")),
    "monitoring": ("logs, alarms, the audit trail, notices", ("cloudwatch.", "logs.", "trail.", "sns.email")),
    "mail": ("what SES sends and receives, and its reports", ("ses.", "sns.published", "sns.https", "sqs.")),
}
"""By name: what it is, and what its prices' keys begin with. Every key of the table belongs to one."""
_BACKUPS = ("aurora.backup", "rds.backup")
"""Keys that belong to backups, whatever they begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One part of a bill."""

    name: str
    meaning: str
    lines: tuple[Line, ...]

    @property
    def monthly(self) -> Decimal:
        """Dollars a month."""
        return sum((line.monthly for line in self.lines), Decimal(0))


def component(line: Line) -> str:
    """The name of the part that a line belongs to. Raises ValueError for a price of none."""
    key = line.price.key
    if key in _BACKUPS or line.type.startswith("AWS::Backup::"):
        return "backups"
    for name, (_, beginnings) in _PARTS.items():
        if key.startswith(beginnings):
            return name
    raise ValueError(f"{key} belongs to no component")


def by_component(bill: Bill) -> tuple[Component, ...]:
    """The bill's lines by part, those that have any, in an order from what runs to what watches."""
    found: dict[str, list[Line]] = {name: [] for name in _PARTS}
    for line in bill.lines:
        found[component(line)].append(line)
    return tuple(
        Component(name=name, meaning=_PARTS[name][0], lines=tuple(lines)) for name, lines in found.items() if lines
    )


def what_if(bills: Mapping[str, Bill]) -> dict[str, Any]:
    """Bills beside each other: parts down, bills across, as JSON's types; amounts are texts, None where a part is not.

    `columns` are the names of the bills, `rows` have a text for each in the same order, and so have `totals` and
    `not_priced`, which counts what no bill can tell.
    """
    parts = [{part.name: part for part in by_component(bill)} for bill in bills.values()]
    rows = []
    for name, (meaning, _) in _PARTS.items():
        if any(name in one for one in parts):
            monthly = [str(one[name].monthly) if name in one else None for one in parts]
            rows.append({"component": name, "meaning": meaning, "monthly": monthly})
    return {
        "currency": "USD",
        "columns": list(bills),
        "rows": rows,
        "totals": [str(bill.total()) for bill in bills.values()],
        "not_priced": [len(bill.not_priced) for bill in bills.values()],
    }
