"""Fargate's services and schedules, clusters, and functions."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from hostemr.operate.prices.evaluation import Unknown
from hostemr.operate.prices.sheet import HOURS, Charge, NotPriced, Resource, Sheet, items
from hostemr.operate.references import references

_UNITS = 1024
"""A virtual processor is 1,024 units of CPU, a GB 1,024 of memory (ECS, task definition parameters)."""
_INCLUDED_STORAGE = 20
_BUILT = "-container-assets-"
"""Part of the name of the repository that images go to which the CDK builds."""


def cluster(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::ECS::Cluster: free itself, but Container Insights is charged by metrics."""
    for setting in items(resource.get("ClusterSettings"), "ClusterSettings"):
        if setting.get("Name") == "containerInsights" and setting.get("Value") in {"enabled", "enhanced"}:
            yield sheet.used("Container Insights' metrics", "cloudwatch.metric", "insights_metrics", resource)


def service(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::ECS::Service on Fargate: the fewest tasks that it runs, and those of busy hours."""
    providers = {
        str(one.get("CapacityProvider"))
        for one in items(resource.get("CapacityProviderStrategy"), "CapacityProviderStrategy")
    }
    if resource.get("LaunchType", default="FARGATE" if providers == {"FARGATE"} else "EC2") != "FARGATE":
        raise NotPriced("only tasks on Fargate, on demand, are in the table")
    tasks = resource.number("DesiredCount", default=1)
    for target in sheet.of_type("AWS::ApplicationAutoScaling::ScalableTarget"):
        if any(one.target == resource.name for one in references(target.written.get("ResourceId"))):
            tasks = target.number("MinCapacity")
    definition = resource.target("TaskDefinition")
    yield from _tasks(definition, sheet, HOURS * tasks, f"{tasks} tasks", None)
    yield from _addresses(resource, tasks)
    yield from _kept_image(definition, resource, sheet)
    busy = sheet.usage.amount("busy_tasks", resource.name)
    hours = sheet.usage.amount("busy_hours", resource.name) * max(Decimal(0), busy - tasks)
    if hours:
        yield from _tasks(definition, sheet, hours, f"busy hours with {busy} tasks", "busy_hours, busy_tasks")


def _addresses(resource: Resource, tasks: Decimal) -> Iterator[Charge]:
    """Tasks with public addresses of their own pay for each, as everything in a VPC does."""
    if resource.get("NetworkConfiguration", "AwsvpcConfiguration", "AssignPublicIp") == "ENABLED" and tasks:
        yield Charge(f"public IPv4 addresses of {tasks} tasks", "ipv4", HOURS * tasks)


def _kept_image(definition: str | None, resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """An image that `cdk deploy` builds lies in the registry of the CDK's bootstrap, which no template of ours shows.

    https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html
    """
    task = sheet.resources.get(definition or "")
    if task is not None and any(_BUILT in str(one) for one in items(task.written.get("ContainerDefinitions"), "")):
        yield sheet.used("image kept in the CDK's registry", "ecr.storage", "image_storage_gb", resource)


def schedule(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::Events::Rule: free itself, but the tasks that it starts are not."""
    hours = sheet.usage.amount("scheduled_task_hours", resource.name)
    for target in items(resource.get("Targets"), "Targets"):
        parameters = target.get("EcsParameters")
        if parameters is not None:
            definition = parameters.get("TaskDefinitionArn")
            name = definition.target if isinstance(definition, Unknown) else None
            yield from _tasks(name, sheet, hours, "scheduled task", "scheduled_task_hours")


def function(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::Lambda::Function."""
    arm = "arm64" in resource.get("Architectures", default=["x86_64"])
    seconds = sheet.usage.amount("function_seconds", resource.name)
    memory = resource.number("MemorySize", default=128) / _UNITS
    yield sheet.used("runs", "lambda.requests", "function_requests", resource)
    yield Charge(
        f"running, {'ARM' if arm else 'x86'}",
        f"lambda.{'arm' if arm else 'x86'}.seconds",
        memory * seconds,
        "function_seconds",
    )


def _tasks(definition: str | None, sheet: Sheet, hours: Decimal, what: str, assumption: str | None) -> Iterator[Charge]:
    task = sheet.resources.get(definition or "")
    if task is None:
        raise NotPriced("its task definition is not in this template")
    if task.get("RuntimePlatform", "OperatingSystemFamily", default="LINUX") != "LINUX":
        raise NotPriced("tasks on Windows are not in the table")
    arm = task.get("RuntimePlatform", "CpuArchitecture", default="X86_64") == "ARM64"
    kind, name = ("arm", "ARM") if arm else ("x86", "x86")
    cpu, memory = task.number("Cpu") / _UNITS, task.number("Memory") / _UNITS
    yield Charge(f"{what}, {cpu} vCPU {name} each", f"fargate.{kind}.vcpu", hours * cpu, assumption)
    yield Charge(f"{what}, {memory} GB {name} each", f"fargate.{kind}.memory", hours * memory, assumption)
    storage = task.number("EphemeralStorage", "SizeInGiB", default=_INCLUDED_STORAGE) - _INCLUDED_STORAGE
    if storage > 0:
        yield Charge(f"{what}, storage over 20 GB", "fargate.storage", hours * storage, assumption)
