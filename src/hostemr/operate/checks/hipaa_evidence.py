"""What in templates meets a requirement: each function names resources, with the property that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hostemr.operate.checks.backup_selection import backed_up_otherwise, selections, to_back_up
from hostemr.operate.checks.encrypted_at_rest import SWITCHES
from hostemr.operate.checks.ingress_open import WORLD, rules
from hostemr.operate.checks.key_outlives_data import keys_of
from hostemr.operate.checks.stateful_retained import judged
from hostemr.operate.checks.templates import Resource, Templates, at


@dataclass(frozen=True, slots=True)
class Evidence:
    """A resource, and what it shows."""

    template: str
    logical_id: str
    type: str
    shows: str


Source = Callable[[Templates], Iterator[Evidence]]


def _shown(resource: Resource, shows: str) -> Evidence:
    return Evidence(resource.stack, resource.logical_id, resource.type, shows)


def _text(templates: Templates, resource: Resource, *path: str) -> str:
    return ", ".join(dict.fromkeys(templates.text(resource.stack, one) for one in resource.at(*path)))


def trails(templates: Templates) -> Iterator[Evidence]:
    """CloudTrail."""
    for one in templates.of("AWS::CloudTrail::Trail"):
        if templates.is_true(one, "IsLogging"):
            where = "all regions" if templates.is_true(one, "IsMultiRegionTrail") else "this region"
            yield _shown(one, f"IsLogging: records the calls to AWS in {where}")


def trail_integrity(templates: Templates) -> Iterator[Evidence]:
    """Digests of the trail's files."""
    for one in templates.of("AWS::CloudTrail::Trail"):
        if templates.is_true(one, "EnableLogFileValidation"):
            yield _shown(one, "EnableLogFileValidation: digests show whether a file was changed")


def access_logs(templates: Templates) -> Iterator[Evidence]:
    """Logs of the network, the firewall, the load balancer and buckets."""
    for one in templates.of("AWS::EC2::FlowLog"):
        yield _shown(one, f"TrafficType {_text(templates, one, 'TrafficType')}: records connections")
    for one in templates.of("AWS::WAFv2::LoggingConfiguration"):
        yield _shown(one, "LogDestinationConfigs: records what the firewall sees")
    for one in templates.of("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        keys = {
            templates.text(one.stack, pair.get("Key")): templates.text(one.stack, pair.get("Value"))
            for pair in one.rows("LoadBalancerAttributes")
        }
        if keys.get("access_logs.s3.enabled") == "true":
            yield _shown(one, "access_logs.s3.enabled: records every request")
    for one in templates.of("AWS::S3::Bucket"):
        if one.has("LoggingConfiguration", "DestinationBucketName") or one.has("LoggingConfiguration"):
            yield _shown(one, "LoggingConfiguration: records who reads its objects")


def database_audit(templates: Templates) -> Iterator[Evidence]:
    """The database's own audit log, which names the user of each connection."""
    for one in templates.of("AWS::RDS::DBCluster", "AWS::RDS::DBInstance"):
        exports = _text(templates, one, "EnableCloudwatchLogsExports")
        if "audit" in exports:
            yield _shown(one, f"EnableCloudwatchLogsExports: {exports}")


def log_retention(templates: Templates) -> Iterator[Evidence]:
    """Log groups with an end, and the buckets that trails write to."""
    for one in templates.of("AWS::Logs::LogGroup"):
        if one.has("RetentionInDays"):
            yield _shown(one, f"RetentionInDays: {_text(templates, one, 'RetentionInDays')}")


def alarms(templates: Templates) -> Iterator[Evidence]:
    """Alarms and the topics that they go to."""
    for one in templates.of("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
        if one.has("AlarmActions"):
            yield _shown(one, f"AlarmActions: {_text(templates, one, 'AlarmDescription') or 'an alarm'}")
    for one in templates.of("AWS::SNS::Subscription"):
        if _text(templates, one, "Protocol") in {"email", "email-json"}:
            yield _shown(one, "somebody is told by e-mail")
        elif _text(templates, one, "Protocol") == "sms":
            yield _shown(one, "somebody is told by a text message")


def events(templates: Templates) -> Iterator[Evidence]:
    """Rules that tell of failed jobs."""
    for one in templates.of("AWS::Events::Rule"):
        if any(each.type == "AWS::SNS::Topic" for each in templates.named(one.stack, one.at("Targets", "Arn"))):
            yield _shown(one, "EventPattern: tells a topic")


def no_people(templates: Templates) -> Iterator[Evidence]:
    """Roles for programs; that no user with keys of their own is among them."""
    roles = templates.of("AWS::IAM::Role")
    if roles and not templates.of("AWS::IAM::User", "AWS::IAM::AccessKey"):
        for one in roles:
            who = _text(templates, one, "AssumeRolePolicyDocument", "Statement", "Principal", "Service")
            principals = one.at("AssumeRolePolicyDocument", "Statement", "Principal")
            if who and all(isinstance(each, Mapping) and set(each) == {"Service"} for each in principals):
                yield _shown(one, f"AssumeRolePolicyDocument: only {who} takes it on")


def networks(templates: Templates) -> Iterator[Evidence]:
    """Security groups that let in networks or groups by name, and databases that are not public."""
    for holder, _, rule in rules(templates, "Ingress"):
        sources = {templates.text(holder.stack, one) for name in ("CidrIp", "CidrIpv6") for one in at(rule, name)}
        if not sources & WORLD:
            port = templates.text(holder.stack, rule.get("FromPort")) or "all"
            yield _shown(holder, f"lets in port {port} from named sources only")
    for one in templates.of("AWS::RDS::DBInstance"):
        if "true" not in _text(templates, one, "PubliclyAccessible"):
            yield _shown(one, "PubliclyAccessible is not true")


def private_buckets(templates: Templates) -> Iterator[Evidence]:
    """Buckets that cannot be made public."""
    for one in templates.of("AWS::S3::Bucket"):
        if templates.is_true(one, "PublicAccessBlockConfiguration", "BlockPublicPolicy"):
            yield _shown(one, "PublicAccessBlockConfiguration: cannot be made public")


def firewall(templates: Templates) -> Iterator[Evidence]:
    """The web application firewall."""
    for one in templates.of("AWS::WAFv2::WebACL"):
        groups = _text(templates, one, "Rules", "Statement", "ManagedRuleGroupStatement", "Name")
        yield _shown(one, f"Rules: {groups or 'its own'}")


def rate_limits(templates: Templates) -> Iterator[Evidence]:
    """What slows the guessing of passwords down."""
    for one in templates.of("AWS::WAFv2::WebACL"):
        limit = _text(templates, one, "Rules", "Statement", "RateBasedStatement", "Limit")
        if limit:
            yield _shown(one, f"RateBasedStatement.Limit {limit}: slows guessing down")


def secrets(templates: Templates) -> Iterator[Evidence]:
    """Passwords that no person has chosen, and those that change by themselves."""
    for one in templates.of("AWS::SecretsManager::Secret"):
        if one.has("GenerateSecretString"):
            yield _shown(one, "GenerateSecretString: no person chose it")
    for one in templates.of("AWS::SecretsManager::RotationSchedule"):
        yield _shown(
            one, f"changes every {_text(templates, one, 'RotationRules', 'AutomaticallyAfterDays') or '?'} days"
        )


def backups(templates: Templates) -> Iterator[Evidence]:
    """What is backed up, and by what."""
    for one in to_back_up(templates):
        for selection in selections(templates, one):
            yield _shown(one, f"selected by {selection.logical_id}")
        if not selections(templates, one):
            for other in backed_up_otherwise(templates, one):
                yield _shown(one, f"its server may write to {other.logical_id}; ask it when it last did")
    for one in templates.of("AWS::RDS::DBCluster", "AWS::RDS::DBInstance"):
        days = _text(templates, one, "BackupRetentionPeriod")
        if days:
            yield _shown(one, f"BackupRetentionPeriod {days}: to any minute of these days")


def backup_rules(templates: Templates) -> Iterator[Evidence]:
    """Schedules and how long recovery points are kept."""
    for one in templates.of("AWS::Backup::BackupPlan"):
        days = _text(templates, one, "BackupPlan", "BackupPlanRule", "Lifecycle", "DeleteAfterDays")
        yield _shown(one, f"DeleteAfterDays: {days or 'without end'}")
    for one in templates.of("AWS::Backup::BackupVault"):
        locked = "locked against deletion" if one.has("LockConfiguration") else "keeps recovery points"
        yield _shown(one, locked)


def copies(templates: Templates) -> Iterator[Evidence]:
    """Recovery points in another region or account."""
    for one in templates.of("AWS::Backup::BackupPlan"):
        if one.has("BackupPlan", "BackupPlanRule", "CopyActions"):
            yield _shown(one, "CopyActions: recovery points go to a second vault")
    for one in templates.of("AWS::S3::Bucket"):
        if one.has("ReplicationConfiguration"):
            yield _shown(one, "ReplicationConfiguration: objects go to a second bucket")


def retained(templates: Templates) -> Iterator[Evidence]:
    """What outlives its stack."""
    for one in judged(templates):
        if templates.outlives(one):
            kept = ", ".join(sorted(templates.policies(one, "DeletionPolicy")))
            yield _shown(one, f"DeletionPolicy: {kept or 'Snapshot'}")


def drills(templates: Templates) -> Iterator[Evidence]:
    """Restores that are tried on a schedule."""
    for one in templates.of("AWS::Backup::RestoreTestingPlan"):
        yield _shown(one, f"ScheduleExpression: {_text(templates, one, 'ScheduleExpression')}")
    for one in templates.of("AWS::Backup::RestoreTestingSelection"):
        yield _shown(one, f"restores {_text(templates, one, 'ProtectedResourceType')} on trial")
    for one in templates.of("AWS::CloudWatch::Alarm"):
        if "Drill" in _text(templates, one, "MetricName"):
            yield _shown(one, "MetricName: an alarm when no drill has succeeded")


def spares(templates: Templates) -> Iterator[Evidence]:
    """What goes on when one zone fails."""
    members = [one for one in templates.of("AWS::RDS::DBInstance") if templates.is_member(one)]
    if len(members) > 1:
        for one in members:
            yield _shown(one, "one of several instances: another takes over")
    for one in templates.of("AWS::RDS::DBInstance"):
        if templates.is_true(one, "MultiAZ"):
            yield _shown(one, "MultiAZ: a standby takes over")
    for one in templates.of("AWS::ApplicationAutoScaling::ScalableTarget"):
        least = templates.number(one.stack, one.properties.get("MinCapacity"))
        if least is not None and least > 1:
            yield _shown(one, f"MinCapacity {least:g}: tasks in more than one zone")
    disk = ", with the same data volume" if templates.of("AWS::EC2::Volume") else ""
    for one in templates.of("AWS::AutoScaling::AutoScalingGroup"):
        if templates.number(one.stack, one.properties.get("MinSize")) != 0:
            yield _shown(one, f"MinSize: a failed server is replaced{disk}")


def shells(templates: Templates) -> Iterator[Evidence]:
    """A way in for the operator when the application's log-in fails, which the trail records."""
    for one in templates.of("AWS::ECS::Service"):
        if templates.is_true(one, "EnableExecuteCommand"):
            yield _shown(one, "EnableExecuteCommand: a shell through Session Manager")
    for one in templates.of("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
        actions = _text(templates, one, "PolicyDocument", "Statement", "Action")
        if "ssmmessages:OpenDataChannel" in actions and templates.of("AWS::EC2::LaunchTemplate", "AWS::EC2::Instance"):
            yield _shown(one, "ssmmessages: a shell on the server through Session Manager")


def encrypted(templates: Templates) -> Iterator[Evidence]:
    """What is encrypted at rest, with which key."""
    for one in templates.of(*SWITCHES):
        if not templates.is_member(one) and templates.is_true(one, SWITCHES[one.type]):
            keys = ", ".join(key.logical_id for key in keys_of(templates, one)) or "AWS's own key"
            yield _shown(one, f"{SWITCHES[one.type]}, with {keys}")
    for one in templates.of("AWS::S3::Bucket"):
        how = _text(
            templates,
            one,
            "BucketEncryption",
            "ServerSideEncryptionConfiguration",
            "ServerSideEncryptionByDefault",
            "SSEAlgorithm",
        )
        if how:
            keys = ", ".join(key.logical_id for key in keys_of(templates, one))
            yield _shown(one, f"SSEAlgorithm {how}{f', with {keys}' if keys else ''}")


def key_rotation(templates: Templates) -> Iterator[Evidence]:
    """Keys that change each year."""
    for one in templates.of("AWS::KMS::Key"):
        if templates.is_true(one, "EnableKeyRotation"):
            yield _shown(one, "EnableKeyRotation")


def versions(templates: Templates) -> Iterator[Evidence]:
    """Objects that cannot be overwritten for good."""
    for one in templates.of("AWS::S3::Bucket"):
        if "Enabled" in _text(templates, one, "VersioningConfiguration", "Status"):
            locked = ", ObjectLockEnabled" if templates.is_true(one, "ObjectLockEnabled") else ""
            yield _shown(one, f"VersioningConfiguration Enabled{locked}")


def protected(templates: Templates) -> Iterator[Evidence]:
    """Databases that refuse to be deleted."""
    for one in templates.of("AWS::RDS::DBCluster", "AWS::RDS::DBInstance"):
        if templates.is_true(one, "DeletionProtection"):
            yield _shown(one, "DeletionProtection")


def tls(templates: Templates) -> Iterator[Evidence]:
    """Where traffic is encrypted: in front of the tasks, and behind them."""
    yield from _front(templates)
    yield from _behind(templates)


def _front(templates: Templates) -> Iterator[Evidence]:
    for one in templates.of("AWS::ElasticLoadBalancingV2::Listener"):
        if _text(templates, one, "Protocol") in {"HTTPS", "TLS"}:
            policy = _text(templates, one, "SslPolicy") or "the default policy"
            yield _shown(one, f"Protocol {_text(templates, one, 'Protocol')}, {policy}")
    for one in templates.of("AWS::ElasticLoadBalancingV2::TargetGroup"):
        if _text(templates, one, "Protocol") in {"HTTPS", "TLS"}:
            yield _shown(one, "Protocol HTTPS: from the load balancer to the task")


def _behind(templates: Templates) -> Iterator[Evidence]:
    for one in templates.of("AWS::RDS::DBClusterParameterGroup"):
        if _text(templates, one, "Parameters", "require_secure_transport").upper() in {"ON", "1", "TRUE"}:
            yield _shown(one, "require_secure_transport: the database takes TLS only")
    for one in templates.of("AWS::ECS::TaskDefinition"):
        volumes = one.rows("Volumes", "EFSVolumeConfiguration")
        ways = {templates.text(one.stack, volume.get("TransitEncryption")) for volume in volumes}
        if ways == {"ENABLED"}:
            yield _shown(one, "TransitEncryption: files travel encrypted")
    for one in templates.of("AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy"):
        if "aws:SecureTransport" in repr(one.properties):
            yield _shown(one, "aws:SecureTransport: requests without TLS are denied")
