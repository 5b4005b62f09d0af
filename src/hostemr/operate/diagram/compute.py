"""What runs in the network: tasks, servers, gateways, endpoints, analytics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hostemr.operate.diagram.encryption import AWS, disk_key
from hostemr.operate.diagram.model import Component, Key, Place, Said, Tone
from hostemr.operate.diagram.scene import Scene, identity, members
from hostemr.operate.diagram.words import counted, listed, span, spoken
from hostemr.operate.joined import Resource

_TASK = "AWS::ECS::TaskDefinition"
_UNITS = 1024
"""A virtual processor is 1,024 units of CPU, a GB 1,024 of memory (ECS, task definition parameters)."""


def services(scene: Scene) -> Iterator[Component]:
    """ECS services, with the task definition that runs and the number of its tasks."""
    joined = scene.joined
    for one in joined.of("AWS::ECS::Service"):
        definition = joined.target(one, "TaskDefinition")
        targets = scene.using(one, "AWS::ApplicationAutoScaling::ScalableTarget")
        policies = [
            rule for found in targets for rule in scene.using(found, "AWS::ApplicationAutoScaling::ScalingPolicy")
        ]
        cluster = joined.targets(one, "Cluster")
        beside = _beside(scene, one)
        yield Component(
            id=identity(one.node),
            icon="tasks",
            title="Application tasks",
            place=Place.NETWORK,
            members=members(one, *([definition] if definition else []), *targets, *policies, *cluster, *beside),
            details=(*_service(scene, one, definition, targets), *_now_and_then(beside)),
            subnets=scene.network.subnets_of(one),
            public=_addressed_tasks(scene, one) and _let_in(scene, one),
            rank=20,
        )


def _service(
    scene: Scene, service: Resource, definition: Resource | None, targets: Sequence[Resource]
) -> Iterator[Said]:
    joined = scene.joined
    if targets:
        low, high = (joined.text(targets[0], name) for name in ("MinCapacity", "MaxCapacity"))
        count = span(low, high, "task")
    else:
        number = joined.text(service, "DesiredCount") or "1"
        count = span(number, number, "task")
    yield Said(count + (f", each {size}" if (size := _size(scene, definition)) else ""))
    if definition is not None:
        containers = _containers(definition)
        secrets = sum(len(items) for one in containers if isinstance(items := one.get("Secrets"), list))
        yield Said(f"runs {listed([str(one.get('Name')) for one in containers], 3)}", Tone.MUTED)
        if secrets:
            yield Said(f"{counted(secrets, 'secret')} given at start", Tone.MUTED)
    if _addressed_tasks(scene, service):
        yield (
            Said("public addresses, but nobody is let in", Tone.WARN)
            if not _let_in(scene, service)
            else Said("public addresses, and networks let in", Tone.BAD)
        )
    if joined.flag(service, "EnableExecuteCommand"):
        yield Said("a shell may be opened (ECS Exec)", Tone.WARN)


def _addressed_tasks(scene: Scene, service: Resource) -> bool:
    given = scene.joined.text(service, "NetworkConfiguration", "AwsvpcConfiguration", "AssignPublicIp")
    return given == "ENABLED" and scene.network.public(scene.network.subnets_of(service))


def _let_in(scene: Scene, service: Resource) -> bool:
    """Whether the security groups let in a network, and not only other groups."""
    return any(door.network for door in scene.network.into(scene.network.groups_of(service)))


def _beside(scene: Scene, service: Resource) -> list[Resource]:
    """The task definitions of a stack that its only service does not run: set-up, rotation of passwords."""
    joined = scene.joined
    running = {found.node for one in joined.of("AWS::ECS::Service") for found in joined.targets(one, "TaskDefinition")}
    alone = sum(one.stack == service.stack for one in joined.of("AWS::ECS::Service")) == 1
    return [one for one in joined.of(_TASK) if alone and one.stack == service.stack and one.node not in running]


def _now_and_then(definitions: Sequence[Resource]) -> list[Said]:
    names = [spoken(one.logical_id).lower().removeprefix("tasks ") for one in definitions]
    return [Said(f"now and then: {listed(names, 3)}", Tone.MUTED)] if names else []


def other_tasks(scene: Scene, drawn: frozenset[object]) -> Iterator[Component]:
    """Tasks that run once or by a schedule, and not as a service: one box for those of each stack."""
    by_stack: dict[str, list[Resource]] = {}
    for one in scene.joined.of(_TASK):
        if one.node not in drawn:
            by_stack.setdefault(one.stack, []).append(one)
    for found in by_stack.values():
        rules = [rule for one in found for rule in scene.using(one, "AWS::Events::Rule")]
        clusters = {
            target.node: target
            for one in found
            for user in scene.using(one, "AWS::Lambda::Function", "AWS::Events::Rule")
            for target in scene.joined.targets(user)
            if target.type == "AWS::ECS::Cluster"
        }
        yield Component(
            id=identity(found[0].node),
            icon="tasks",
            title="Tasks that run now and then",
            place=Place.NETWORK,
            members=members(*found, *rules, *clusters.values()),
            details=(Said(listed([spoken(one.logical_id) for one in found], 4), Tone.MUTED),),
            subnets=scene.network.subnets_of(
                *(u for one in found for u in scene.using(one, "AWS::Lambda::Function", "AWS::Events::Rule"))
            ),
            rank=25,
        )


def servers(scene: Scene) -> Iterator[Component]:
    """Single servers, and groups of them."""
    joined = scene.joined
    for one in joined.of("AWS::EC2::Instance", "AWS::AutoScaling::AutoScalingGroup"):
        launch = [found for found in joined.targets(one) if found.type == "AWS::EC2::LaunchTemplate"]
        source = launch[0] if launch else one
        inner = ("LaunchTemplateData",) if launch else ()
        profiles = [
            found
            for owner in (one, *launch)
            for found in joined.targets(owner)
            if found.type == "AWS::IAM::InstanceProfile"
        ]
        said = [Said(joined.text(source, *inner, "InstanceType") or "a size given at launch")]
        if one.type == "AWS::AutoScaling::AutoScalingGroup":
            low, high = joined.text(one, "MinSize"), joined.text(one, "MaxSize")
            alone = (low, high) == ("1", "1")
            said.append(Said("replaced by AWS if it fails" if alone else span(low, high, "server")))
        keys = _disks(scene, source, inner)
        if any(key.kind == "none" for key in keys):
            said.append(Said("system disk NOT encrypted", Tone.BAD))
        subnets = scene.network.subnets_of(one, *launch)
        yield Component(
            id=identity(one.node),
            icon="server",
            title="Server",
            place=Place.NETWORK,
            members=members(one, *launch, *profiles),
            details=tuple(said),
            subnets=subnets,
            keys=keys,
            public=scene.network.public(subnets) and _addressed(scene, one, launch),
            rank=20,
        )


def _disks(scene: Scene, source: Resource, inner: tuple[str, ...]) -> tuple[Key, ...]:
    mappings = [item.get("Ebs") for item in source.items(*inner, "BlockDeviceMappings") if isinstance(item, Mapping)]
    # Without a mapping the disk is the image's, which is not encrypted unless the account says so.
    return tuple(dict.fromkeys(disk_key(scene.joined, source, ebs) for ebs in (mappings or [None])))


def _addressed(scene: Scene, server: Resource, launch: Sequence[Resource]) -> bool:
    """Whether a server gets a public address: from its interface, its subnet, or a fixed one that it takes."""
    joined = scene.joined
    for one in (server, *launch):
        inner = ("LaunchTemplateData",) if one in launch else ()
        for interface in one.items(*inner, "NetworkInterfaces"):
            wanted = interface.get("AssociatePublicIpAddress") if isinstance(interface, Mapping) else None
            if str(joined.known(one, wanted)).lower() == "true":
                return True
    subnets = [joined.resources[node] for node in scene.network.subnets_of(server, *launch)]
    if any(joined.flag(subnet, "MapPublicIpOnLaunch") for subnet in subnets):
        return True
    fixed = [*scene.using(server, "AWS::EC2::EIP", "AWS::EC2::EIPAssociation")]
    profiles = [found for one in (server, *launch) for found in joined.targets(one) if found.type.endswith("Profile")]
    # A server that takes its fixed address itself needs a role that may do so.
    taken = scene.named([*launch, *profiles]) & {one.node for one in joined.of("AWS::EC2::EIP")}
    return bool(fixed or taken)


def gateways(scene: Scene) -> Iterator[Component]:
    """NAT gateways, one box each: in which zones they are decides what an outage takes away."""
    for one in scene.joined.of("AWS::EC2::NatGateway"):
        yield Component(
            id=identity(one.node),
            icon="out",
            title="NAT gateway",
            place=Place.NETWORK,
            members=members(one, *(a for a in scene.joined.targets(one, "AllocationId") if a.type == "AWS::EC2::EIP")),
            details=(Said("way out only", Tone.MUTED),),
            subnets=scene.network.subnets_of(one),
            rank=15,
        )


def endpoints(scene: Scene) -> Iterator[Component]:
    """Private ways to AWS's services, all in one box."""
    found = scene.joined.of("AWS::EC2::VPCEndpoint")
    if not found:
        return
    names = [scene.joined.written(one, one.raw("ServiceName")).removeprefix("com.amazonaws.") for one in found]
    short = [name.split(".", 1)[-1] for name in names]
    subnets = scene.network.subnets_of(*found)
    yield Component(
        id=identity(found[0].node),
        icon="out",
        title="Private ways to AWS's services",
        place=Place.NETWORK if subnets else Place.ACCOUNT,
        members=members(*found),
        details=(Said(listed(list(dict.fromkeys(short)), 8), Tone.MUTED),),
        subnets=subnets,
        rank=40 if subnets else 80,
    )


def analytics(scene: Scene) -> Iterator[Component]:
    """EMR Serverless and SageMaker Studio, which run in the network but only when somebody works with them."""
    joined = scene.joined
    spark = joined.of("AWS::EMRServerless::Application")
    studio = joined.of("AWS::SageMaker::Domain")
    if not spark and not studio:
        return
    profiles = [found for one in studio for found in scene.using(one, "AWS::SageMaker::UserProfile")]
    said = [Said("Spark (EMR Serverless)")] if spark else []
    if studio:
        inside = all(joined.text(one, "AppNetworkAccessType") == "VpcOnly" for one in studio)
        said.append(Said("notebooks (SageMaker Studio)"))
        said.append(Said("by this network only", Tone.GOOD) if inside else Said("own way to the internet", Tone.WARN))
    yield Component(
        id=identity((spark + studio)[0].node),
        icon="chart",
        title="Analytics",
        place=Place.NETWORK,
        members=members(*spark, *studio, *profiles),
        details=tuple(said),
        subnets=scene.network.subnets_of(*spark, *studio),
        keys=scene.keys([*spark, *studio]) or (AWS,),
        kept=bool(studio) and all(one.kept for one in studio),
        rank=30,
    )


def _containers(definition: Resource) -> list[Mapping[str, Any]]:
    return [one for one in definition.items("ContainerDefinitions") if isinstance(one, Mapping)]


def _size(scene: Scene, definition: Resource | None) -> str:
    if definition is None:
        return ""
    cpu, memory = (scene.joined.text(definition, name) for name in ("Cpu", "Memory"))
    if not cpu.isdigit() or not memory.isdigit():
        return ""
    return f"{int(cpu) / _UNITS:g} vCPU and {int(memory) / _UNITS:g} GB"
