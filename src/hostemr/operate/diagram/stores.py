"""What holds the application's data: databases, files, caches, disks, buckets, and anything else that lasts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hostemr.operate.diagram.model import Component, KeyKind, Place, Said, Tone
from hostemr.operate.diagram.scene import Scene
from hostemr.operate.diagram.words import counted, engine, span, spoken, time
from hostemr.operate.joined import Node, Resource
from hostemr.operate.stateful import STATEFUL, holds_state

_CLUSTERS = ("AWS::RDS::DBCluster", "AWS::DocDB::DBCluster", "AWS::Neptune::DBCluster")
_INSTANCES = ("AWS::RDS::DBInstance", "AWS::DocDB::DBInstance", "AWS::Neptune::DBInstance")
_CACHES = (
    "AWS::ElastiCache::ServerlessCache",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::ElastiCache::CacheCluster",
    "AWS::MemoryDB::Cluster",
)
_FILES = ("AWS::EFS::FileSystem", "AWS::FSx::FileSystem")
_TOGETHER = 5
"""More buckets, or other stores of one type, than this share one box."""


def databases(scene: Scene) -> Iterator[Component]:
    """Database clusters with their instances, and instances that stand alone."""
    for one in scene.joined.of(*_CLUSTERS):
        instances = scene.using(one, *_INSTANCES)
        groups = [g for owner in (one, *instances) for g in _settings(scene, owner)]
        yield scene.store(
            [one],
            icon="database",
            title=f"{'' if one.type == _CLUSTERS[0] else one.type.split('::')[1] + ' '}{_engine(scene, one)} database",
            place=Place.NETWORK,
            rank=60,
            details=_database(scene, one, instances),
            beside=[*instances, *groups],
        )
    for one in scene.joined.of("AWS::RDS::DBInstance"):
        if "DBClusterIdentifier" not in one.properties:
            yield scene.store(
                [one],
                icon="database",
                title=f"{_engine(scene, one)} database",
                place=Place.NETWORK,
                rank=60,
                details=_database(scene, one, [one]),
                beside=_settings(scene, one),
            )


def _engine(scene: Scene, resource: Resource) -> str:
    named = scene.joined.text(resource, "Engine")
    return engine(named) if named else resource.type.split("::")[1]


def _settings(scene: Scene, owner: Resource) -> list[Resource]:
    wanted = ("SubnetGroup", "ParameterGroup")
    return [one for one in scene.joined.targets(owner) if one.type.endswith(wanted)]


def _database(scene: Scene, one: Resource, instances: list[Resource]) -> Iterator[Said]:
    joined = scene.joined
    if instances and instances[0] is not one:
        readers = len(instances) - 1
        yield Said("1 writer" + (f" + {counted(readers, 'reader')}" if readers else ", no second instance"))
    elif instances:
        twice = joined.flag(one, "MultiAZ")
        yield Said(
            "a standby in another zone" if twice else "one instance, one zone", Tone.PLAIN if twice else Tone.WARN
        )
    low, high = (joined.text(one, "ServerlessV2ScalingConfiguration", name) for name in ("MinCapacity", "MaxCapacity"))
    if high:
        yield Said(span(low or "?", high, "capacity unit"))
    if any(joined.flag(found, "PubliclyAccessible") for found in instances):
        yield Said("has a PUBLIC address", Tone.BAD)
    days = joined.text(one, "BackupRetentionPeriod") or "1"
    if days == "0":
        yield Said("no automatic backups", Tone.BAD)
    else:
        yield Said(f"any second of the last {time(days)}" if days != "1" else "any second of the last day", Tone.MUTED)
    if joined.flag(one, "DeletionProtection"):
        yield Said("protected against deletion", Tone.MUTED)
    else:
        yield Said("not protected against deletion", Tone.WARN)


def files(scene: Scene) -> Iterator[Component]:
    """File systems with their mount targets."""
    for one in scene.joined.of(*_FILES):
        mounts = scene.using(one, "AWS::EFS::MountTarget")
        points = scene.using(one, "AWS::EFS::AccessPoint")
        several = len(scene.joined.of(*_FILES)) > 1
        said = (
            [Said(counted(len(mounts), "door into the network", "doors into the network"), Tone.MUTED)]
            if mounts
            else []
        )
        yield scene.store(
            [one],
            icon="files",
            title="Files (EFS)" + (f": {spoken(one.logical_id)}" if several else ""),
            place=Place.NETWORK,
            rank=70,
            details=said,
            beside=points,
            where=mounts,
        )


def caches(scene: Scene) -> Iterator[Component]:
    """Caches: what they hold can be made again, but is read by whoever gets at it."""
    joined = scene.joined
    for one in joined.of(*_CACHES):
        named = joined.text(one, "Engine") or ("redis" if "Memory" not in one.type else "valkey")
        limit = joined.text(one, "CacheUsageLimits", "DataStorage", "Maximum")
        said = [Said(f"sessions, at most {limit} GB" if limit else "sessions and the like")]
        users = [found for found in joined.targets(one) if found.type.startswith("AWS::ElastiCache::User")]
        if one.type.endswith("ServerlessCache") and "UserGroupId" not in one.properties:
            said.append(Said("no password asked", Tone.WARN))
        more = [found for user in users for found in joined.targets(user) if found.type == "AWS::ElastiCache::User"]
        yield scene.store(
            [one],
            icon="cache",
            title=f"{engine(named)} cache",
            place=Place.NETWORK,
            rank=50,
            details=said,
            beside=[*users, *more, *_settings(scene, one)],
        )


def volumes(scene: Scene) -> Iterator[Component]:
    """Disks that outlive a server; they stand in their server's subnets."""
    joined = scene.joined
    servers = joined.of("AWS::EC2::Instance", "AWS::AutoScaling::AutoScalingGroup")
    for one in joined.of("AWS::EC2::Volume"):
        size = joined.text(one, "Size")
        named = scene.store(
            [one],
            icon="disk",
            title=f"Disk: {spoken(one.logical_id)}",
            place=Place.NETWORK,
            rank=60,
            details=[Said(f"{size} GB" if size else "a size given at launch")],
            beside=scene.using(one, "AWS::EC2::VolumeAttachment"),
            where=[],
        )
        yield _among(scene, named, servers)


def _among(scene: Scene, volume: Component, servers: list[Resource]) -> Component:
    launches = [
        found for one in servers for found in scene.joined.targets(one) if found.type == "AWS::EC2::LaunchTemplate"
    ]
    return Component(
        **{name: getattr(volume, name) for name in Component.__slots__ if name != "subnets"},
        subnets=scene.network.subnets_of(*servers, *launches),
    )


def buckets(scene: Scene, taken: frozenset[Node]) -> Iterator[Component]:
    """Buckets that no other box has, such as those of the trail."""
    found = [one for one in scene.joined.of("AWS::S3::Bucket") if one.node not in taken]
    groups = [[one] for one in found] if len(found) <= _TOGETHER else [found]
    for group in groups:
        title = f"Bucket: {_bucket_name(group[0])}" if len(group) == 1 else counted(len(group), "bucket")
        said = [] if len(group) == 1 else [Said(", ".join(_bucket_name(one) for one in group), Tone.MUTED)]
        yield scene.store(
            group,
            icon="bucket",
            title=title,
            place=Place.ACCOUNT,
            rank=30,
            details=[*said, *bucket_manners(scene, group)],
            beside=bucket_policies(scene, group),
        )


def _bucket_name(bucket: Resource) -> str:
    name = spoken(bucket.logical_id)
    return name.removesuffix(" bucket").lower() if name[1:2].islower() else name.removesuffix(" bucket")


def bucket_manners(scene: Scene, found: list[Resource]) -> Iterator[Said]:
    """What an auditor asks of buckets: can strangers read them, do old versions stay, can they be deleted."""
    joined = scene.joined
    if any(_open(scene, one) for one in found):
        yield Said("may be read by anybody", Tone.BAD)
    if all(joined.text(one, "VersioningConfiguration", "Status") == "Enabled" for one in found):
        yield Said("old versions kept", Tone.MUTED)
    if any(isinstance(one.raw("ObjectLockConfiguration", "Rule", "DefaultRetention"), Mapping) for one in found):
        yield Said("locked against deletion", Tone.GOOD)


def _open(scene: Scene, bucket: Resource) -> bool:
    """S3 blocks public access unless a bucket says otherwise (since April 2023: S3 User Guide)."""
    joined = scene.joined
    refused = [
        joined.flag(bucket, "PublicAccessBlockConfiguration", name) for name in ("BlockPublicPolicy", "BlockPublicAcls")
    ]
    written = bucket.raw("PublicAccessBlockConfiguration") is not None
    return joined.text(bucket, "AccessControl").startswith("PublicRead") or (written and not all(refused))


def bucket_policies(scene: Scene, found: list[Resource]) -> list[Resource]:
    """The policies of some buckets."""
    return [
        policy
        for one in found
        for policy in scene.joined.of("AWS::S3::BucketPolicy")
        if any(target.node == one.node for target in scene.joined.targets(policy, "Bucket"))
    ]


def others(scene: Scene, taken: frozenset[Node]) -> Iterator[Component]:
    """Whatever holds state and has no box yet, by type."""
    by_type: dict[str, list[Resource]] = {}
    for one in scene.joined.resources.values():
        if one.node not in taken and holds_state({"Type": one.type, "Properties": one.properties}):
            by_type.setdefault(one.type, []).append(one)
    for type_name, found in sorted(by_type.items()):
        if type_name == "AWS::KMS::Key":
            continue
        _, service, kind = type_name.split("::", 2)
        inside = bool(scene.network.subnets_of(*found))
        yield scene.store(
            found,
            icon="bucket",
            title=f"{service} {spoken(kind).lower()}" + ("" if len(found) == 1 else f", {len(found)} of them"),
            place=Place.NETWORK if inside else Place.ACCOUNT,
            rank=75,
            details=[Said(f"holds {STATEFUL[type_name]}", Tone.MUTED)],
        )


def unencrypted(components: tuple[Component, ...]) -> list[str]:
    """The titles of those that hold something without encryption."""
    return [one.title for one in components if any(key.kind is KeyKind.NONE for key in one.keys)]
