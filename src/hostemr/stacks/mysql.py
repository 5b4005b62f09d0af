"""The registered addresses' database: RDS for MySQL with a standby, encrypted with our key, protected, kept."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_rds as rds
from constructs import Construct

from hostemr.deployment.registration import RegistrationOnAwsSettings
from hostemr.stacks.database import BACKUP_RETENTION_DAYS, CERTIFICATE_AUTHORITY, PORT, monitoring_role
from hostemr.stacks.policies import arn

ENGINE_VERSION = "8.4"
"""MySQL's long-term support series; 8.0 leaves standard support in July 2026.

Without a third number RDS takes the minor version that it prefers. CloudFormation says the version again with every
update of the instance, and RDS refuses a lower one than it has: a third number here would, after the first automatic
upgrade, stand in the way of every later change (cloudformation-coverage-roadmap#1309). It also could not be created
any more when RDS retires it, perhaps just when a region has to be built again.
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/MySQL.Concepts.VersionMgmt.html
"""

_PARAMETERS = {
    "require_secure_transport": "ON",
    "tls_version": "TLSv1.2,TLSv1.3",
    # No statement is written to a log: they hold clinics' addresses.
    "general_log": "0",
    "slow_query_log": "0",
    "log_output": "FILE",
    # RDS turns on what MySQL itself leaves off: a client that is asked by the server sends its files.
    "local_infile": "0",
}


class MySql(Construct):
    """An instance that RDS backs up, patches and, with a standby, fails over by itself."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        subnet_ids: list[str],
        security_group_id: str,
        key_arn: str,
        settings: RegistrationOnAwsSettings,
    ) -> None:
        super().__init__(scope, id)
        subnets = rds.CfnDBSubnetGroup(
            self, "Subnets", db_subnet_group_description="Subnets without a way out", subnet_ids=subnet_ids
        )
        group = rds.CfnDBParameterGroup(
            self, "Parameters", description="TLS only, no statement in a log", family="mysql8.4", parameters=_PARAMETERS
        )
        monitoring = monitoring_role(self)
        self.instance = rds.CfnDBInstance(
            self,
            "Instance",
            engine="mysql",
            engine_version=ENGINE_VERSION,
            db_instance_class=settings.database_instance_class,
            multi_az=settings.database_multi_az,
            storage_type="gp3",
            allocated_storage=str(settings.database_storage),
            max_allocated_storage=settings.database_maximum_storage,
            storage_encrypted=True,
            kms_key_id=key_arn,
            master_username="hostemr",
            # RDS keeps the master's password in a secret of its own and changes it every seven days.
            # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-secrets-manager.html
            manage_master_user_password=True,
            master_user_secret={"kmsKeyId": key_arn},
            port=str(PORT),
            publicly_accessible=False,
            db_subnet_group_name=subnets.ref,
            vpc_security_groups=[security_group_id],
            db_parameter_group_name=group.ref,
            ca_certificate_identifier=CERTIFICATE_AUTHORITY,
            backup_retention_period=BACKUP_RETENTION_DAYS,
            copy_tags_to_snapshot=True,
            delete_automated_backups=False,
            deletion_protection=settings.rds_deletion_protection,
            # Security fixes come as minor versions, which keep to the series: MySQL promises no change of behaviour in
            # it. With a standby the interruption is a failover, in the window below.
            auto_minor_version_upgrade=True,
            # The others stay off, and an audit log needs an option group with MariaDB's plugin.
            enable_cloudwatch_logs_exports=["error"],
            monitoring_interval=60,
            monitoring_role_arn=monitoring.attr_arn,
            preferred_backup_window="03:00-04:00",
            preferred_maintenance_window="sun:04:30-sun:05:30",
        )
        # cfn-lint knows the list of full versions only.
        self.instance.add_metadata("cfn-lint", {"config": {"ignore_checks": ["E3691"]}})
        for kept in (subnets, group, self.instance):
            kept.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
        self.subnet_group_name = subnets.ref
        self.arn = self.instance.attr_db_instance_arn
        self.host = self.instance.attr_endpoint_address
        self.master_secret_arn = self.instance.attr_master_user_secret_secret_arn


def restored_arn(host: str) -> str:
    """The ARN of an instance in this stack's account and region, whose identifier its endpoint begins with."""
    return arn("rds", f"db:{host.partition('.')[0]}")
