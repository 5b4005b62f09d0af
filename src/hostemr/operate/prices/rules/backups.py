"""Backups once a plan has run for as long as it keeps them, and the tests that restore them.

What AWS Backup keeps follows from the plan's own rules: how often each takes a recovery point, how long it keeps it and
when it moves it to cold storage. Databases, file systems and buckets are kept and charged in different ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hostemr.operate.prices.evaluation import Unknown
from hostemr.operate.prices.rules.schedules import times_a_month
from hostemr.operate.prices.sheet import HOURS, Charge, NotPriced, Resource, Sheet, items, number
from hostemr.operate.references import references

DAYS = Decimal(365) / 12
"""Days of a month."""
CLUSTER, FILES, BUCKET = "AWS::RDS::DBCluster", "AWS::EFS::FileSystem", "AWS::S3::Bucket"
INSTANCE = "AWS::RDS::DBInstance"
_CENT = Decimal("0.01")
_DEFAULT_PLAN_DAYS = 35
"""What EFS's automatic backups keep: daily for 35 days (EFS User Guide, "Using AWS Backup")."""
_OWN_RETENTION = 1
"""Days of continuous backups that a cluster has where nothing else is set (Aurora User Guide)."""
_SIZES = {
    CLUSTER: "database_storage_gb",
    INSTANCE: "database_storage_gb",
    FILES: "files_storage_gb",
    BUCKET: "bucket_storage_gb",
}
_DATABASE_CHANGE = "database_daily_change_percent"
_CHANGES = {CLUSTER: _DATABASE_CHANGE, INSTANCE: _DATABASE_CHANGE, FILES: "files_daily_change_percent"}


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule of a plan: recovery points a month, days to cold storage and to deletion, and whether it copies."""

    monthly: Decimal
    keep: Decimal
    warm: Decimal
    copies: int

    def points(self, since: Decimal) -> Decimal:
        """How many of its recovery points are older than `since` days."""
        return self.monthly / DAYS * max(Decimal(0), self.keep - since)


def plan(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::Backup::BackupPlan: what it keeps of each resource that a selection of the template names.

    AWS's words for the figures: Aurora User Guide, "Understanding Amazon Aurora backup storage usage" (snapshots are
    whole, and free while they are younger than the cluster's own retention); AWS Backup Developer Guide, "Creating
    backups" (those of file systems and buckets are incremental). Aurora's stay warm whatever a rule says.
    """
    rules = [_rule(one) for one in items(resource.get("BackupPlan", "BackupPlanRule"), "BackupPlanRule")]
    chosen, reasons = _selected(resource, sheet)
    for one in chosen:
        if one.type == CLUSTER:
            yield from _of_cluster(one, sheet, rules)
        elif one.type == INSTANCE:
            yield from _of_instance(one, sheet, rules)
        elif one.type == FILES:
            yield from _of_files(one, sheet, rules)
        elif one.type == BUCKET:
            yield from _of_bucket(one, sheet, rules)
        else:
            reasons.append(f"backups of {one.name}: those of {one.type} are not in the table")
        yield from _copies(one, sheet, rules)
    if reasons or not chosen:
        raise NotPriced("; ".join(reasons) or "nothing in this template says what it backs up")


def automatic(files: Resource, sheet: Sheet) -> Iterator[Charge]:
    """The backups of a file system whose BackupPolicy is on: AWS's own plan."""
    gigabytes = _grown(files, sheet, Decimal(_DEFAULT_PLAN_DAYS))
    yield _kept("automatic backups for 35 days", "backup.warm", gigabytes, files)


def continuous(cluster: Resource, sheet: Sheet) -> Iterator[Charge]:
    """A cluster's own backups: every change within its retention, beyond an amount of its size, which is free."""
    days = cluster.number("BackupRetentionPeriod", default=_OWN_RETENTION)
    size, changes = _size(cluster, sheet), _change(cluster, sheet)
    if days > _OWN_RETENTION:
        gigabytes = size * min(changes * days, days - 1)
        yield _kept(f"continuous backups of {days} days", "aurora.backup", gigabytes, cluster)


def restore_tests(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::Backup::RestoreTestingSelection: each test, and what it restores for as long as it is looked at."""
    plans = [
        one
        for one in sheet.of_type("AWS::Backup::RestoreTestingPlan")
        if one.properties.get("RestoreTestingPlanName") == resource.properties.get("RestoreTestingPlanName")
        or one.name == resource.target("RestoreTestingPlanName")
    ]
    if not plans:
        raise NotPriced("its plan is not in this template")
    tests = times_a_month(plans[0].get("ScheduleExpression"))
    hours = resource.number("ValidationWindowHours", default=1)
    protected = list(_targets(resource.written.get("ProtectedResourceArns"), sheet))
    if not protected:
        raise NotPriced("how many recovery points it tests shows only when it runs")
    for one in protected:
        yield Charge(f"tests of {one.name}", "backup.tested", tests)
        size, name = _size(one, sheet), _SIZES.get(one.type)
        if one.type == FILES:
            yield Charge(f"restored of {one.name}", "backup.restored", _rounded(size * tests), name)
        if one.type == INSTANCE:
            yield from _restored_instance(one, tests * hours, hours)
        key = {CLUSTER: "aurora.storage", FILES: "efs.standard", BUCKET: "s3.standard"}.get(one.type)
        if key is not None:
            held = _rounded(size * tests * hours / HOURS)
            yield Charge(f"restored copy of {one.name}, {hours} h each", key, held, name)


def _restored_instance(one: Resource, all_hours: Decimal, hours: Decimal) -> Iterator[Charge]:
    """A restored instance, in one zone, for as long as its tests last."""
    kind, disk = one.get("DBInstanceClass"), one.get("StorageType", default="gp2")
    what = f"restored copy of {one.name}, {hours} h each"
    yield Charge(f"{what}: {kind}", f"rds.{kind}", all_hours)
    yield Charge(f"{what}: storage", f"rds.{disk}", _rounded(one.number("AllocatedStorage") * all_hours / HOURS))


def _rule(written: Any) -> _Rule:
    if not isinstance(written, Mapping):
        raise NotPriced("a rule is not of the form that its type has")
    if isinstance(written.get("ScheduleExpression"), Unknown):
        raise NotPriced(f"ScheduleExpression: {written['ScheduleExpression'].reason}")
    lifecycle = written.get("Lifecycle")
    lifecycle = lifecycle if isinstance(lifecycle, Mapping) else {}
    if "DeleteAfterDays" not in lifecycle:
        raise NotPriced(f"rule {written.get('RuleName')} deletes nothing, so what it keeps grows without end")
    keep = number(lifecycle["DeleteAfterDays"], "DeleteAfterDays")
    warm = min(keep, number(lifecycle.get("MoveToColdStorageAfterDays", keep), "MoveToColdStorageAfterDays"))
    # Without a schedule AWS Backup takes one a day (API Reference, BackupRuleInput).
    monthly = times_a_month(written.get("ScheduleExpression") or "cron(0 5 * * ? *)")
    return _Rule(monthly, keep, warm, len(items(written.get("CopyActions"), "CopyActions")))


def _selected(resource: Resource, sheet: Sheet) -> tuple[list[Resource], list[str]]:
    """What the template's selections name for a plan, and why some of it cannot be told."""
    chosen: list[Resource] = []
    reasons = []
    for one in sheet.of_type("AWS::Backup::BackupSelection"):
        if one.target("BackupPlanId") != resource.name:
            continue
        written = one.written.get("BackupSelection")
        written = written if isinstance(written, Mapping) else {}
        chosen += _targets(written.get("Resources"), sheet)
        if any(written.get(name) for name in ("ListOfTags", "Conditions")):
            reasons.append(f"{one.name} chooses by tags: what has them shows only when it runs")
    return chosen, reasons


def _targets(written: Any, sheet: Sheet) -> Iterator[Resource]:
    names = dict.fromkeys(one.target for one in references(written))
    return (sheet.resources[name] for name in names if name in sheet.resources)


def _of_cluster(one: Resource, sheet: Sheet, rules: list[_Rule]) -> Iterator[Charge]:
    own = one.number("BackupRetentionPeriod", default=_OWN_RETENTION)
    snapshots = sum((rule.points(own) for rule in rules), Decimal(0))
    what = f"{snapshots:.0f} snapshots of {one.name} older than {own} days"
    yield _kept(what, "aurora.backup", _size(one, sheet) * snapshots, one)


def beyond_size(one: Resource, sheet: Sheet, days: Decimal) -> Decimal:
    """GB that backups of so many days of a MySQL instance hold beyond the size of its storage.

    Up to that they are free (RDS pricing). They are incremental (RDS User Guide, "Backup storage").
    """
    size = one.number("AllocatedStorage")
    used = min(_size(one, sheet), size)
    return max(Decimal(0), used * (1 + _change(one, sheet) * days) - size)


def _of_instance(one: Resource, sheet: Sheet, rules: list[_Rule]) -> Iterator[Charge]:
    """What a plan keeps longer than the instance keeps its own backups, and beyond what is free."""
    own, longest = one.number("BackupRetentionPeriod", default=1), max(rule.keep for rule in rules)
    more = beyond_size(one, sheet, max(own, longest)) - beyond_size(one, sheet, own)
    yield _kept(f"snapshots of {one.name} of up to {longest} days, beyond its size", "rds.backup", more, one)


def _of_files(one: Resource, sheet: Sheet, rules: list[_Rule]) -> Iterator[Charge]:
    yield _kept(f"warm backups of {one.name}", "backup.warm", _grown(one, sheet, max(r.warm for r in rules)), one)
    cold = [rule for rule in rules if rule.keep > rule.warm]
    if cold:
        days = max(rule.keep - rule.warm for rule in cold)
        most = sum((rule.points(rule.warm) for rule in cold), Decimal(0)) * _size(one, sheet)
        yield _kept(f"cold backups of {one.name}", "backup.cold", min(_grown(one, sheet, days), most), one)


def _of_bucket(one: Resource, sheet: Sheet, rules: list[_Rule]) -> Iterator[Charge]:
    """All warm: the table has no price for buckets' backups in a colder tier."""
    yield _kept(f"backups of {one.name}", "backup.bucket", _grown(one, sheet, max(r.keep for r in rules)), one)


def _copies(one: Resource, sheet: Sheet, rules: list[_Rule]) -> Iterator[Charge]:
    """Copies in other vaults, at this region's prices: a cluster's are whole and all charged, others incremental."""
    copied = [rule for rule in rules if rule.copies]
    if not copied or one.type not in _SIZES:
        return
    size = _size(one, sheet)
    if one.type == CLUSTER:
        snapshots = sum((rule.points(Decimal(0)) * rule.copies for rule in copied), Decimal(0))
        yield _kept(f"{snapshots:.0f} copied snapshots of {one.name}", "aurora.backup", size * snapshots, one)
        sent = size * sum((rule.monthly * rule.copies for rule in copied), Decimal(0))
    elif one.type == INSTANCE:
        copies = max(rule.copies for rule in copied)
        kept = _grown(one, sheet, max(rule.keep for rule in copied)) * copies
        yield _kept(f"copied snapshots of {one.name}", "rds.backup", kept, one)
        sent = size * _change(one, sheet) * DAYS * copies
    else:
        copies = max(rule.copies for rule in copied)
        for charge in _of_files(one, sheet, copied) if one.type == FILES else _of_bucket(one, sheet, copied):
            yield Charge(f"copies of {charge.what}", charge.key, charge.quantity * copies, charge.assumption)
        sent = size * _change(one, sheet) * DAYS * copies
    yield _kept(f"copies of {one.name} sent to another region", "traffic.region", sent, one)


def _grown(one: Resource, sheet: Sheet, days: Decimal) -> Decimal:
    """What incremental backups hold: all of it once, and what changed in so many days, each change for itself."""
    return _size(one, sheet) * (1 + _change(one, sheet) * days)


def _size(one: Resource, sheet: Sheet) -> Decimal:
    name = _SIZES.get(one.type)
    return Decimal(0) if name is None else sheet.usage.amount(name, one.name)


def _change(one: Resource, sheet: Sheet) -> Decimal:
    """Share of its size that changes in a day."""
    return sheet.usage.amount(_CHANGES.get(one.type, "files_daily_change_percent"), one.name) / 100


def _kept(what: str, key: str, gigabytes: Decimal, one: Resource) -> Charge:
    change = _CHANGES.get(one.type, "files_daily_change_percent")
    return Charge(what, key, _rounded(gigabytes), f"{_SIZES[one.type]}, {change}")


def _rounded(gigabytes: Decimal) -> Decimal:
    # The quantity is shown beside its price, so both are of the same figure.
    return gigabytes.quantize(_CENT)
