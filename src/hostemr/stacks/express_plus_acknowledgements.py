"""Every finding of cdk-nag that is accepted in Express Plus: which rule, where, why, and the evidence for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hostemr.stacks import express_plus_evidence as evidence
from hostemr.stacks.acknowledgement import EVERYTHING, OF_ROTATION, Accepted
from hostemr.stacks.evidence import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressPlusAcknowledgement(Accepted):
    """Findings that are accepted in the one server's template. Paths begin with `express-plus`."""

    evidence: Callable[[Template], bool]


def _unread(*rules: str) -> tuple[str, ...]:
    """The rules that cdk-nag cannot judge, because a value is known only at launch."""
    return tuple(f"CdkNagValidationFailure[{rule}]" for rule in rules)


_INSTANCES = "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:instance/*]"
_INTERFACES = _INSTANCES.replace("instance/*", "network-interface/*")

OF_EXPRESS_PLUS = (
    ExpressPlusAcknowledgement(
        rules=_unread(
            "AwsSolutions-EC23", "HIPAA.Security-EC2RestrictedCommonPorts", "HIPAA.Security-EC2RestrictedSSH"
        ),
        paths=("express-plus/HttpsIn", "express-plus/HttpIn", "express-plus/SshIn"),
        reason="Who may reach the server is a parameter without a default, so cdk-nag cannot read it. Only 443 and 80 "
        "are open, 80 to everybody only with a domain, and 22 only in the developer's template with a key pair.",
        evidence=evidence.only_the_web_is_open,
    ),
    ExpressPlusAcknowledgement(
        rules=OF_ROTATION,
        paths=("express-plus/PassphraseSecret",),
        reason="Every backup is opened by the passphrase that it was made with. One that changed by itself would lock "
        "the earlier backups away.",
        evidence=evidence.secrets_outlive_the_stack,
    ),
    ExpressPlusAcknowledgement(
        rules=OF_ROTATION,
        paths=("express-plus/AdministratorSecret",),
        reason="The first password of a person, who changes it after signing in. Rotating the secret would change "
        "nothing but the secret.",
        evidence=evidence.only_the_server_reads_the_secrets,
    ),
    ExpressPlusAcknowledgement(
        rules=OF_ROTATION,
        paths=("express-plus/DatabaseSecret",),
        reason="It opens a database that only containers of the same server reach.",
        evidence=evidence.the_database_is_behind_the_web_server,
    ),
    ExpressPlusAcknowledgement(
        rules=("AwsSolutions-IAM5[Resource::<BackupBucket.Arn>/Backup/*]",),
        paths=("express-plus/BackupsPolicy",),
        reason="The engines name their objects themselves, below one prefix. The server may mark them as deleted and "
        "may never remove a version.",
        evidence=evidence.backups_are_written_and_never_destroyed,
    ),
    ExpressPlusAcknowledgement(
        rules=("AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:s3:::<RecoveryS3Bucket>/Backup/*]",),
        paths=("express-plus/RecoveryPolicy",),
        reason="The lost server's engine named its objects itself. They are only read.",
        evidence=evidence.the_other_bucket_is_only_read,
    ),
    ExpressPlusAcknowledgement(
        rules=(EVERYTHING,),
        paths=("express-plus/DiskAndAddressPolicy", "express-plus/MetricsPolicy", "express-plus/SessionPolicy"),
        reason="Metrics, the channels of Session Manager and what EC2 describes know no resources; a condition bounds "
        "them wherever AWS has one.",
        evidence=evidence.statements_for_everything_are_bound,
    ),
    ExpressPlusAcknowledgement(
        rules=(_INSTANCES, _INTERFACES),
        paths=("express-plus/DiskAndAddressPolicy",),
        reason="A server has no id before it is launched. Disk and address go only to one with the tag of this stack, "
        "the address only to an interface in its VPC.",
        evidence=evidence.instances_are_those_of_the_stack,
    ),
    ExpressPlusAcknowledgement(
        rules=(_INSTANCES,),
        paths=("express-plus/SessionPolicy",),
        reason="What the SSM agent tells of the instance that it runs on, whose id is not known before, changes "
        "nothing else.",
        evidence=evidence.instances_are_those_of_the_stack,
    ),
    ExpressPlusAcknowledgement(
        rules=("AwsSolutions-AS3",),
        paths=("express-plus/ServerGroup",),
        reason="The group never scales. That its one server is gone is heard by the alarm on its silence, which needs "
        "no right to the key for Auto Scaling.",
        evidence=evidence.silence_is_an_alarm,
    ),
    ExpressPlusAcknowledgement(
        rules=("HIPAA.Security-VPCDefaultSecurityGroupClosed",),
        paths=("express-plus/Vpc",),
        reason="CloudFormation cannot change a VPC's default security group. Nothing wears it: the one interface names "
        "a group of its own.",
        evidence=evidence.every_interface_names_its_groups,
    ),
    ExpressPlusAcknowledgement(
        rules=("HIPAA.Security-VPCNoUnrestrictedRouteToIGW",),
        paths=("express-plus/PublicRoute",),
        reason="The server is what people reach, without a load balancer that would cost more than it. Its security "
        "group lets in the web alone.",
        evidence=evidence.the_way_out_is_one_subnets,
    ),
    ExpressPlusAcknowledgement(
        rules=("HIPAA.Security-S3BucketReplicationEnabled",),
        paths=("express-plus/LogBucket", "express-plus/AuditBucket", "express-plus/BackupBucket"),
        reason="Logs, and copies of what is on the data volume, in three zones already. The buckets are versioned and "
        "outlive the stack; a copy in another region is a rule that the operator can add to the bucket.",
        evidence=evidence.buckets_are_versioned_and_kept,
    ),
    ExpressPlusAcknowledgement(
        rules=("HIPAA.Security-S3DefaultEncryptionKMS",),
        paths=("express-plus/LogBucket",),
        reason="S3 delivers its access logs only to buckets with S3-managed keys (SSE-S3). The bucket holds access and "
        "flow logs alone.",
        evidence=evidence.the_log_bucket_takes_only_logs,
    ),
    ExpressPlusAcknowledgement(
        rules=("HIPAA.Security-CloudTrailCloudWatchLogsEnabled",),
        paths=("express-plus/Trail",),
        reason="CloudWatch would cost more than the rest of the audit. The trail is kept in S3 for seven years, with "
        "digests that show any change.",
        evidence=evidence.the_trail_is_kept_and_proves_itself,
    ),
    ExpressPlusAcknowledgement(
        rules=("HIPAA.Security-EC2EBSInBackupPlan",),
        paths=("express-plus/DataVolume",),
        reason="A snapshot of a volume that is written to is no proven backup. The server makes one each day, restores "
        "it each week to prove it, and its silence is an alarm.",
        evidence=evidence.silence_is_an_alarm,
    ),
)
