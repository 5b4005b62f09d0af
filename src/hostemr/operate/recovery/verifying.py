"""Whether the restored pair is what it should be. What cannot be verified is said, never passed over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from hostemr.operate.aws import error_code
from hostemr.operate.recovery.files_task import counted
from hostemr.operate.recovery.journal import Journal
from hostemr.operate.recovery.site import cluster_of, mount_targets

_PATIENTS = {"openemr": "patient_data", "openmrs": "patient"}
"""The table with one row for each patient."""


@dataclass(frozen=True, slots=True)
class Check:
    """A question and its answer; None where it could not be asked."""

    question: str
    good: bool | None
    detail: str

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        answer = {True: "yes", False: "no", None: "not verified"}[self.good]
        return {"question": self.question, "answer": answer, "detail": self.detail}


def verify(journal: Journal) -> tuple[Check, ...]:
    """Look at the new pair and compare it with the old. Changes nothing."""
    return (*_database(journal), *_rows(journal), *_files(journal), _times(journal))


def _database(journal: Journal) -> Iterator[Check]:
    aws = journal.site.aws
    new, old = cluster_of(aws, journal.new.cluster), cluster_of(aws, journal.old.cluster)
    yield Check("the cluster is available", new["Status"] == "available", new["Status"])
    writer = aws.client("rds").describe_db_instances(DBInstanceIdentifier=journal.new.writer)["DBInstances"][0]
    state = writer["DBInstanceStatus"]
    yield Check("the writer runs", state == "available", f"{journal.new.writer}: {state}")
    same_key = bool(new.get("StorageEncrypted")) and new.get("KmsKeyId") == old.get("KmsKeyId")
    yield Check("the database is encrypted with the deployment's key", same_key, str(new.get("KmsKeyId")))
    yield Check("it refuses to be deleted", bool(new.get("DeletionProtection")), "deletion protection")
    for what, member in (
        ("engine version", "EngineVersion"),
        ("parameter group", "DBClusterParameterGroup"),
        ("subnet group", "DBSubnetGroup"),
        ("days of continuous backup", "BackupRetentionPeriod"),
    ):
        detail = f"{new.get(member)}" + ("" if new.get(member) == old.get(member) else f", the old: {old.get(member)}")
        yield Check(f"it has the old one's {what}", new.get(member) == old.get(member), detail)
    groups = [{one["VpcSecurityGroupId"] for one in cluster["VpcSecurityGroups"]} for cluster in (new, old)]
    yield Check("it has the old one's security groups", groups[0] == groups[1], ", ".join(sorted(groups[0])))
    managed = (new.get("MasterUserSecret") or {}).get("SecretStatus", "no secret")
    yield Check("RDS manages the master's credential", managed == "active", managed)


def _rows(journal: Journal) -> Iterator[Check]:
    aws, name = journal.site.aws, journal.site.application.name
    question = "the database holds an installation and patients"
    clusters = [cluster_of(aws, pair.cluster) for pair in (journal.new, journal.old)]
    if not clusters[0].get("HttpEndpointEnabled"):
        how = "enable_data_api is off; the set-up task looks into the database at the cut-over, and refuses half a pair"
        yield Check(question, None, how)
        return
    statements = {
        "state": "SELECT state FROM hostemr.setup LIMIT 1",
        # The names of schema and table are the application's own record, not anyone's input.
        "patients": f"SELECT COUNT(*) FROM {journal.site.application.database}.{_PATIENTS[name]}",  # noqa: S608
    }
    try:
        found = {what: _asked(aws, clusters[0], sql) for what, sql in statements.items()}
    except ClientError as error:
        # A table that is not there is an answer: nothing was ever installed in this database.
        missing = any(one in str(error) for one in ("doesn't exist", "Unknown database"))
        yield Check(question, False if missing else None, f"the Data API answers {error_code(error)}")
        return
    try:
        before = str(_asked(aws, clusters[1], statements["patients"]))
    except ClientError:
        before = "unknown, it may be what the restore is for"
    detail = f"state {found['state']}, {found['patients']} patients (the old pair: {before})"
    # A clinic that has no patient yet has none in its backup either.
    patients = int(found["patients"] or 0) > 0 or before == "0"
    yield Check(question, found["state"] == "installed" and patients, detail)


def _asked(aws: Any, cluster: dict[str, Any], sql: str) -> Any:
    answer = aws.client("rds-data").execute_statement(
        resourceArn=cluster["DBClusterArn"], secretArn=cluster["MasterUserSecret"]["SecretArn"], sql=sql
    )
    records = answer.get("records") or [[{"isNull": True}]]
    value = next(iter(records[0][0].items()))
    return None if value[0] == "isNull" else value[1]


def _files(journal: Journal) -> Iterator[Check]:
    aws = journal.site.aws
    efs = aws.client("efs")
    new = efs.describe_file_systems(FileSystemId=journal.new.file_system)["FileSystems"][0]
    old = efs.describe_file_systems(FileSystemId=journal.old.file_system)["FileSystems"][0]
    encrypted = bool(new.get("Encrypted")) and new.get("KmsKeyId") == old.get("KmsKeyId")
    yield Check("the files are encrypted with the deployment's key", encrypted, str(new.get("KmsKeyId")))
    zones = [{one["SubnetId"] for one in mount_targets(aws, pair.file_system)} for pair in (journal.new, journal.old)]
    yield Check("they can be mounted in the same subnets", zones[0] == zones[1], ", ".join(sorted(zones[0])))
    points = [
        efs.describe_access_points(AccessPointId=pair.access_point)["AccessPoints"][0]["RootDirectory"]
        for pair in (journal.new, journal.old)
    ]
    yield Check("the access point leads to the same directory", points[0] == points[1], str(points[0].get("Path")))
    count = counted(journal)
    question = "there are files, with the keys that the database needs"
    if count is None:
        yield Check(question, None, "the log of the task that counts them did not arrive")
        return
    size = journal.data.get("files_size", 0)
    stored = f"the backup's {size / 1024:.0f} KiB" if size else "the backup's size is unknown"
    detail = f"{count.files} files, {count.kib} KiB on disk ({stored})"
    if count.missing:
        detail += f"; missing: {', '.join(count.missing)}"
    yield Check(question, count.files > 0 and not count.missing, detail)


def _times(journal: Journal) -> Check:
    moment = datetime.fromisoformat(journal.data["moment"])
    files = datetime.fromisoformat(journal.data["files_point"]["created"])
    gap = round((moment - files).total_seconds())
    words = {0: "the same moment"}.get(gap, f"the database is {abs(gap)} s {'newer' if gap > 0 else 'older'}")
    # An operator asked for it, having been told; a smaller gap is not to be had.
    return Check("database and files are of one time", True if gap == 0 else None, words)
