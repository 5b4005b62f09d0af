"""Where a shell in a container is allowed, its task may open it."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.identities import powers, role_of
from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates

CHANNELS = tuple(f"ssmmessages:{verb}{kind}Channel" for verb in ("Create", "Open") for kind in ("Control", "Data"))


def _find(templates: Templates) -> Iterator[Found]:
    for service in templates.of("AWS::ECS::Service"):
        if "true" not in {templates.text(service.stack, one).lower() for one in service.at("EnableExecuteCommand")}:
            continue
        needs = dict.fromkeys(CHANNELS, "open the channel of Session Manager")
        for cluster in templates.names(service, ("Cluster",), "AWS::ECS::Cluster"):
            needs |= _of_cluster(cluster)
        for definition in templates.names(service, ("TaskDefinition",), "AWS::ECS::TaskDefinition"):
            for role in role_of(templates, definition, "TaskRoleArn"):
                held = powers(templates, role)
                missing = [action for action in needs if held.allow(templates, action) is False]
                if missing:
                    yield Found(
                        service,
                        f"the task role {role.logical_id} may not {', '.join(missing)}, so `aws ecs execute-command` "
                        "fails",
                        f"allow it {'these' if len(missing) > 1 else 'this'}, the key's on the key alone",
                        "EnableExecuteCommand",
                    )


def _of_cluster(cluster: Resource) -> dict[str, str]:
    place = ("Configuration", "ExecuteCommandConfiguration")
    needs = {}
    if cluster.has(*place, "KmsKeyId"):
        needs["kms:Decrypt"] = "decrypt the session"
    if cluster.has(*place, "LogConfiguration", "CloudWatchLogGroupName"):
        needs["logs:PutLogEvents"] = "write the session's log"
    if cluster.has(*place, "LogConfiguration", "S3BucketName"):
        needs["s3:PutObject"] = "write the session's log"
    return needs


CHECK = Check(
    id="HOSTEMR-ExecPermissions",
    title="A task that allows a shell may open it",
    severity="error",
    reason="The session is opened by the task's role, and encrypted with the cluster's key: without kms:Decrypt it "
    "ends at once.",
    source="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html",
    find=_find,
)
