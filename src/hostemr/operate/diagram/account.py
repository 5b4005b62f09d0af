"""What stands beside the network, in the account: backups, secrets, records, alarms, mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hostemr.operate.diagram.model import Component, Place, Said, Tone
from hostemr.operate.diagram.scene import Scene, identity, members
from hostemr.operate.diagram.stores import bucket_manners, bucket_policies
from hostemr.operate.diagram.words import counted, listed, shortened, spoken, time
from hostemr.operate.joined import Node, Resource, within

_VAULTS = ("AWS::Backup::BackupVault", "AWS::Backup::LogicallyAirGappedBackupVault")
_QUEUE_SECONDS = "345600"
"""How long a queue keeps messages unless it says otherwise (SQS API Reference, MessageRetentionPeriod)."""
_HOLDING = ("AWS::SNS::Topic", "AWS::SQS::Queue")
_SHOWN = 4
"""How many secrets are named."""


def backups(scene: Scene) -> Iterator[Component]:
    """Vaults, with the plans that fill them and the tests that empty them."""
    joined = scene.joined
    for one in joined.of(*_VAULTS):
        plans = scene.using(one, "AWS::Backup::BackupPlan")
        selections = [found for plan in plans for found in scene.using(plan, "AWS::Backup::BackupSelection")]
        tests = scene.using(one, "AWS::Backup::RestoreTestingPlan")
        # A selection may give its plan's name as a text, which nothing ties to the plan.
        tried = joined.of("AWS::Backup::RestoreTestingSelection") if tests else []
        yield scene.store(
            [one],
            icon="vault",
            title="Backups (AWS Backup)",
            place=Place.ACCOUNT,
            rank=10,
            details=_backups(scene, one, plans, tests),
            beside=[*plans, *selections, *tests, *tried],
        )


def _backups(scene: Scene, vault: Resource, plans: list[Resource], tests: list[Resource]) -> Iterator[Said]:
    joined = scene.joined
    rules = [
        (plan, rule)
        for plan in plans
        for rule in plan.items("BackupPlan", "BackupPlanRule")
        if isinstance(rule, Mapping)
    ]
    for plan, rule in rules[:4]:
        days = str(joined.known(plan, within(rule, "Lifecycle", "DeleteAfterDays")))
        kept = f"kept {time(days)}" if days.isdigit() else "kept for ever"
        yield Said(f"{_rhythm(str(rule.get('ScheduleExpression', '')), str(rule.get('RuleName', '')))}, {kept}")
    if not rules:
        yield Said("no plan fills it", Tone.WARN)
    copies = list(dict.fromkeys(_copy(scene, plan, rule) for plan, rule in rules if rule.get("CopyActions")))
    if copies:
        yield Said(f"copied to {listed(copies, 2)}", Tone.GOOD)
    if vault.raw("LockConfiguration") is not None or "AirGapped" in vault.type:
        yield Said("locked: nobody can delete early", Tone.GOOD)
    elif "DeleteRecoveryPoint" in str(vault.raw("AccessPolicy")):
        yield Said("deleting is forbidden", Tone.GOOD)
    if tests:
        often = _rhythm(joined.text(tests[0], "ScheduleExpression"), "Regularly").lower()
        yield Said(f"restores tested {often}", Tone.GOOD)
    else:
        yield Said("restores are not tested by themselves", Tone.WARN)


def _rhythm(cron: str, name: str) -> str:
    """How often, by AWS's cron: minutes, hours, day of month, month, day of week, year (EventBridge Scheduler)."""
    fields = cron.removeprefix("cron(").removesuffix(")").split()
    if len(fields) != 6:
        return "Daily" if not cron else spoken(name)
    if fields[4] not in {"?", "*"}:
        # `1#2` is the second Sunday of a month, `6L` its last Friday.
        return "Monthly" if "#" in fields[4] or fields[4].endswith("L") else "Weekly"
    return "Monthly" if fields[2] not in {"?", "*"} and "/" not in fields[2] else "Daily"


def _copy(scene: Scene, plan: Resource, rule: Mapping[str, Any]) -> str:
    actions = rule["CopyActions"]
    first = actions[0] if isinstance(actions, list) and actions else None
    text = scene.joined.written(plan, within(first, "DestinationBackupVaultArn"))
    parts = text.split(":")
    return parts[3] if len(parts) > 4 and parts[3].strip("…") else "another vault"


def secrets(scene: Scene) -> Iterator[Component]:
    """All secrets, in one box; also those that RDS makes and keeps itself."""
    joined = scene.joined
    found = joined.of("AWS::SecretsManager::Secret")
    by_rds = [one for one in joined.of("AWS::RDS::DBCluster", "AWS::RDS::DBInstance") if _managed(scene, one)]
    if not found:
        return
    turning = [rule for one in found for rule in scene.using(one, "AWS::SecretsManager::RotationSchedule")]
    ties = [tie for one in found for tie in scene.using(one, "AWS::SecretsManager::SecretTargetAttachment")]
    said = [Said(_purpose(scene, one), Tone.MUTED) for one in found[:_SHOWN]]
    if len(found) > _SHOWN:
        said.append(Said(f"and {len(found) - _SHOWN} more", Tone.MUTED))
    if by_rds:
        said.append(Said("the database's master password is renewed by RDS"))
    if turning:
        said.append(Said(f"{len({one.node for one in turning})} renewed by schedule", Tone.GOOD))
    yield scene.store(
        found,
        icon="key",
        title=counted(len(found), "secret"),
        place=Place.ACCOUNT,
        rank=20,
        details=said,
        beside=[*turning, *ties],
    )


def _purpose(scene: Scene, secret: Resource) -> str:
    text = scene.joined.written(secret, secret.raw("Description"))
    text = text.removeprefix(f"{secret.stack}: ").split(";")[0].split(". ")[0]
    return shortened(text, 50) if text.strip("…") else spoken(secret.logical_id)


def _managed(scene: Scene, database: Resource) -> bool:
    return scene.joined.flag(database, "ManageMasterUserPassword") is True


def trails(scene: Scene) -> Iterator[Component]:
    """The audit trail with the bucket it is written to."""
    joined = scene.joined
    for one in joined.of("AWS::CloudTrail::Trail"):
        buckets = joined.targets(one, "S3BucketName")
        said = [Said("who did what in the account")]
        if joined.flag(one, "EnableLogFileValidation"):
            said.append(Said("tampering shows", Tone.GOOD))
        else:
            said.append(Said("tampering would not show", Tone.WARN))
        ends = [str(found) for bucket in buckets for found in _expiry(scene, bucket)]
        said.append(Said(f"kept {time(ends[0])}") if ends else Said("never expires", Tone.MUTED))
        drawn = scene.store(
            [one, *buckets],
            icon="trail",
            title="Audit trail (CloudTrail)",
            place=Place.ACCOUNT,
            rank=40,
            details=[*said, *bucket_manners(scene, buckets)],
            beside=bucket_policies(scene, buckets),
        )
        yield _judged_by(drawn, buckets)


def _judged_by(trail: Component, buckets: list[Resource]) -> Component:
    """A trail that goes leaves its files: whether they are kept is the bucket's affair."""
    kept = bool(buckets) and all(one.kept for one in buckets)
    details = tuple(said for said in trail.details if not (kept and "deleted with the stack" in said.text))
    fields = {name: getattr(trail, name) for name in Component.__slots__ if name not in {"kept", "details"}}
    return Component(**fields, kept=kept, details=details)


def _expiry(scene: Scene, bucket: Resource) -> Iterator[object]:
    for rule in bucket.items("LifecycleConfiguration", "Rules"):
        if isinstance(rule, Mapping) and "ExpirationInDays" in rule:
            yield scene.joined.known(bucket, rule["ExpirationInDays"])


def logs(scene: Scene, taken: frozenset[Node]) -> Iterator[Component]:
    """Log groups, the network's flow logs, and the buckets that access logs go to."""
    joined = scene.joined
    groups = joined.of("AWS::Logs::LogGroup")
    flows = joined.of("AWS::EC2::FlowLog")
    buckets = [one for one in _log_buckets(scene) if one.node not in taken]
    if not groups and not flows and not buckets:
        return
    said = []
    if groups:
        days = sorted({int(text) for one in groups if (text := joined.text(one, "RetentionInDays")).isdigit()})
        endless = any(one.raw("RetentionInDays") is None for one in groups)
        until = "for ever" if endless else time(str(days[-1])) if days else "a time given at launch"
        least = f"{time(str(days[0]))} to {until}" if days and (endless or len(days) > 1) else until
        said.append(Said(f"{counted(len(groups), 'log group')}, kept {least}"))
    if flows:
        said.append(Said("connections of the network (flow log)"))
    if buckets:
        said.append(Said("access logs", Tone.MUTED))
    yield scene.store(
        [*groups, *buckets] or flows,
        icon="logs",
        title="Logs",
        place=Place.ACCOUNT,
        rank=45,
        details=said,
        beside=[*flows, *bucket_policies(scene, buckets)],
        loss=Tone.MUTED,
    )


def _log_buckets(scene: Scene) -> list[Resource]:
    """The buckets that something else than the application writes its logs to."""
    joined = scene.joined
    found: dict[Node, Resource] = {}
    for one in joined.resources.values():
        places: list[Any] = []
        if one.type == "AWS::S3::Bucket":
            places = [one.raw("LoggingConfiguration", "DestinationBucketName")]
        elif one.type == "AWS::EC2::FlowLog":
            places = [one.raw("LogDestination")]
        elif one.type == "AWS::ElasticLoadBalancingV2::LoadBalancer":
            attributes = one.items("LoadBalancerAttributes")
            places = [a.get("Value") for a in attributes if isinstance(a, Mapping) and "s3.bucket" in str(a.get("Key"))]
        for target in (target for place in places for target in joined.referred(one, place)):
            if target.type == "AWS::S3::Bucket":
                found[target.node] = target
    return list(found.values())


def alarms(scene: Scene) -> Iterator[Component]:
    """Alarms, the topics they go to, and who hears them."""
    joined = scene.joined
    alarms = joined.of("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    reports = _reports(scene)
    topics = [one for one in joined.of("AWS::SNS::Topic") if one not in reports]
    if not alarms and not topics:
        return
    people = [one for one in joined.of("AWS::SNS::Subscription") if one not in reports]
    dashboards = joined.of("AWS::CloudWatch::Dashboard")
    policies = [one for one in joined.of("AWS::SNS::TopicPolicy") if one not in reports]
    heard = [joined.written(one, one.raw("Endpoint")) for one in people]
    said = []
    if heard:
        said.append(
            Said(f"tell {listed([who.strip('…') or 'someone given at launch' for who in heard], 2)}", Tone.GOOD)
        )
    else:
        said.append(Said("nobody is told", Tone.WARN))
    if dashboards:
        said.append(Said("a dashboard", Tone.MUTED))
    main = topics or alarms
    yield Component(
        id=identity(main[0].node),
        icon="bell",
        title=counted(len(alarms), "alarm") if alarms else "Notices",
        place=Place.ACCOUNT,
        members=members(*main, *alarms, *people, *policies, *dashboards),
        details=tuple(said),
        keys=scene.keys(topics),
        rank=50,
    )


def _reports(scene: Scene) -> list[Resource]:
    """The topics that SES reports to, who subscribes to them, and the queues of what could not be delivered."""
    joined = scene.joined
    destinations = joined.of("AWS::SES::ConfigurationSetEventDestination")
    topics = [one for each in destinations for one in joined.targets(each) if one.type == "AWS::SNS::Topic"]
    # A subscription in another stack names the topic by its ARN's text.
    ties = joined.of("AWS::SNS::Subscription", "AWS::SNS::TopicPolicy")
    tied = [one for one in ties if any(topic in joined.targets(one) for topic in topics) or _to_web(scene, one)]
    policies = [one for one in joined.of("AWS::SQS::QueuePolicy") if any(t in joined.targets(one) for t in topics)]
    queues = [one for policy in policies for one in joined.targets(policy, "Queues")]
    return [*destinations, *topics, *tied, *policies, *queues] if topics else []


def _to_web(scene: Scene, subscription: Resource) -> bool:
    return scene.joined.text(subscription, "Protocol") in {"http", "https"}


def mail(scene: Scene) -> Iterator[Component]:
    """Mail through Amazon SES, and its way back: what SES reports of it."""
    joined = scene.joined
    identities = joined.of("AWS::SES::EmailIdentity")
    sets = joined.of("AWS::SES::ConfigurationSet")
    received = joined.of("AWS::SES::ReceiptRule", "AWS::SES::ReceiptRuleSet", "Custom::ReceiptRule")
    if not identities and not received:
        return
    names = [joined.written(one, one.raw("EmailIdentity")) for one in identities]
    said = [Said(f"sends as {listed(names, 2)}")] if names else []
    if received:
        said.append(Said("receives, archives and forwards"))
    reports = _reports(scene)
    hearing = [joined.written(one, one.raw("Endpoint")) for one in reports if _to_web(scene, one)]
    queues = [one for one in reports if one.type == "AWS::SQS::Queue"]
    if reports:
        said.append(Said(f"reports to {listed(hearing, 2)}" if hearing else "reports to a topic"))
    if queues:
        seconds = joined.text(queues[0], "MessageRetentionPeriod") or _QUEUE_SECONDS
        days = f"{int(seconds) // 86_400}" if seconds.isdigit() else "?"
        said.append(Said(f"undelivered reports kept {time(days)}", Tone.MUTED))
    records = [one for one in joined.of("AWS::Route53::RecordSet") if joined.text(one, "Type") in {"MX", "TXT"}]
    yield Component(
        id=identity((identities + received)[0].node),
        icon="mail",
        title="Mail (SES)",
        place=Place.ACCOUNT,
        members=members(*identities, *sets, *received, *records, *reports),
        details=tuple(said),
        keys=scene.keys([one for one in reports if one.type in _HOLDING]),
        rank=60,
    )
