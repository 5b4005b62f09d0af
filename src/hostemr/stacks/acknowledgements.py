"""Every finding of cdk-nag that is accepted: which rule, where, why, and the evidence that the reason holds.

A finding is fixed or stands here. `Acknowledgement.evidence` reads the synthesized templates; tests run it for every
configuration, and one that no longer matches a finding fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cdk_nag
from constructs import Construct

from hostemr.stacks import evidence, option_evidence
from hostemr.stacks.acknowledgement import (
    EVERYTHING,
    OF_FUNCTIONS,
    OF_ROTATION,
    Accepted,
    Acknowledgement,
    of_managed,
)
from hostemr.stacks.analytics_acknowledgements import OF_ANALYTICS

_FUNCTIONS = (
    "service/Setup/Runner/Function",
    "service/Rotation/Rotator/Function",
    "service/Zone/Finder/Function",
    "service/Mail/Maker/Function",
    "service/Mail/Rotator/Function",
    "service/ReceivedMail/RuleKeeper/Function",
    "analytics/FilesExport/Starter/Function",
    "analytics/DatabaseExport/Starter/Function",
)

ACKNOWLEDGEMENTS = (
    Acknowledgement(
        rules=("HIPAA.Security-S3DefaultEncryptionKMS",),
        paths=("data/Buckets/AccessLogs",),
        reason="Elastic Load Balancing delivers access logs only to buckets with S3-managed keys (SSE-S3). "
        "The bucket holds access logs alone; the audit trail is in a bucket with a customer managed key.",
        evidence=evidence.access_log_bucket_is_encrypted_and_takes_only_logs,
    ),
    Acknowledgement(
        rules=("HIPAA.Security-S3BucketReplicationEnabled",),
        paths=("data/Buckets/AccessLogs", "data/Buckets/Audit"),
        reason="The buckets hold logs, not records; they are versioned and retained. Records are copied to another "
        "region by AWS Backup where backup_copy_vault_arn asks for it.",
        evidence=evidence.buckets_are_versioned_and_retained,
    ),
    Acknowledgement(
        rules=("HIPAA.Security-VPCDefaultSecurityGroupClosed",),
        paths=("data/Network/Vpc",),
        reason="CloudFormation cannot change a VPC's default security group. Nothing wears it: every interface names "
        "groups of its own.",
        evidence=evidence.every_interface_names_its_security_groups,
    ),
    Acknowledgement(
        rules=("HIPAA.Security-VPCNoUnrestrictedRouteToIGW",),
        paths=("data/Network/PublicRouteIpv4", "data/Network/PublicRouteIpv6"),
        reason="The load balancer and the way out need public subnets. No subnet gives public addresses by itself, "
        "and database and files are in subnets without a route out.",
        evidence=evidence.data_subnets_have_no_way_out,
    ),
    Acknowledgement(
        rules=(of_managed("service-role/AmazonRDSEnhancedMonitoringRole"),),
        paths=("data/Database/Monitoring",),
        reason="The policy that RDS prescribes for enhanced monitoring; only RDS's monitoring may assume the role.",
        evidence=evidence.service_roles_trust_one_service,
    ),
    Acknowledgement(
        rules=(
            of_managed("service-role/AWSBackupServiceRolePolicyForBackup"),
            of_managed("service-role/AWSBackupServiceRolePolicyForRestores"),
            of_managed("AWSBackupServiceRolePolicyForS3Backup"),
            of_managed("AWSBackupServiceRolePolicyForS3Restore"),
        ),
        paths=("data/Backups/Role",),
        reason="AWS keeps the actions that a backup and a restore need current in these policies; a copy of ours "
        "that lacks one would fail on the day it is needed. Only AWS Backup may assume the role.",
        evidence=evidence.service_roles_trust_one_service,
    ),
    Acknowledgement(
        rules=("HIPAA.Security-CloudTrailCloudWatchLogsEnabled",),
        paths=("data/Trail/Trail",),
        reason="enable_long_term_cloudtrail_monitoring is off, on purpose. The trail is kept in S3 for seven years, "
        "with digests that show any change.",
        evidence=evidence.the_trail_is_kept_and_proves_itself,
    ),
    Acknowledgement(
        rules=("AwsSolutions-RDS11",),
        paths=("data/Database/Cluster",),
        reason="Another port hides nothing: only members of one security group reach the database at all, over TLS.",
        evidence=evidence.only_the_clients_group_reaches_the_database,
    ),
    Acknowledgement(
        rules=("AwsSolutions-RDS14",),
        paths=("data/Database/Cluster",),
        reason="Backtracking rewinds the live cluster in place, every record with it. Any second of the last 35 days "
        "can be restored beside it instead.",
        evidence=evidence.any_second_of_35_days_can_be_restored,
    ),
    Acknowledgement(
        rules=("HIPAA.Security-RDSAutomaticMinorVersionUpgradeEnabled",),
        paths=("data/Database/Writer", "data/Database/Reader"),
        reason="AWS advises against it for a long-term support release, which it would leave "
        "(AuroraMySQL.Update.SpecialVersions.html); AWS applies critical patches to the release itself.",
        evidence=evidence.engine_is_a_long_term_support_release,
    ),
    Acknowledgement(
        rules=("HIPAA.Security-RDSInBackupPlan",),
        paths=("data/Database/Writer", "data/Database/Reader"),
        reason="Aurora is backed up as a cluster, and the plan selects the cluster; an instance holds no data.",
        evidence=evidence.plan_selects_cluster_and_files,
    ),
    Acknowledgement(
        rules=OF_ROTATION,
        paths=("data/Credentials/Administrator",),
        reason="The first password of a person, who changes it after signing in; the application never reads it "
        "again. Rotating the secret would change nothing but the secret.",
        evidence=evidence.only_the_setup_task_reads_the_administrator_secret,
    ),
    Acknowledgement(
        rules=OF_ROTATION,
        paths=("data/Credentials/Database",),
        reason="It is rotated, by a schedule in the service stack, whose tasks the rotation needs.",
        evidence=evidence.database_secret_rotates,
    ),
    Acknowledgement(
        rules=OF_ROTATION,
        paths=("service/Cache/Credential",),
        reason="It opens sessions alone, from inside one security group, and is made anew with the service stack.",
        evidence=evidence.only_tasks_reach_the_cache,
    ),
    Acknowledgement(
        rules=("HIPAA.Security-ALBHttpToHttpsRedirection", "HIPAA.Security-ELBv2ACMCertificateRequired"),
        paths=("service/LoadBalancer/Http",),
        reason="With a certificate port 80 only redirects to HTTPS, as the seed asks. Without one, as in the seed, it "
        "serves: for a first look without patients; it is closed until addresses are named, and every synthesis warns.",
        evidence=evidence.plain_http_only_without_a_certificate,
    ),
    Acknowledgement(
        rules=("HIPAA.Security-ELBDeletionProtectionEnabled",),
        paths=("service/LoadBalancer/Balancer",),
        reason="load_balancer_deletion_protection is off, as for a trial: the load balancer holds nothing.",
        evidence=evidence.the_service_stack_keeps_nothing,
    ),
    Acknowledgement(
        rules=("AwsSolutions-RDS10", "HIPAA.Security-RDSInstanceDeletionProtectionEnabled"),
        paths=("data/Database/Cluster",),
        reason="rds_deletion_protection is off, on purpose, before a deployment is given up. The cluster outlives "
        "its stack all the same, and so do its backups.",
        evidence=evidence.the_cluster_outlives_its_stack,
    ),
    Acknowledgement(
        rules=("AwsSolutions-ECS2",),
        paths=("service/Tasks/Worker", "service/Tasks/Setup", "service/Tasks/Rotation", "analytics/FilesExport/Task"),
        reason="The environment holds names, addresses and public certificates. What is secret comes from Secrets "
        "Manager.",
        evidence=evidence.environment_holds_no_secret,
    ),
    Acknowledgement(
        rules=(EVERYTHING,),
        paths=("service/Setup/RunTasks",),
        reason="Tasks have no ARN before they run; the condition ecs:cluster binds the statement to this cluster, "
        "and iam:PassRole to the set-up task's two roles.",
        evidence=evidence.running_tasks_is_bound_to_the_cluster,
    ),
    Acknowledgement(
        rules=(EVERYTHING, r"AwsSolutions-IAM5[/^Resource::.*:AuditBucket/exec/\*$/]"),
        paths=("service/Tasks/Exec",),
        reason="The channels of ECS Exec and logs:DescribeLogGroups know no resource; the record of a session goes "
        "below one prefix of one bucket. Only with enable_ecs_exec.",
        evidence=evidence.exec_statements_are_the_documented_ones,
    ),
    Acknowledgement(
        rules=(EVERYTHING,),
        paths=("service/Tasks/PullAndLog",),
        reason="ecr:GetAuthorizationToken gives a token for a registry and knows no resource. Only with an image "
        "in ECR.",
        evidence=evidence.only_the_registry_token_is_for_everything,
    ),
    Acknowledgement(
        rules=OF_FUNCTIONS,
        paths=_FUNCTIONS,
        reason="They call AWS's APIs and reach neither database nor files, so the VPC would only cost them a way "
        "out. Their callers wait for an answer and retry: CloudFormation and Secrets Manager report what failed. "
        "Reserved concurrency cannot be had in a new account; the database's lock lets one set-up run at a time.",
        evidence=evidence.functions_reach_no_patient_data,
    ),
    Acknowledgement(
        rules=OF_FUNCTIONS,
        paths=("service/ReceivedMail/Forwarder/Function",),
        reason="It reads the mail archive and sends, both by AWS's APIs. What it could not forward is in the archive, "
        "which is its dead letter queue, and an alarm tells of it.",
        evidence=option_evidence.the_forwarder_reads_the_archive_only,
    ),
    Acknowledgement(
        rules=(r"AwsSolutions-IAM5[/^Resource::.*:MailBucket/mail/\*$/]",),
        paths=("service/ReceivedMail/Forward",),
        reason="Each mail is an object whose name SES makes up; the forwarder may read and tag those of one prefix.",
        evidence=option_evidence.the_forwarder_reads_the_archive_only,
    ),
    Acknowledgement(
        rules=("AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ses:<AWS::Region>:<AWS::AccountId>:identity/*]",),
        paths=("service/Mail/Send", "service/ReceivedMail/Forward"),
        reason="As long as an account is in the SES sandbox, sending needs the right for the recipients' identities as "
        "well. A condition lets nobody but the domain's own addresses send.",
        evidence=option_evidence.only_addresses_of_the_domain_send,
    ),
    Acknowledgement(
        rules=(EVERYTHING,),
        paths=("service/ReceivedMail/KeepRule", "service/Zone/ListZones"),
        reason="SES's receipt rules and the listing of hosted zones know no resource in IAM.",
        evidence=option_evidence.what_knows_no_resource_is_all_that_is_for_everything,
    ),
    Acknowledgement(
        rules=(r"AwsSolutions-IAM5[/^Resource::.*:AttachmentsBucket/\*$/]",),
        paths=("service/Tasks/Attachments",),
        reason="OpenMRS names the attachments itself; the bucket holds nothing else. Only with "
        "openmrs_attachment_storage s3.",
        evidence=option_evidence.only_tasks_reach_the_attachments,
    ),
    Acknowledgement(
        rules=("AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:bedrock:<AWS::Region>::foundation-model/*]",),
        paths=("data/Bedrock/InvokeModels",),
        reason="Which models an account may use is decided in Bedrock; the database's role may call those, and do "
        "nothing else. Only with enable_bedrock_integration.",
        evidence=option_evidence.models_are_called_by_the_database_only,
    ),
    Acknowledgement(
        rules=("HIPAA.Security-S3BucketReplicationEnabled",),
        paths=("data/Records/Mail", "data/Records/Attachments"),
        reason="Versioned, retained, and, when in use, in AWS Backup's plan like the database: to another region where "
        "backup_copy_vault_arn asks for it.",
        evidence=option_evidence.record_buckets_in_use_are_backed_up,
    ),
    Acknowledgement(
        rules=("AwsSolutions-EC23",),
        paths=("service/LoadBalancer/Group",),
        reason="security_group_ip_range opens the load balancer to the whole internet, on purpose; no other group.",
        evidence=evidence.only_the_load_balancer_is_open,
    ),
    *OF_ANALYTICS,
)


def acknowledge(stacks: Mapping[str, Construct], entries: Sequence[Accepted] = ACKNOWLEDGEMENTS) -> None:
    """Tell cdk-nag of every acknowledgement whose constructs exist.

    `stacks` by the names with which the entries' paths begin: `data`, `service` and `analytics` on Fargate.
    """
    for entry in entries:
        for path in entry.paths:
            construct = _found(stacks, path)
            if construct is not None:
                cdk_nag.NagSuppressions.add_resource_suppressions(
                    construct, [_suppression(rule, entry.reason) for rule in entry.rules]
                )


def _suppression(rule: str, reason: str) -> cdk_nag.NagPackSuppression:
    name, _, finding = rule.partition("[")
    if not finding:
        return cdk_nag.NagPackSuppression(id=name, reason=reason)
    finding = finding.removesuffix("]")
    applies = cdk_nag.RegexAppliesTo(regex=f"{finding}g") if finding.startswith("/") else finding
    return cdk_nag.NagPackSuppression(id=name, reason=reason, applies_to=[applies])


def _found(stacks: Mapping[str, Construct], path: str) -> Construct | None:
    stack, *names = path.split("/")
    here: Construct | None = stacks.get(stack)
    for name in names:
        if here is not None:
            here = here.node.try_find_child(name)  # type: ignore[assignment]
    return here
