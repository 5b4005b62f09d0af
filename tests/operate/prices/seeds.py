"""The tables of costs in the two seeds' READMEs, line by line, and which lines of a bill each of them is.

host-openemr-on-aws-fargate and host-openmrs-on-aws-fargate, section "Cost": "This works out to a base cost of".
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hostemr.operate.price import Bill, Line


@dataclass(frozen=True)
class SeedLine:
    """One line of a table: what it says, in dollars an hour or a month, and the prices and resources that it counts."""

    what: str
    monthly: str
    keys: tuple[str, ...]
    hourly: str | None = None
    resources: tuple[str, ...] | None = None
    """What the names of the resources begin with, where the deployment has more of the kind than the table."""

    def lines(self, bill: Bill) -> list[Line]:
        found = [line for line in bill.lines if line.price.key in self.keys]
        if self.resources is None:
            return found
        return [line for line in found if line.resource.startswith(self.resources)]


_FARGATE = ("fargate.arm.vcpu", "fargate.arm.memory")
_BALANCER = SeedLine("1 Application Load Balancer", "16.42", ("alb.hour",), "0.0225")
_GATEWAYS = SeedLine("2 NAT Gateways", "65.70", ("nat.hour",), "0.09")
_SECRETS = SeedLine(
    "2 Secrets Manager Secrets", "0.80", ("secret",), resources=("CredentialsAdmin", "CredentialsDatab")
)
_FIREWALL = SeedLine("1 WAF ACL", "5.00", ("waf.acl",))

OPENEMR = (
    SeedLine("Aurora Serverless v2", "87.60", ("aurora.acu",), "0.12"),
    SeedLine("AWS Fargate", "57.67", _FARGATE, "0.079"),
    _BALANCER,
    _GATEWAYS,
    SeedLine("Elasticache Serverless", "6.13", ("cache.valkey.storage",), "0.0084"),
    _SECRETS,
    _FIREWALL,
)
OPENMRS = (
    SeedLine("AWS Fargate", "115.34", _FARGATE, "0.158"),
    _BALANCER,
    _GATEWAYS,
    _SECRETS,
    _FIREWALL,
    SeedLine("1 KMS Key", "1.00", ("kms.key",), resources=("KeysData",)),
)
TABLES = {"openemr": (OPENEMR, Decimal("239.32")), "openmrs": (OPENMRS, Decimal("204.26"))}
"""By application: the lines, and the sum that the README gives."""
