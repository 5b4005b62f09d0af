"""The end of a restore: keeping what serves, and deleting what a restore made and nothing uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from hostemr.errors import RefusedError
from hostemr.operate.aws import error_code, pages
from hostemr.operate.aws_errors import NO_STACK
from hostemr.operate.recovery.journal import ABANDONING, BUILDING, BUILT, RETURNED, SERVING, VERIFIED, Journal
from hostemr.operate.recovery.patience import MINUTE, Patience
from hostemr.operate.recovery.site import dissect, mount_targets
from hostemr.operate.recovery.stack_updates import template_of

_GONE = {"DBClusterNotFoundFault", "DBInstanceNotFound", "DBInstanceNotFoundFault", "FileSystemNotFound"}
_GONE |= {"MountTargetNotFound", "AccessPointNotFound", "DBClusterNotFound"}
_BUSY = {"creating", "modifying", "backing-up", "resetting-master-credentials", "upgrading", "maintenance"}
HOUR = 60 * MINUTE


def abandon(journal: Journal, template: Mapping[str, Any], patience: Patience) -> None:
    """Delete what a restore made, which must never have served. `template` is the data stack's.

    After a cut-over people may have entered what is nowhere else, so then it raises RefusedError.
    """
    may_abandon(journal)
    # First, so that a cut-over that somebody else begins at this moment stops, or this does.
    before = journal.phase
    journal.write(phase=ABANDONING)
    try:
        _not_in_service(journal, template)
    except RefusedError:
        journal.write(phase=before)
        raise
    _delete_files(journal, patience)
    _delete_database(journal, patience)
    journal.forget()


def may_abandon(journal: Journal) -> None:
    """Raises RefusedError where the restored pair serves, or served."""
    if journal.phase not in {BUILDING, BUILT, VERIFIED, ABANDONING}:
        raise RefusedError(
            f"The restored pair serves or has served ({journal.phase}): it may hold what people entered.",
            hint="`hostemr restore close` ends the restore and keeps both pairs; delete by hand what is not needed",
        )


def close(journal: Journal) -> dict[str, Any]:
    """End a restore whose pair serves, or served; deletes nothing. Answers the pair that is left over.

    Raises RefusedError while it is under way.
    """
    if journal.phase not in {SERVING, RETURNED}:
        raise RefusedError(
            f"The restore is not at its end: {journal.phase}.", hint="`hostemr restore abandon` gives it up"
        )
    left = journal.old if journal.phase == SERVING else journal.new
    journal.claim()
    journal.forget()
    return left.as_json()


def _not_in_service(journal: Journal, template: Mapping[str, Any]) -> None:
    """The journal may be wrong; the stacks are asked, and what the tasks are given."""
    _, serving = dissect(journal.site, template)
    made = _names(journal)
    used = {serving.cluster, serving.writer, serving.file_system, serving.access_point}
    try:
        text = json.dumps(template_of(journal.site.aws, journal.site.service_stack))
    except ClientError as error:
        if not NO_STACK.search(str(error)):
            raise
        text = ""
    for one in sorted(made):
        # In a cut-over the service has the ids as literals before the data stack takes them in.
        if one in used or f'"{one}"' in text:
            raise RefusedError(f"{one} serves: it is the deployment's own.")


def _names(journal: Journal) -> set[str]:
    """What would be deleted, by the journal."""
    cluster = journal.data["cluster_name"]
    parts = (journal.part(one) for one in ("cluster", "writer", "file_system", "access_point"))
    return {cluster, f"{cluster}-1", *(one for one in parts if one)}


def _delete_files(journal: Journal, patience: Patience) -> None:
    aws = journal.site.aws
    backup, efs = aws.client("backup"), aws.client("efs")
    if not journal.part("file_system"):
        # Asked for and not noted, where a run was killed in between: so AWS Backup is asked, not the journal.
        since = datetime.fromisoformat(journal.data["began"]) - timedelta(days=1)

        def over() -> bool | None:
            jobs = pages(
                backup.list_restore_jobs, "RestoreJobs", "NextToken", ByResourceType="EFS", ByCreatedAfter=since
            )
            under_way = (
                job
                for job in jobs
                if job["RecoveryPointArn"] == journal.data["files_point"]["arn"]
                and job["Status"] in {"PENDING", "RUNNING"}
            )
            return next(under_way, None) is None or None

        # A restore cannot be called off; what it makes has to be there to be deleted.
        patience.until("the restore of the files ends", over, seconds=3 * 24 * 60 * MINUTE, every=60)
    # Each attempt may have left one, and the journal knows the last only.
    for attempt in range(int(journal.data.get("files_attempt", 0)) + 1):
        token = f"hostemr-restore-{journal.id}-{attempt}"
        for found in efs.describe_file_systems(CreationToken=token)["FileSystems"]:
            if found["LifeCycleState"] not in {"deleting", "deleted"}:
                _delete_file_system(journal, found["FileSystemId"], patience)
    known = journal.part("file_system")
    if known and _is_there(efs, known):
        # The token is what AWS Backup was asked for; this is what it told.
        _delete_file_system(journal, known, patience)


def _is_there(efs: Any, name: str) -> bool:
    try:
        found = efs.describe_file_systems(FileSystemId=name)["FileSystems"]
    except ClientError as error:
        if error_code(error) not in _GONE:
            raise
        return False
    return any(one["LifeCycleState"] not in {"deleting", "deleted"} for one in found)


def _delete_file_system(journal: Journal, name: str, patience: Patience) -> None:
    aws, efs = journal.site.aws, journal.site.aws.client("efs")
    for point in efs.describe_access_points(FileSystemId=name)["AccessPoints"]:
        _unless_gone(efs.delete_access_point, AccessPointId=point["AccessPointId"])
    for target in mount_targets(aws, name):
        if target["LifeCycleState"] not in {"deleting", "deleted"}:
            _unless_gone(efs.delete_mount_target, MountTargetId=target["MountTargetId"])
    patience.until(f"the mount targets of {name} go", lambda: not mount_targets(aws, name) or None, seconds=30 * MINUTE)
    _unless_gone(efs.delete_file_system, FileSystemId=name)


def _delete_database(journal: Journal, patience: Patience) -> None:
    rds = journal.site.aws.client("rds")
    # Made and not noted, where a run was killed in between: the names are the restore's own.
    cluster, writer = journal.data["cluster_name"], f"{journal.data['cluster_name']}-1"

    def state() -> str:
        try:
            return str(rds.describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"][0]["Status"])
        except ClientError as error:
            if error_code(error) not in _GONE:
                raise
            return ""

    # What RDS is still busy with, it does not delete.
    patience.until(f"the cluster {cluster} can be deleted", lambda: state() not in _BUSY or None, seconds=12 * HOUR)
    if state() not in {"", "deleting"}:
        patience.until(f"{writer} can be deleted", lambda: _deleted(rds, writer) or None, seconds=2 * HOUR)
        unprotected = {"DBClusterIdentifier": cluster, "DeletionProtection": False, "ApplyImmediately": True}
        _unless_gone(rds.modify_db_cluster, **unprotected)
        _unless_gone(rds.delete_db_cluster, DBClusterIdentifier=cluster, SkipFinalSnapshot=True)
    patience.until(f"the cluster {cluster} goes", lambda: state() == "" or None, seconds=HOUR)


def _deleted(rds: Any, writer: str) -> bool:
    """Whether an instance is being deleted, or gone; else RDS is busy with it still."""
    try:
        rds.delete_db_instance(DBInstanceIdentifier=writer, SkipFinalSnapshot=True)
    except ClientError as error:
        if error_code(error) in {"InvalidDBInstanceState", "InvalidDBInstanceStateFault"}:
            found = rds.describe_db_instances(DBInstanceIdentifier=writer)["DBInstances"][0]
            return bool(found["DBInstanceStatus"] == "deleting")
        if error_code(error) not in _GONE:
            raise
    return True


def _unless_gone(call: Any, **request: Any) -> None:
    try:
        call(**request)
    except ClientError as error:
        if error_code(error) not in _GONE:
            raise
