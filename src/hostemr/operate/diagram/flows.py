"""Who opens connections to whom, through which ports, and whether what travels is encrypted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hostemr.operate.diagram.entrances import listening
from hostemr.operate.diagram.model import Component, Flow, Place, Said, Tone
from hostemr.operate.diagram.network import everywhere
from hostemr.operate.diagram.scene import Scene
from hostemr.operate.diagram.words import listed
from hostemr.operate.joined import Resource

INTERNET = "internet"
_PORTS = {
    "AWS::RDS::DBCluster": 3306,
    "AWS::RDS::DBInstance": 3306,
    "AWS::DocDB::DBCluster": 27017,
    "AWS::Neptune::DBCluster": 8182,
    "AWS::EFS::FileSystem": 2049,
    "AWS::ElastiCache::ServerlessCache": 6379,
    "AWS::ElastiCache::ReplicationGroup": 6379,
    "AWS::ElastiCache::CacheCluster": 6379,
    "AWS::MemoryDB::Cluster": 6379,
}
"""Where each listens unless its Port says otherwise (RDS: MySQL's; PostgreSQL's is 5432)."""
_COMPUTE = ("AWS::ECS::Service", "AWS::EC2::Instance", "AWS::AutoScaling::AutoScalingGroup", "AWS::ECS::TaskDefinition")
_BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
_USUAL = {22: "SSH", 80: "HTTP", 443: "HTTPS", 3389: "RDP", 3306: "MySQL"}


def flows(scene: Scene, components: Sequence[Component]) -> Iterator[Flow]:
    """All flows that the picture shows, each pair of components once."""
    for one in components:
        main = scene.joined.resources[one.members[0]]
        if one.public and one.place is Place.NETWORK:
            yield Flow(INTERNET, one.id, tuple(entry(scene, one)))
        if main.type == _BALANCER:
            yield from _onward(scene, one, components)
        if main.type in _PORTS:
            yield from _reached(scene, one, main, components)
        if main.type == "AWS::EC2::Volume":
            yield from _attached(scene, one, main, components)
        if main.type.startswith("AWS::Backup::") and main.type.endswith("Vault"):
            yield from _backed_up(scene, one, components)
        if one.place is Place.ACCOUNT:
            yield from _written(scene, one, components)


def entry(scene: Scene, component: Component) -> Iterator[Said]:
    """Through which ports the internet reaches a component."""
    main = scene.joined.resources[component.members[0]]
    if main.type == _BALANCER:
        yield from listening(scene, main)
        return
    groups = scene.network.groups_of(*(scene.joined.resources[node] for node in component.members))
    doors = [door for door in scene.network.into(groups) if door.network]
    for port in sorted({door.first for door in doors if door.first is not None}, key=lambda p: (p != 443, p)):
        found = [door for door in doors if door.first == port]
        open_ = any(everywhere(door.network) for door in found)
        if port == 443:
            yield Said("443 HTTPS", Tone.GOOD)
        elif port == 80:
            redirects = any("redirect" in door.says.lower() for door in found)
            yield (
                Said("80 only redirects, it says", Tone.MUTED)
                if redirects
                else Said("80 HTTP, NOT encrypted", Tone.BAD)
            )
        else:
            name = f"{port} {_USUAL.get(port, '')}".strip()
            yield Said(f"{name}, open to all", Tone.BAD) if open_ else Said(name, Tone.WARN)
    if any(door.first is None for door in doors):
        yield Said("every port", Tone.BAD)


def admitted(scene: Scene, components: Sequence[Component]) -> Said:
    """Which networks may enter at all, by the security groups of what is public."""
    public = [one for one in components if one.public and one.place is Place.NETWORK]
    networks: dict[str, None] = {}
    for one in public:
        groups = scene.network.groups_of(*(scene.joined.resources[node] for node in one.members))
        networks.update(dict.fromkeys(door.network for door in scene.network.into(groups) if door.network))
    if any(everywhere(network) for network in networks):
        return Said("anybody on the internet", Tone.WARN)
    if not networks:
        return Said("nobody is let in yet", Tone.WARN) if public else Said("nothing here is public", Tone.MUTED)
    return Said(f"only from {listed(list(networks), 2)}", Tone.GOOD)


def _onward(scene: Scene, balancer: Component, components: Sequence[Component]) -> Iterator[Flow]:
    """From a load balancer to what is registered in its target groups."""
    groups = [one for node in balancer.members if (one := scene.joined.resources[node]).type.endswith("TargetGroup")]
    for group in groups:
        protocol, port = scene.joined.text(group, "Protocol"), scene.joined.text(group, "Port")
        tone = Tone.GOOD if protocol in {"HTTPS", "TLS"} else Tone.BAD if protocol == "HTTP" else Tone.WARN
        said = Said(f"{port} {protocol}".strip() + ("" if tone is Tone.GOOD else ", NOT encrypted"), tone)
        users = {one.node for one in scene.using(group, *_COMPUTE)}
        users |= {one.node for one in scene.joined.targets(group, "Targets")}
        for target in components:
            if target.id != balancer.id and users & set(target.members[:1]):
                yield Flow(balancer.id, target.id, (said,))


def _reached(scene: Scene, store: Component, main: Resource, components: Sequence[Component]) -> Iterator[Flow]:
    """From whatever the store's security groups let in on the store's port."""
    joined = scene.joined
    usual = 5432 if "postgres" in joined.text(main, "Engine") else _PORTS[main.type]
    port = int(written) if (written := joined.text(main, "Port")).isdecimal() else usual
    own = scene.network.groups_of(*(joined.resources[node] for node in store.members))
    allowed = {door.source for door in scene.network.into(own) if door.source and door.lets_in(port)}
    for one in components:
        resources = [joined.resources[node] for node in one.members]
        if one.id == store.id or one.place is not Place.NETWORK or resources[0].type not in _COMPUTE:
            continue
        users = [u for r in resources for u in scene.using(r, "AWS::Lambda::Function", "AWS::Events::Rule")]
        asks = scene.network.groups_of(*resources, *(users if resources[0].type == "AWS::ECS::TaskDefinition" else []))
        mounts = main.type == "AWS::EFS::FileSystem" and any(
            main.node == found.node for r in resources for found in joined.targets(r, "Volumes")
        )
        if asks & allowed or mounts:
            yield Flow(one.id, store.id, (_travel(scene, main, port, resources),))


def _travel(scene: Scene, store: Resource, port: int, users: Sequence[Resource]) -> Said:
    joined = scene.joined
    plain = Said(f"{port}, NOT encrypted", Tone.BAD)
    encrypted = Said(f"{port} TLS", Tone.GOOD)
    if store.type == "AWS::EFS::FileSystem":
        volumes = [
            (user, volume["EFSVolumeConfiguration"])
            for user in users
            for volume in user.items("Volumes")
            if isinstance(volume, Mapping) and isinstance(volume.get("EFSVolumeConfiguration"), Mapping)
        ]
        ours = [v for user, v in volumes if any(f.node == store.node for f in joined.referred(user, v))]
        return encrypted if ours and all(v.get("TransitEncryption") == "ENABLED" for v in ours) else plain
    if store.type == "AWS::ElastiCache::ServerlessCache":
        return encrypted
    if store.type.startswith(("AWS::ElastiCache", "AWS::MemoryDB")):
        name = "TLSEnabled" if "MemoryDB" in store.type else "TransitEncryptionEnabled"
        wanted = joined.flag(store, name)
        return encrypted if wanted or (wanted is None and "MemoryDB" in store.type) else plain
    settings = [one for one in joined.targets(store) if one.type.endswith("ParameterGroup")]
    wanted_by = {joined.text(one, "Parameters", name).lower() for one in settings for name in _FORCING}
    if wanted_by & {"on", "1", "true"}:
        return encrypted
    return Said(f"{port}, TLS not enforced", Tone.WARN)


_FORCING = ("require_secure_transport", "rds.force_ssl", "tls")
"""Parameters that refuse connections without TLS: MySQL's, PostgreSQL's, DocumentDB's."""


def _attached(scene: Scene, volume: Component, main: Resource, components: Sequence[Component]) -> Iterator[Flow]:
    """A disk belongs to the server whose properties, launch template or role name it."""
    for one in components:
        resources = [scene.joined.resources[node] for node in one.members]
        if resources[0].type in _COMPUTE and main.node in scene.named(resources):
            yield Flow(one.id, volume.id, (Said("attached", Tone.MUTED),))


def _written(scene: Scene, box: Component, components: Sequence[Component]) -> Iterator[Flow]:
    """From tasks and servers to buckets that their roles may use; S3 takes HTTPS."""
    buckets = {node for node in box.members if scene.joined.resources[node].type == "AWS::S3::Bucket"}
    for one in components if buckets else ():
        resources = [scene.joined.resources[node] for node in one.members]
        if resources[0].type in _COMPUTE and buckets & scene.named(resources):
            yield Flow(one.id, box.id, (Said("443 HTTPS", Tone.GOOD),), beside=True)


def _backed_up(scene: Scene, vault: Component, components: Sequence[Component]) -> Iterator[Flow]:
    """From what a selection of the vault's plans names, or matches by tag."""
    joined = scene.joined
    members = [joined.resources[node] for node in vault.members]
    selections = [one for one in members if one.type == "AWS::Backup::BackupSelection"]
    for component in components if selections else ():
        held = [joined.resources[node] for node in component.members]
        alike = [one for one in held if one.type == held[0].type]
        if component.stores and any(_selected(scene, plan, one) for plan in selections for one in alike):
            yield Flow(component.id, vault.id, (), beside=True)


def _selected(scene: Scene, selection: Resource, resource: Resource) -> bool:
    joined = scene.joined
    if any(found.node == resource.node for found in joined.targets(selection, "BackupSelection", "Resources")):
        return True
    wanted = [item for item in selection.items("BackupSelection", "ListOfTags") if isinstance(item, Mapping)]
    tags = _tags(scene, resource)
    return any(tags.get(str(tag.get("ConditionKey"))) == str(tag.get("ConditionValue")) for tag in wanted)


def _tags(scene: Scene, resource: Resource) -> dict[str, str]:
    for name in ("Tags", "FileSystemTags"):
        items = resource.items(name)
        if items:
            return {
                str(item.get("Key")): scene.joined.written(resource, item.get("Value"))
                for item in items
                if isinstance(item, Mapping)
            }
    return {}
