"""Every finding of cdk-nag that is accepted in the registration service: which rule, where, why, and the evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hostemr.stacks import evidence
from hostemr.stacks import registration_evidence as own
from hostemr.stacks.acknowledgement import EVERYTHING, OF_FUNCTIONS, OF_ROTATION, Acknowledgement, of_managed
from hostemr.stacks.acknowledgements import ACKNOWLEDGEMENTS
from hostemr.stacks.evidence import Templates

_LOGS_THAT_ARE_OFF = tuple(
    f"HIPAA.Security-RDSLoggingEnabled[LogExport::{log}]" for log in ("audit", "general", "slowquery")
)


def _as_elsewhere(
    fact: Callable[[Templates], bool], first_path: str, *, paths: tuple[str, ...] | None = None
) -> Acknowledgement:
    """The entry of the applications that holds here word for word, at the same paths where none are given."""
    [entry] = [one for one in ACKNOWLEDGEMENTS if one.evidence is fact and one.paths[0] == first_path]
    return entry if paths is None else replace(entry, paths=paths)


OF_REGISTRATION: tuple[Acknowledgement, ...] = (
    Acknowledgement(
        rules=("HIPAA.Security-S3DefaultEncryptionKMS",),
        paths=("data/Buckets/AccessLogs",),
        reason="Elastic Load Balancing delivers access logs only to buckets with S3-managed keys (SSE-S3). The bucket "
        "holds access logs alone.",
        evidence=evidence.access_log_bucket_is_encrypted_and_takes_only_logs,
    ),
    Acknowledgement(
        rules=("HIPAA.Security-S3BucketReplicationEnabled",),
        paths=("data/Buckets/AccessLogs", "data/Buckets/Audit"),
        reason="The buckets hold logs, not the register; they are versioned and retained. The register is copied to "
        "another region by AWS Backup where backup_copy_vault_arn asks for it.",
        evidence=evidence.buckets_are_versioned_and_retained,
    ),
    Acknowledgement(
        rules=("HIPAA.Security-VPCDefaultSecurityGroupClosed",),
        paths=("data/Network/Vpc",),
        reason="CloudFormation cannot change a VPC's default security group. Nothing wears it: every interface, the "
        "database's too, names groups of its own.",
        evidence=own.every_interface_names_its_security_groups,
    ),
    Acknowledgement(
        rules=("HIPAA.Security-VPCNoUnrestrictedRouteToIGW",),
        paths=("data/Network/PublicRouteIpv4", "data/Network/PublicRouteIpv6"),
        reason="The load balancer and the way out need public subnets. No subnet gives public addresses by itself, "
        "and the database is in subnets without a route out.",
        evidence=evidence.data_subnets_have_no_way_out,
    ),
    _as_elsewhere(evidence.service_roles_trust_one_service, "data/Database/Monitoring"),
    Acknowledgement(
        rules=tuple(
            of_managed(f"service-role/{name}")
            for name in ("AWSBackupServiceRolePolicyForBackup", "AWSBackupServiceRolePolicyForRestores")
        ),
        paths=("data/Backups/Role",),
        reason="AWS keeps the actions that a backup and a restore need current in these policies; only AWS Backup may "
        "assume the role.",
        evidence=evidence.service_roles_trust_one_service,
    ),
    Acknowledgement(
        rules=("AwsSolutions-RDS11",),
        paths=("data/Database/Instance",),
        reason="Another port hides nothing: only members of one security group reach the database at all, over TLS.",
        evidence=evidence.only_the_clients_group_reaches_the_database,
    ),
    Acknowledgement(
        rules=_LOGS_THAT_ARE_OFF,
        paths=("data/Database/Instance",),
        reason="Logs of statements hold the registered addresses, so they are off; an audit log would need MariaDB's "
        "plugin. The service keeps an audit log of its own, which shows any change of it.",
        evidence=own.no_statement_is_logged,
    ),
    Acknowledgement(
        rules=("AwsSolutions-RDS3", "HIPAA.Security-RDSMultiAZSupport"),
        paths=("data/Database/Instance",),
        reason="database_multi_az is off, on purpose, as for a trial. Any second of the last 35 days can be restored "
        "beside it.",
        evidence=own.any_second_of_35_days_can_be_restored,
    ),
    Acknowledgement(
        rules=("AwsSolutions-RDS10", "HIPAA.Security-RDSInstanceDeletionProtectionEnabled"),
        paths=("data/Database/Instance",),
        reason="rds_deletion_protection is off, on purpose, before a deployment is given up. The database outlives "
        "its stack all the same, and so do its backups.",
        evidence=own.the_database_outlives_its_stack,
    ),
    Acknowledgement(
        rules=OF_ROTATION,
        paths=("data/DatabaseCredential",),
        reason="It is rotated, by a schedule in the service stack, whose tasks the rotation needs.",
        evidence=evidence.database_secret_rotates,
    ),
    Acknowledgement(
        rules=OF_ROTATION,
        paths=("data/SecretKey", "data/BoardPin"),
        reason="The key proves the audit log and recognises who was erased, so another one would undo both. The pin is "
        "typed by people, who have to be told of another one; whoever changes it writes it.",
        evidence=own.the_secrets_for_good_are_kept_and_never_made_anew,
    ),
    Acknowledgement(
        rules=("AwsSolutions-SQS3",),
        paths=("mail/DeadLetters",),
        reason="It is the dead-letter queue of the subscription in the service stack, which may be in another region, "
        "where cdk-nag does not see it.",
        evidence=own.what_cannot_be_delivered_goes_to_the_queue,
    ),
    Acknowledgement(
        rules=("AwsSolutions-EC23",),
        paths=("service/LoadBalancer/Group",),
        reason="Every OpenEMR in the world may register, so the load balancer is open on the port of HTTPS; no other "
        "group is.",
        evidence=own.only_https_is_open_to_the_world,
    ),
    Acknowledgement(
        rules=("HIPAA.Security-ELBDeletionProtectionEnabled",),
        paths=("service/LoadBalancer/Balancer",),
        reason="load_balancer_deletion_protection is off, as for a trial: the load balancer holds nothing.",
        evidence=evidence.the_service_stack_keeps_nothing,
    ),
    _as_elsewhere(
        evidence.environment_holds_no_secret,
        "service/Tasks/Worker",
        paths=("service/Tasks/Service", "service/Tasks/Setup", "service/Tasks/Rotation"),
    ),
    _as_elsewhere(evidence.running_tasks_is_bound_to_the_cluster, "service/Setup/RunTasks"),
    _as_elsewhere(evidence.exec_statements_are_the_documented_ones, "service/Tasks/Exec"),
    _as_elsewhere(evidence.only_the_registry_token_is_for_everything, "service/Tasks/PullAndLog"),
    Acknowledgement(
        rules=(EVERYTHING, r"AwsSolutions-IAM5[/^Resource::.*:ses:.*:template/\*$/]"),
        paths=("service/Tasks/SendMail",),
        reason="ses:GetAccount, which answers how fast the account may send, knows no resource. A bulk call asks for "
        "a right on a template, and its own has no name. Sending is bound to one identity, one configuration set and "
        "one sender.",
        evidence=own.mail_is_sent_under_one_name,
    ),
    Acknowledgement(
        rules=OF_FUNCTIONS,
        paths=("service/Setup/Runner/Function", "service/Rotation/Rotator/Function"),
        reason="They call AWS's APIs and never the database, so the VPC would only cost them a way out. CloudFormation "
        "and Secrets Manager wait for their answers and report what failed; the database's lock lets one set-up run.",
        evidence=evidence.functions_reach_no_patient_data,
    ),
)
"""Paths begin with `data`, `mail` and `service`."""
