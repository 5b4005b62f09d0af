"""The one task that touches restored files: it moves them to where the access point is rooted, and counts them.

AWS Backup puts a full restore into a directory `aws-backup-restore_…`, in a new file system too, and tells its name
nowhere. https://docs.aws.amazon.com/aws-backup/latest/devguide/restoring-efs.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hostemr.deployment import outputs
from hostemr.errors import OutsideWorldError, RefusedError
from hostemr.operate.recovery.journal import Journal
from hostemr.operate.recovery.patience import MINUTE, Patience

MARK = "hostemr-restored"
_PLACE = "/restored"
_CONTAINER = "restored-files"
_LONGEST_SECONDS = 6 * 60 * MINUTE
STATUSES = {2: "there is no restored share, or more than one", 3: "what was restored cannot be read"}

# A rename within one file system: at once, and done or not done at all. Run again, it finds it done.
_SCRIPT = r"""
set -eu
cd "$PLACE"
if [ ! -e "$SHARE" ]; then
    found=
    for one in aws-backup-restore_*/"$SHARE"; do
        [ -d "$one" ] || continue
        [ -z "$found" ] || { echo "more than one restored share: $found, $one"; exit 2; }
        found=$one
    done
    [ -n "$found" ] || { echo "no restored share $SHARE"; ls -A; exit 2; }
    mv -- "$found" "$SHARE"
fi
# The image of OpenMRS is Amazon Linux, which has no `find`.
ls -lnAR "$SHARE" > /dev/null || exit 3
files=$(ls -lnAR "$SHARE" | grep -c '^-') || [ "$files" = 0 ] || exit 3
bytes=$(du -sk "$SHARE" | cut -f1) || exit 3
missing=
for one in $WANTED; do
    [ -e "$SHARE/$one" ] || missing="$missing $one"
done
printf '%s {"files": %d, "kib": %d, "missing": "%s"}\n' "$MARK" "$files" "$bytes" "${missing# }"
"""

WANTED = {
    "openemr": ("default/sqlconf.php", "default/documents/logs_and_misc/methods"),
    "openmrs": (),
}
"""What each application's share has once it is installed: OpenEMR's keys to its documents are the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the task found. `missing` are paths that an installation has and this one has not."""

    files: int
    kib: int
    missing: tuple[str, ...]


def arrange(journal: Journal, patience: Patience) -> None:
    """Move the restored files to their place, and note in the journal what was counted.

    Raises OutsideWorldError where the task cannot run or fails, RefusedError where the service stack is not there:
    its network and image are what the task runs with.
    """
    if "counted" in journal.data:
        return
    site = journal.site
    ecs = site.aws.client("ecs")
    cluster, name = (site.output(site.service_stack, one) for one in (outputs.CLUSTER, outputs.SERVICE))
    found = ecs.describe_services(cluster=cluster, services=[name])["services"]
    if not found:
        raise OutsideWorldError(f"There is no service {name} in the cluster {cluster}.")
    service = found[0]
    worker = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    share = path_of_share(journal)
    if "task" not in journal.data:
        if "task_definition" not in journal.data:
            # Noted before it is used: ECS refuses the token of a task with another definition.
            definition = ecs.register_task_definition(**_definition(journal, worker, share))["taskDefinition"]
            journal.write(task_definition=definition["taskDefinitionArn"])
        started = ecs.run_task(
            cluster=cluster,
            taskDefinition=journal.data["task_definition"],
            launchType="FARGATE",
            platformVersion="1.4.0",
            networkConfiguration=service["networkConfiguration"],
            startedBy=f"hostemr-restore-{journal.id}",
            # Asked twice with the same token, ECS answers with the same task.
            clientToken=f"hostemr-{journal.id}-{journal.data.get('task_attempt', 0)}",
        )
        if not started["tasks"]:
            why = "; ".join(str(one.get("reason")) for one in started["failures"]) or "no reason is given"
            raise OutsideWorldError(f"The task that arranges the files does not start: {why}.")
        journal.write(task=started["tasks"][0]["taskArn"], log=_log_group(worker))
    task = journal.data["task"]
    ended = patience.until(
        "the restored files are put in their place and counted",
        lambda: _ended(ecs, cluster, task),
        seconds=_LONGEST_SECONDS,
    )
    lines = _lines(journal, task, patience)
    if ended.get("exit") != 0:
        # The next run starts another.
        attempts = int(journal.data.get("task_attempt", 0)) + 1
        journal.data.pop("task")
        journal.data.pop("task_definition")
        journal.write(task_attempt=attempts)
        why = STATUSES.get(ended.get("exit", -1)) or ended.get("reason") or "see its log"
        said = f" ({lines[-1]})" if lines else ""
        raise OutsideWorldError(f"The task that arranges the restored files failed: {why}{said}.")
    journal.write(counted=_counted(lines, patience))


def path_of_share(journal: Journal) -> str:
    """The directory that the old access point is rooted at, such as `/sites`: the new one has the same."""
    answer = journal.site.aws.client("efs").describe_access_points(AccessPointId=journal.old.access_point)
    path = str(answer["AccessPoints"][0]["RootDirectory"]["Path"])
    if path.strip("/") == "" or "/" in path.strip("/"):
        raise RefusedError(f"The access point {journal.old.access_point} is rooted at {path}, not at a directory.")
    return path


def counted(journal: Journal) -> Counted | None:
    """What the task counted, once it has."""
    data = journal.data.get("counted")
    return Counted(files=data["files"], kib=data["kib"], missing=tuple(data["missing"].split())) if data else None


def _definition(journal: Journal, worker: dict[str, Any], share: str) -> dict[str, Any]:
    main = next(one for one in worker["containerDefinitions"] if one.get("essential", True))
    options = {**main["logConfiguration"]["options"], "awslogs-stream-prefix": "restore"}
    environment = {
        "PLACE": _PLACE,
        "SHARE": share.strip("/"),
        "MARK": MARK,
        "WANTED": " ".join(WANTED[journal.site.application.name]),
    }
    return {
        "family": f"{journal.site.service_stack}-restored-files",
        "cpu": "512",
        "memory": "1024",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "runtimePlatform": worker["runtimePlatform"],
        # It fetches the image and writes the log; the task itself has no right at all.
        "executionRoleArn": worker["executionRoleArn"],
        "containerDefinitions": [
            {
                "name": _CONTAINER,
                "image": main["image"],
                "essential": True,
                "user": "0",
                "entryPoint": ["/bin/sh", "-c"],
                "command": [_SCRIPT],
                "environment": [{"name": name, "value": value} for name, value in environment.items()],
                "mountPoints": [{"sourceVolume": "restored", "containerPath": _PLACE, "readOnly": False}],
                "logConfiguration": {"logDriver": "awslogs", "options": options},
            }
        ],
        "volumes": [
            {
                "name": "restored",
                "efsVolumeConfiguration": {
                    "fileSystemId": journal.part("file_system"),
                    "rootDirectory": "/",
                    "transitEncryption": "ENABLED",
                },
            }
        ],
        "tags": [{"key": "hostemr:restore", "value": journal.id}],
    }


def _log_group(worker: dict[str, Any]) -> str:
    main = next(one for one in worker["containerDefinitions"] if one.get("essential", True))
    return str(main["logConfiguration"]["options"]["awslogs-group"])


def _ended(ecs: Any, cluster: str, task: str) -> dict[str, Any] | None:
    found = ecs.describe_tasks(cluster=cluster, tasks=[task])["tasks"]
    if not found:
        # ECS forgets a stopped task after an hour.
        return {"exit": -1, "reason": "ECS has forgotten it"}
    if found[0]["lastStatus"] != "STOPPED":
        return None
    container = found[0]["containers"][0]
    return {"exit": container.get("exitCode", -1), "reason": found[0].get("stoppedReason", "")}


def _lines(journal: Journal, task: str, patience: Patience) -> list[str]:
    """The task's log; it arrives a little later than the task's end."""
    logs = journal.site.aws.client("logs")
    stream = f"restore/{_CONTAINER}/{task.rsplit('/', 1)[-1]}"

    def look() -> list[str] | None:
        found = logs.describe_log_streams(logGroupName=journal.data["log"], logStreamNamePrefix=stream)
        if not found["logStreams"]:
            return None
        events = logs.get_log_events(logGroupName=journal.data["log"], logStreamName=stream, startFromHead=True)
        return [event["message"] for event in events["events"]] or None

    try:
        return patience.until("the log of the task arrives", look, seconds=2 * MINUTE, every=5)
    except OutsideWorldError:
        return []


def _counted(lines: list[str], patience: Patience) -> dict[str, Any]:
    for line in reversed(lines):
        if line.startswith(MARK):
            found: dict[str, Any] = json.loads(line.removeprefix(MARK))
            return found
    patience.tell("warning: the task's log did not arrive; the files are in place, and were not counted")
    return {}
