"""The patients' database: Aurora MySQL Serverless v2, encrypted with our key, protected, kept."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from constructs import Construct

from hostemr.deployment.settings import FargateSettings
from hostemr.stacks.policies import arn, service_role

ENGINE_VERSION = "8.0.mysql_aurora.3.10.3"
"""A long-term support release: the same minor version for at least three years. It can scale to zero (3.08 on).

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Update.SpecialVersions.html
"""
PORT = 3306
BACKUP_RETENTION_DAYS = 35
"""The longest that Aurora allows: any second of the last five weeks can be restored."""
CERTIFICATE_AUTHORITY = "rds-ca-rsa2048-g1"

_PARAMETERS = {
    "require_secure_transport": "ON",
    "tls_version": "TLSv1.2,TLSv1.3",
    # Who connected, and what changed schema or rights. Never QUERY, TABLE or a general or slow log:
    # they hold the text of statements, and so what is known of patients.
    "server_audit_logging": "1",
    "server_audit_events": "CONNECT,QUERY_DDL,QUERY_DCL",
    "general_log": "0",
    "slow_query_log": "0",
    "log_output": "FILE",
}


def parameters(settings: FargateSettings, bedrock_role: str | None) -> dict[str, str]:
    """The cluster's parameters: what always holds, the limits that the operator sets, and Bedrock's role."""
    limits = {
        "net_read_timeout": settings.net_read_timeout,
        "net_write_timeout": settings.net_write_timeout,
        "wait_timeout": settings.wait_timeout,
        "connect_timeout": settings.connect_timeout,
        "max_execution_time": settings.max_execution_time,
    }
    models = {}
    if bedrock_role is not None:
        models = {
            "aws_default_bedrock_role": bedrock_role,
            "aurora_ml_inference_timeout": str(settings.aurora_ml_inference_timeout),
        }
    return {**_PARAMETERS, **{name: str(value) for name, value in limits.items()}, **models}


def monitoring_role(scope: Construct) -> iam.CfnRole:
    """The role that RDS prescribes for enhanced monitoring; AWS keeps its policy current."""
    policy_arn = iam.ManagedPolicy.from_aws_managed_policy_name(
        "service-role/AmazonRDSEnhancedMonitoringRole"
    ).managed_policy_arn
    return service_role(scope, "Monitoring", service="monitoring.rds.amazonaws.com", policies=[policy_arn])


class Database(Construct):
    """A cluster with a writer and, where wanted, a reader that takes over when the writer's zone fails."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        name: str,
        subnet_ids: list[str],
        security_group_id: str,
        key_arn: str,
        settings: FargateSettings,
        bedrock_role: str | None,
    ) -> None:
        super().__init__(scope, id)
        subnets = rds.CfnDBSubnetGroup(
            self, "Subnets", db_subnet_group_description="Subnets without a way out", subnet_ids=subnet_ids
        )
        group = rds.CfnDBClusterParameterGroup(
            self,
            "Parameters",
            description="TLS only, audited",
            family="aurora-mysql8.0",
            parameters=parameters(settings, bedrock_role),
        )
        monitoring = monitoring_role(self)
        for needed in (subnets, group):
            needed.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
        scaling: dict[str, Any] = {
            "minCapacity": settings.aurora_minimum_capacity,
            "maxCapacity": settings.aurora_maximum_capacity,
        }
        if settings.database_pauses:
            scaling["secondsUntilAutoPause"] = settings.aurora_auto_pause_minutes * 60
        self.cluster = rds.CfnDBCluster(
            self,
            "Cluster",
            engine="aurora-mysql",
            engine_version=ENGINE_VERSION,
            database_name=name,
            port=PORT,
            db_subnet_group_name=subnets.ref,
            db_cluster_parameter_group_name=group.ref,
            vpc_security_group_ids=[security_group_id],
            serverless_v2_scaling_configuration=scaling,
            storage_encrypted=True,
            kms_key_id=key_arn,
            master_username="hostemr",
            # RDS keeps the master's password in a secret of its own and changes it every seven days.
            # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-secrets-manager.html
            manage_master_user_password=True,
            master_user_secret={"kmsKeyId": key_arn},
            enable_iam_database_authentication=True,
            backup_retention_period=BACKUP_RETENTION_DAYS,
            copy_tags_to_snapshot=True,
            deletion_protection=settings.rds_deletion_protection,
            enable_http_endpoint=settings.enable_data_api,
            associated_roles=[{"featureName": "Bedrock", "roleArn": bedrock_role}] if bedrock_role else None,
            # All that there are, so that a log that is switched on for a day arrives; two of them stay empty.
            enable_cloudwatch_logs_exports=["audit", "error", "general", "slowquery"],
            preferred_backup_window="03:00-04:00",
            preferred_maintenance_window="sun:04:30-sun:05:30",
        )
        self.cluster.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
        writer = self._instance("Writer", monitoring, tier=0)
        writer.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
        if settings.aurora_reader:
            # It holds no data of its own: Aurora's storage belongs to the cluster.
            self._instance("Reader", monitoring, tier=1).add_resource_dependency(writer)
        self.subnet_group_name = subnets.ref
        self.arn = arn("rds", f"cluster:{self.cluster.ref}")

    def _instance(self, name: str, monitoring: iam.CfnRole, *, tier: int) -> rds.CfnDBInstance:
        return rds.CfnDBInstance(
            self,
            name,
            db_cluster_identifier=self.cluster.ref,
            db_instance_class="db.serverless",
            engine="aurora-mysql",
            promotion_tier=tier,
            publicly_accessible=False,
            ca_certificate_identifier=CERTIFICATE_AUTHORITY,
            auto_minor_version_upgrade=False,
            monitoring_interval=60,
            monitoring_role_arn=monitoring.attr_arn,
        )
