"""The end of a restore: keeping what serves, and deleting what a restore made and nothing uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from hostemr.errors import RefusedError
from hostemr.operate.aws import error_code
from hostemr.operate.recovery.journal import ABANDONING, BUILDING, BUILT, RETURNED, SERVING, VERIFIED, Journal
from hostemr.operate.recovery.patience import MINUTE, Patience
from hostemr.operate.recovery.site import dissect, mount_targets

_GONE = {"DBClusterNotFoundFault", "DBInstanceNotFound", "DBInstanceNotFoundFault", "FileSystemNotFound"}
_GONE |= {"MountTargetNotFound", "AccessPointNotFound", "DBClusterNotFound"}


def abandon(journal: Journal, template: Mapping[str, Any], patience: Patience) -> None:
    """Delete what a restore made, which must never have served. `template` is the data stack's.

    After a cut-over people may have entered what is nowhere else, so then it raises RefusedError.
    """
    may_abandon(journal)
    _not_in_service(journal, template)
    if journal.phase != ABANDONING:
        journal.write(phase=ABANDONING)
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
    journal.forget()
    return left.as_json()


def _not_in_service(journal: Journal, template: Mapping[str, Any]) -> None:
    """The journal may be wrong; the stack is asked."""
    _, serving = dissect(journal.site, template)
    for name, id_ in (("cluster", serving.cluster), ("file_system", serving.file_system)):
        if journal.part(name) == id_:
            raise RefusedError(f"{id_} serves: it is the deployment's own.")


def _delete_files(journal: Journal, patience: Patience) -> None:
    aws = journal.site.aws
    backup, efs = aws.client("backup"), aws.client("efs")
    if "files_job" in journal.data and not journal.part("file_system"):

        def over() -> bool | None:
            return (
                backup.describe_restore_job(RestoreJobId=journal.data["files_job"])["Status"]
                not in {
                    "PENDING",
                    "RUNNING",
                }
                or None
            )

        # A restore cannot be called off; what it makes has to be there to be deleted.
        patience.until("the restore of the files ends", over, seconds=3 * 24 * 60 * MINUTE, every=60)
    # Each attempt may have left one, and the journal knows the last only.
    for attempt in range(int(journal.data.get("files_attempt", 0)) + 1):
        token = f"hostemr-restore-{journal.id}-{attempt}"
        for found in efs.describe_file_systems(CreationToken=token)["FileSystems"]:
            _delete_file_system(journal, found["FileSystemId"], patience)


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
    _unless_gone(rds.delete_db_instance, DBInstanceIdentifier=writer, SkipFinalSnapshot=True)
    _unless_gone(rds.modify_db_cluster, DBClusterIdentifier=cluster, DeletionProtection=False, ApplyImmediately=True)
    _unless_gone(rds.delete_db_cluster, DBClusterIdentifier=cluster, SkipFinalSnapshot=True)

    def gone() -> bool | None:
        try:
            rds.describe_db_clusters(DBClusterIdentifier=cluster)
        except ClientError as error:
            if error_code(error) not in _GONE:
                raise
            return True
        return None

    patience.until(f"the cluster {cluster} goes", gone, seconds=60 * MINUTE)


def _unless_gone(call: Any, **request: Any) -> None:
    try:
        call(**request)
    except ClientError as error:
        # Deleted, or being deleted, by an earlier run.
        if error_code(error) not in {*_GONE, "InvalidDBInstanceState", "InvalidDBInstanceStateFault"}:
            raise
