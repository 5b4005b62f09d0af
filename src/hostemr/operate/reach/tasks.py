"""Which task of a service takes a session, and what stands in the way where none does.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.operate.aws import Aws, pages, translated

SETTING = "enable_ecs_exec"
AGENT = "ExecuteCommandAgent"
_DESCRIBED_AT_ONCE = 100


@dataclass(frozen=True)
class Place:
    """A container in a running task, whose agent takes sessions."""

    cluster: str
    task: str
    container: str
    runtime_id: str

    @property
    def target(self) -> str:
        """How Session Manager calls it."""
        return f"ecs:{self.cluster}_{self.task}_{self.runtime_id}"


def find_place(
    aws: Aws, *, cluster: str, service: str, containers: Sequence[str] = (), task: str | None = None
) -> Place:
    """A container of a running task of `service`: the first of `containers` that a task has, or any.

    `task` names one, by its id or ARN. Raises SettingsError for an unknown container or task and where `SETTING` is
    off, OutsideWorldError where nothing runs or no agent does.
    """
    with translated("looking for a task"):
        found = [one for one in _running(aws, cluster, service) if task is None or task in _names(one)]
        if not found:
            raise _nothing_runs(aws, cluster, service, task)
        enabled = [one for one in found if one.get("enableExecuteCommand")]
        if not enabled:
            raise _switched_off(aws, cluster, service)
    _known(containers, enabled)
    reasons = []
    # Healthy ones first: a task about to be replaced takes its session along.
    for one in sorted(enabled, key=lambda one: one.get("healthStatus") != "HEALTHY"):
        for container in _wanted(one, containers):
            agent = _agent(container)
            if agent.get("lastStatus") == "RUNNING" and container.get("runtimeId"):
                return Place(cluster, _task_id(one), container["name"], container["runtimeId"])
            reasons.append(f"{container['name']}: {agent.get('lastStatus', 'no agent')} {agent.get('reason', '')}")
    said = "; ".join(dict.fromkeys(reason.strip() for reason in reasons))
    message = f"No agent takes sessions in the running tasks ({said})."
    hint = (
        "a task that has just begun needs a minute; else replace the tasks "
        f"(aws ecs update-service --cluster {cluster} --service {service} --force-new-deployment). "
        "The agent reaches AWS by ssmmessages, and where egress is endpoints only since the setting was on"
    )
    raise OutsideWorldError(message, hint=hint)


def _running(aws: Aws, cluster: str, service: str) -> Iterator[Mapping[str, Any]]:
    ecs = aws.client("ecs")
    asked = {"cluster": cluster, "serviceName": service, "desiredStatus": "RUNNING"}
    arns = list(pages(ecs.list_tasks, "taskArns", token="nextToken", **asked))  # noqa: S106, a member's name
    for start in range(0, len(arns), _DESCRIBED_AT_ONCE):
        described = ecs.describe_tasks(cluster=cluster, tasks=arns[start : start + _DESCRIBED_AT_ONCE])
        # A task that is about to stop is RUNNING still, but no longer wanted so.
        yield from (one for one in described["tasks"] if one.get("lastStatus") == "RUNNING")


def _task_id(task: Mapping[str, Any]) -> str:
    return str(task["taskArn"]).rsplit("/", 1)[-1]


def _names(task: Mapping[str, Any]) -> tuple[str, str]:
    return str(task["taskArn"]), _task_id(task)


def _agent(container: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((one for one in container.get("managedAgents", ()) if one.get("name") == AGENT), {})


def _wanted(task: Mapping[str, Any], containers: Sequence[str]) -> list[Mapping[str, Any]]:
    """Its containers by that name, or all of them."""
    own: list[Mapping[str, Any]] = list(task.get("containers", ()))
    return [one for one in own if not containers or one["name"] in containers]


def _known(containers: Sequence[str], tasks: Sequence[Mapping[str, Any]]) -> None:
    there = sorted({one["name"] for task in tasks for one in task.get("containers", ())})
    if containers and not set(containers) & set(there):
        name = containers[0]
        near = get_close_matches(name, there, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise SettingsError([f"--container {name}: the tasks have {', '.join(there)}{meant}"])


def _nothing_runs(aws: Aws, cluster: str, service: str, task: str | None) -> Exception:
    if task is not None:
        running = ", ".join(_task_id(one) for one in _running(aws, cluster, service))
        hint = f"running are: {running}" if running else "none runs"
        return SettingsError([f"--task {task}: no such task runs in this service"], hint=hint)
    message = f"No task of {service} is running."
    return OutsideWorldError(
        message,
        hint=f"why: aws ecs describe-services --cluster {cluster} --services {service} --query 'services[].events[:5]'",
    )


def _switched_off(aws: Aws, cluster: str, service: str) -> SettingsError:
    """Off in the service, or on there but not in the tasks, which are older."""
    described = aws.client("ecs").describe_services(cluster=cluster, services=[service])["services"]
    replace = f"aws ecs update-service --cluster {cluster} --service {service} --force-new-deployment"
    if described and described[0].get("enableExecuteCommand"):
        return SettingsError(
            [f"{SETTING} is on, but the running tasks began before it was"],
            hint=f"replace them, which signs everybody out: {replace}",
        )
    return SettingsError(
        [f"{SETTING} is off in this deployment, so that no task takes a session"],
        hint=f"set {SETTING} true, deploy, replace the tasks ({replace}); turn it off after the work",
    )
