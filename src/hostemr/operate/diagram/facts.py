"""Templates to a picture: which things there are, where, under which keys, and who talks to whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from hostemr.operate.diagram import account, compute, entrances, stores
from hostemr.operate.diagram.encryption import customer
from hostemr.operate.diagram.flows import INTERNET, admitted, flows
from hostemr.operate.diagram.model import Component, Flow, Key, KeyKind, Picture, Place, Said, Tone
from hostemr.operate.diagram.scene import Scene
from hostemr.operate.diagram.words import counted, listed
from hostemr.operate.joined import Joined, Node, Resource
from hostemr.operate.template import Template, transformed

_ORDER = (KeyKind.CUSTOMER, KeyKind.OUTSIDE, KeyKind.AWS, KeyKind.SOURCE, KeyKind.NONE)
_MARKS = {KeyKind.AWS: "A", KeyKind.SOURCE: "?", KeyKind.NONE: "!"}
_DRAWN_ELSEWHERE = {
    "AWS::EC2::VPC",
    "AWS::EC2::Subnet",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::EC2::VPCCidrBlock",
    "AWS::KMS::Key",
    "AWS::KMS::ReplicaKey",
    "AWS::KMS::Alias",
}
"""The frame, its bands, and the legend of keys."""
_WANTED_IN_BACKUPS = {
    "AWS::DocDB::DBCluster",
    "AWS::EFS::FileSystem",
    "AWS::FSx::FileSystem",
    "AWS::Neptune::DBCluster",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
}
"""What AWS Backup takes and holds an application's data; a server's disk may be copied by the server itself."""
_SERVICES = {
    "EC2": "network rules and routes",
    "IAM": "IAM roles and policies",
    "Lambda": "Lambda functions and permissions",
    "Events": "EventBridge rules",
    "SSM": "Parameter Store",
    "Route53": "DNS records",
    "Custom": "custom resources",
    "CloudFormation": "CloudFormation's own",
}
"""What an operator calls the resources of a service that are not drawn."""


def picture(templates: Mapping[str, Template], *, title: str) -> Picture:
    """The picture of a deployment whose stacks have these templates. Unknown types are counted, never dropped."""
    scene = Scene(Joined(templates))
    found = [*_edge(scene), *_network(scene)]
    found += _account(scene, frozenset(node for one in found for node in one.members))
    keys = _numbered(scene, found)
    marked = [replace(one, keys=tuple(_mark(keys, key) for key in one.keys)) for one in found]
    connections = tuple(flows(scene, marked))
    marked = [_backed_up(scene, one, connections) for one in marked]
    return Picture(
        title=title,
        summary=tuple(_summary(marked, connections)),
        components=(_people(scene, marked), *marked),
        flows=connections,
        keys=keys,
        network=_network_name(scene),
        network_notes=tuple(_network_notes(scene)),
        zones=scene.network.zones,
        subnets=tuple(scene.network.subnets.values()),
        left_out=_left_out(scene, found),
        notes=tuple(_notes(templates, scene)),
    )


def _edge(scene: Scene) -> Iterator[Component]:
    yield from entrances.domains(scene)
    yield from entrances.addresses(scene)
    yield from entrances.distributions(scene)
    yield from entrances.accelerators(scene)
    yield from entrances.firewalls(scene)


def _network(scene: Scene) -> list[Component]:
    found = [*entrances.balancers(scene), *compute.services(scene), *compute.servers(scene), *compute.gateways(scene)]
    found += compute.other_tasks(scene, frozenset(node for one in found for node in one.members))
    found += [*compute.analytics(scene), *compute.endpoints(scene)]
    return [*found, *stores.caches(scene), *stores.databases(scene), *stores.files(scene), *stores.volumes(scene)]


def _account(scene: Scene, taken: frozenset[Node]) -> list[Component]:
    found: list[Component] = []

    def so_far() -> frozenset[Node]:
        return taken | {node for one in found for node in one.members}

    found += [*account.backups(scene), *account.secrets(scene), *account.trails(scene)]
    found += account.logs(scene, so_far())
    found += [*account.alarms(scene), *account.mail(scene)]
    found += stores.buckets(scene, so_far())
    found += stores.others(scene, so_far())
    return found


def _people(scene: Scene, components: Sequence[Component]) -> Component:
    """Those who use it: the one box that no resource makes."""
    return Component(
        id=INTERNET,
        icon="people",
        title="People's browsers",
        place=Place.EDGE,
        members=(),
        details=(admitted(scene, components),),
        rank=0,
    )


def _numbered(scene: Scene, components: Sequence[Component]) -> tuple[Key, ...]:
    """Every key in use, marked; keys that the templates make also if nothing uses them."""
    made = [customer(scene.joined, one) for one in scene.joined.of("AWS::KMS::Key", "AWS::KMS::ReplicaKey")]
    # The most used first, which is mostly that of the patients' data.
    used = Counter(key for one in components for key in one.keys) + Counter(dict.fromkeys(made, 1))
    ordered = sorted(used, key=lambda key: (_ORDER.index(key.kind), -used[key]))
    numbers = iter(range(1, len(ordered) + 1))
    return tuple(replace(key, mark=_MARKS[key.kind] if key.kind in _MARKS else str(next(numbers))) for key in ordered)


def _mark(keys: Sequence[Key], key: Key) -> Key:
    return next(one for one in keys if replace(one, mark="") == key)


def _backed_up(scene: Scene, component: Component, connections: Sequence[Flow]) -> Component:
    """The component, with a warning if it should be in a backup plan and is in none."""
    main = component.members[0]
    if scene.joined.resources[main].type not in _WANTED_IN_BACKUPS or not component.stores:
        return component
    if any(flow.source == component.id and flow.beside and not flow.says for flow in connections):
        return component
    return replace(component, details=(*component.details, Said("in no plan of AWS Backup", Tone.WARN)))


def _summary(components: Sequence[Component], connections: Sequence[Flow]) -> Iterator[Said]:
    """What an auditor asks first, in three lines."""
    public = list(dict.fromkeys(one.title.lower() for one in components if one.public))
    yield Said(f"Public: {listed(public, 4)} only." if public else "Nothing is reached from the internet.")
    bare = stores.unencrypted(tuple(components))
    if bare:
        yield Said(f"Rests NOT encrypted: {listed(bare, 4)}.", Tone.BAD)
    else:
        yield Said("Everything that rests is encrypted.", Tone.GOOD)
    said = [(flow, one) for flow in connections for one in flow.says]
    bad = [f"{_title(components, flow)} ({one.text.split(',')[0]})" for flow, one in said if one.tone is Tone.BAD]
    weak = [_title(components, flow) for flow, one in said if one.tone is Tone.WARN]
    if bad:
        yield Said(f"Travels NOT encrypted, or open to all: {listed(list(dict.fromkeys(bad)), 3)}.", Tone.BAD)
    elif weak:
        yield Said(f"Encryption on the way is not enforced: {listed(list(dict.fromkeys(weak)), 3)}.", Tone.WARN)
    elif said:
        yield Said("Everything that travels along the arrows is encrypted.", Tone.GOOD)


def _title(components: Sequence[Component], flow: Flow) -> str:
    return "to the " + next(one.title.lower() for one in components if one.id == flow.target)


def _network_name(scene: Scene) -> str:
    networks = scene.joined.of("AWS::EC2::VPC")
    ranges = [scene.joined.text(one, "CidrBlock") or "addresses given at launch" for one in networks]
    return f"Your network (VPC) {listed(ranges, 2)}" if networks else "A network that these templates do not make"


def _network_notes(scene: Scene) -> Iterator[Said]:
    if scene.joined.of("AWS::EC2::VPC") and not scene.joined.of("AWS::EC2::FlowLog"):
        yield Said("connections are not logged", Tone.WARN)
    if len(scene.network.zones) == 1:
        yield Said("one zone: if it fails, all stops", Tone.WARN)


def _left_out(scene: Scene, components: Sequence[Component]) -> dict[str, int]:
    drawn = {node for one in components for node in one.members}
    missing = Counter(
        _service(one)
        for one in scene.joined.resources.values()
        if one.node not in drawn and one.type not in _DRAWN_ELSEWHERE
    )
    return dict(sorted(missing.items(), key=lambda item: (-item[1], item[0])))


def _service(resource: Resource) -> str:
    parts = resource.type.split("::")
    name = "Custom" if parts[0] == "Custom" else parts[1] if len(parts) > 1 else resource.type
    return _SERVICES.get(name, name)


def _notes(templates: Mapping[str, Template], scene: Scene) -> Iterator[str]:
    absent = len(scene.joined.not_made)
    if absent:
        yield f"Not made with the parameters' defaults: {counted(absent, 'resource')}."
    for name, template in templates.items():
        if transformed(template):
            yield f"{name} is finished by a transform when it is deployed: it may make more than is drawn."
