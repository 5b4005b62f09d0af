"""The stack: what lasts here, what serves in serving.py, what watches in watching.py."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_backup as backup
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_efs as efs
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from benchmarks.peers.plain_cdk.serving import Serving, Store
from benchmarks.peers.plain_cdk.watching import watch


class OpenEMRStack(cdk.Stack):
    """Network, keys, database, files, backups and trail, and on them the service."""

    def __init__(self, scope: Construct, name: str, *, env: cdk.Environment) -> None:
        super().__init__(scope, name, env=env, termination_protection=True)
        self.data_key, self.logs_key, self.backup_key = (
            kms.Key(self, f"{what}Key", enable_key_rotation=True) for what in ("Data", "Logs", "Backup")
        )
        for service in ("logs", "cloudtrail", "cloudwatch", "events", "delivery.logs"):
            self.logs_key.grant_encrypt_decrypt(iam.ServicePrincipal(f"{service}.amazonaws.com"))
        self.audit = s3.Bucket(
            self,
            "Audit",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.logs_key,
            versioned=True,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        )
        self.access_logs = s3.Bucket(
            self,
            "AccessLogs",
            encryption=s3.BucketEncryption.S3_MANAGED,
            versioned=True,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            lifecycle_rules=[s3.LifecycleRule(expiration=cdk.Duration.days(365))],
        )
        self.topic = sns.Topic(self, "Notices", master_key=self.logs_key, enforce_ssl=True)
        self._network()
        self._database()
        self._files()
        self._backups()
        self._trail()
        store = Store(
            vpc=self.vpc,
            database=self.database,
            files=self.files,
            access_point=self.access_point,
            access_logs=self.access_logs,
            logs_key=self.logs_key,
        )
        serving = Serving(self, "Serving", store=store, topic=self.topic)
        watch(self, serving=serving, database=self.database, files=self.files, topic=self.topic)

    def _network(self) -> None:
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=2,
            nat_gateways=2,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC),
                ec2.SubnetConfiguration(name="Tasks", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
                ec2.SubnetConfiguration(name="Data", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            ],
        )
        self.vpc.add_flow_log("FlowLog", destination=ec2.FlowLogDestination.to_s3(self.access_logs, "vpc/"))

    def _database(self) -> None:
        engine = rds.DatabaseClusterEngine.aurora_mysql(version=rds.AuroraMysqlEngineVersion.VER_3_08_1)
        self.database = rds.DatabaseCluster(
            self,
            "Database",
            engine=engine,
            writer=rds.ClusterInstance.serverless_v2("Writer"),
            readers=[rds.ClusterInstance.serverless_v2("Reader", scale_with_writer=True)],
            serverless_v2_min_capacity=0.5,
            serverless_v2_max_capacity=8,
            vpc=self.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            storage_encrypted=True,
            storage_encryption_key=self.data_key,
            default_database_name="openemr",
            deletion_protection=True,
            backup=rds.BackupProps(retention=cdk.Duration.days(35)),
            cloudwatch_logs_exports=["audit", "error", "slowquery"],
            parameter_group=rds.ParameterGroup(
                self,
                "Parameters",
                engine=engine,
                parameters={"require_secure_transport": "ON", "tls_version": "TLSv1.2"},
            ),
        )
        self.database.add_rotation_single_user(automatically_after=cdk.Duration.days(30))

    def _files(self) -> None:
        self.files = efs.FileSystem(
            self,
            "Files",
            vpc=self.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            encrypted=True,
            kms_key=self.data_key,
            enable_automatic_backups=True,
        )
        self.access_point = self.files.add_access_point(
            "Sites",
            path="/sites",
            create_acl=efs.Acl(owner_uid="1000", owner_gid="1000", permissions="0750"),
            posix_user=efs.PosixUser(uid="1000", gid="1000"),
        )

    def _backups(self) -> None:
        vault = backup.BackupVault(self, "Vault", encryption_key=self.backup_key, notification_topic=self.topic)
        plan = backup.BackupPlan(
            self,
            "Plan",
            backup_vault=vault,
            backup_plan_rules=[
                backup.BackupPlanRule(
                    rule_name="Daily",
                    schedule_expression=events.Schedule.cron(hour="5", minute="0"),
                    delete_after=cdk.Duration.days(35),
                ),
                backup.BackupPlanRule(
                    rule_name="Monthly",
                    schedule_expression=events.Schedule.cron(hour="5", minute="0", day="1"),
                    move_to_cold_storage_after=cdk.Duration.days(90),
                    delete_after=cdk.Duration.days(2555),
                ),
            ],
        )
        plan.add_selection(
            "Everything",
            resources=[
                backup.BackupResource.from_rds_database_cluster(self.database),
                backup.BackupResource.from_efs_file_system(self.files),
            ],
        )

        # For restore testing there are no high-level constructs yet.
        tester = iam.Role(
            self,
            "Tester",
            assumed_by=iam.ServicePrincipal("backup.amazonaws.com"),
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name("service-role/AWSBackupServiceRolePolicyForRestores")
            ],
        )
        testing = backup.CfnRestoreTestingPlan(
            self,
            "Testing",
            restore_testing_plan_name="openemr",
            schedule_expression="cron(0 9 ? * SUN *)",
            recovery_point_selection={
                "algorithm": "LATEST_WITHIN_WINDOW",
                "includeVaults": [vault.backup_vault_arn],
                "recoveryPointTypes": ["SNAPSHOT"],
            },
        )
        for kind, arn in (("Aurora", self.database.cluster_arn), ("EFS", self.files.file_system_arn)):
            backup.CfnRestoreTestingSelection(
                self,
                f"Testing{kind}",
                restore_testing_plan_name=testing.ref,
                restore_testing_selection_name=kind.lower(),
                protected_resource_type=kind,
                protected_resource_arns=[arn],
                iam_role_arn=tester.role_arn,
            )

    def _trail(self) -> None:
        cloudtrail.Trail(
            self,
            "Trail",
            bucket=self.audit,
            encryption_key=self.logs_key,
            enable_file_validation=True,
            is_multi_region_trail=True,
            send_to_cloud_watch_logs=True,
            cloud_watch_logs_retention=logs.RetentionDays.ONE_YEAR,
        )
