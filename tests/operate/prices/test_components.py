"""A bill by its parts, and bills beside each other."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hostemr.operate.price import SERVER, Line, price
from hostemr.operate.prices.components import by_component, component, what_if
from hostemr.operate.prices.rows.all import TABLE
from hostemr.operate.prices.table import Price
from tests.operate.prices.samples import express_plus, fargate


def _line(key: str, kind: str = "AWS::X::Y") -> Line:
    row = TABLE.price(key, "us-east-1") or Price(
        key=key, dollars=Decimal(1), unit="hour", as_of=date(2026, 1, 1), source="https://a", basis="looked up"
    )
    return Line(
        template="t", resource="r", type=kind, what="w", quantity=Decimal(1), price=row, group=SERVER, assumption=None
    )


def test_every_price_of_the_table_belongs_to_a_part() -> None:
    parts = {key: component(_line(key)) for key in TABLE.keys}
    assert parts["aurora.backup"] == parts["backup.cold"] == "backups"
    assert parts["aurora.acu"] == parts["rds.db.t4g.small"] == "database"
    assert parts["efs.standard"] == "files"
    assert parts["secret"] == parts["kms.key"] == "keys and secrets"


def test_what_a_restore_test_keeps_belongs_to_backups() -> None:
    assert component(_line("efs.standard", "AWS::Backup::RestoreTestingSelection")) == "backups"


def test_the_parts_add_up_to_the_bill() -> None:
    bill = price({"t": fargate(cpu=1024, memory=2048, keys=1, database=True)})
    parts = by_component(bill)
    assert [part.name for part in parts] == [
        "containers", "database", "session cache", "network", "firewall", "keys and secrets",
    ]  # fmt: skip
    assert sum(part.monthly for part in parts) == bill.total()
    assert all(part.meaning and part.lines for part in parts)


def test_bills_are_compared_part_by_part() -> None:
    bills = {"one server": price({"t": express_plus()}), "containers": price({"t": fargate(
        cpu=1024, memory=2048, keys=1, database=True
    )})}  # fmt: skip
    compared = what_if(bills)
    assert compared["columns"] == ["one server", "containers"]
    assert compared["totals"] == [str(bill.total()) for bill in bills.values()]
    rows = {row["component"]: row["monthly"] for row in compared["rows"]}
    assert rows["server"][1] is None
    assert rows["database"][0] is None
    assert compared["not_priced"] == [0, 0]
    for column, total in enumerate(compared["totals"]):
        assert sum(Decimal(row[column]) for row in rows.values() if row[column]) == Decimal(total)
