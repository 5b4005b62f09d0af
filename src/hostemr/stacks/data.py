"""The data stack: what lasts. Network, keys, database, files, secrets, backups and the audit trail.

Deleting it deletes no record: everything stateful is retained, the database refuses deletion, and the stack itself
is protected against termination.
"""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from hostemr.deployment.application import Application
from hostemr.deployment.outputs import (
    ADMINISTRATOR_SECRET,
    BACKUP_VAULT,
    DATABASE_ARN,
    DATABASE_HOST,
    MASTER_SECRET,
    stack_names,
)
from hostemr.deployment.settings import FargateSettings
from hostemr.stacks import database, files
from hostemr.stacks.access import allow, security_group
from hostemr.stacks.backups import SEVEN_YEARS, SEVEN_YEARS_DAYS, Backups, Selected
from hostemr.stacks.bedrock import Bedrock
from hostemr.stacks.buckets import Buckets
from hostemr.stacks.credentials import Credentials
from hostemr.stacks.database import Database
from hostemr.stacks.exports import Exports
from hostemr.stacks.files import Files
from hostemr.stacks.keys import Keys
from hostemr.stacks.log_groups import NINE_YEARS_DAYS, LogGroups
from hostemr.stacks.network import Network
from hostemr.stacks.notices import Notices
from hostemr.stacks.record_buckets import RecordBuckets
from hostemr.stacks.trail import Trail


class DataStack(cdk.Stack):
    """Wires the parts that last, and exports what the service stack needs of them."""

    def __init__(self, scope: Construct, *, application: Application, settings: FargateSettings) -> None:
        name, _ = stack_names(application.name, settings.resource_suffix)
        super().__init__(
            scope,
            name,
            description=f"{application.title}: what lasts (hostemr)",
            termination_protection=settings.enable_termination_protection,
            # No asset is published, so a template needs no bootstrap and no rule that asks for it.
            synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        cdk.Tags.of(self).add("hostemr:application", application.name)
        self.keys = Keys(
            self,
            "Keys",
            data_purpose="patients' data: database, files, cache, secrets, mail",
            receives_mail=True,
            trail_name=name,
        )
        self.buckets = Buckets(
            self,
            "Buckets",
            key_arn=self.keys.logs.attr_arn,
            log_retention_days=settings.log_retention_days,
            audit_days=SEVEN_YEARS_DAYS,
            trail_name=name,
        )
        self.log_groups = LogGroups(
            self,
            "Logs",
            key_arn=self.keys.logs.attr_arn,
            retention_days=settings.log_retention_days,
            trail_days=NINE_YEARS_DAYS,
        )
        self.network = Network(
            self,
            "Network",
            cidr=settings.vpc_cidr,
            zones=settings.availability_zones,
            flow_logs_arn=f"{self.buckets.access_logs.attr_arn}/vpc/",
        )
        self.network.flow_log.add_resource_dependency(self.buckets.access_logs_policy)
        data_subnets = [subnet.ref for subnet in self.network.data_subnets]
        self._allow_clients()
        bedrock_role = None
        if settings.enable_bedrock_integration:
            bedrock_role = Bedrock(
                self,
                "Bedrock",
                vpc_id=self.network.vpc.ref,
                subnet_ids=data_subnets,
                database_group_id=self.database_group.attr_group_id,
            ).role.attr_arn
        self.database = Database(
            self,
            "Database",
            name=application.database,
            subnet_ids=data_subnets,
            security_group_id=self.database_group.attr_group_id,
            key_arn=self.keys.data.attr_arn,
            settings=settings,
            bedrock_role=bedrock_role,
        )
        self.files = Files(
            self,
            "Files",
            share=application.files,
            subnet_ids=data_subnets,
            security_group_id=self.files_group.attr_group_id,
            key_arn=self.keys.data.attr_arn,
        )
        self.record_buckets = RecordBuckets(
            self,
            "Records",
            key_arn=self.keys.data.attr_arn,
            logs_to=self.buckets.access_logs.ref,
            attachments=application.keeps_attachments_in_s3,
        )
        self.credentials = Credentials(
            self,
            "Credentials",
            title=application.title,
            administrator=application.administrator,
            database_user=application.database_user,
            key_arn=self.keys.data.attr_arn,
        )
        self.notices = Notices(self, "Notices", key_arn=self.keys.logs.attr_arn, addresses=settings.monitoring_email)
        self._back_up(settings)
        if settings.enable_cloudtrail:
            Trail(
                self,
                "Trail",
                name=name,
                bucket=self.buckets.audit,
                bucket_policy=self.buckets.audit_policy,
                key_arn=self.keys.logs.attr_arn,
                log_group=self.log_groups.trail if settings.long_term_trail else None,
            )
        self._export()

    def _allow_clients(self) -> None:
        """Whoever wears the clients' group reaches database and files; nobody else does."""
        vpc_id = self.network.vpc.ref
        self.clients_group = security_group(
            self.network, "Clients", vpc_id=vpc_id, purpose="May reach the database and the files"
        )
        self.database_group = security_group(self.network, "Database", vpc_id=vpc_id, purpose="The database")
        self.files_group = security_group(self.network, "Files", vpc_id=vpc_id, purpose="The files")
        clients = self.clients_group.attr_group_id
        allow(
            self.network,
            "ClientsToDatabase",
            source=clients,
            destination=self.database_group.attr_group_id,
            port=database.PORT,
            why="MySQL over TLS",
        )
        allow(
            self.network,
            "ClientsToFiles",
            source=clients,
            destination=self.files_group.attr_group_id,
            port=files.PORT,
            why="NFS over TLS",
        )
        self.network.keep()

    def _back_up(self, settings: FargateSettings) -> None:
        resources = {"Aurora": [self.database.arn], "EFS": [self.files.file_system.attr_arn]}
        buckets = []
        if self.record_buckets.attachments is not None and settings.attachment_storage == "s3":
            buckets.append(self.record_buckets.attachments.attr_arn)
        if settings.email_forwarding_address:
            buckets.append(self.record_buckets.mail.attr_arn)
        if buckets:
            resources["S3"] = buckets
        self.backups = Backups(
            self,
            "Backups",
            key_arn=self.keys.backups.attr_arn,
            resources=resources,
            selected=Selected(
                label="DatabaseAndFiles",
                identity=cdk.Fn.select(1, cdk.Fn.split("/", self.files.file_system.attr_arn)),
            ),
            schedule=SEVEN_YEARS,
            lock_after_days=settings.backup_vault_lock_days,
            copy_vault_arn=settings.backup_copy_vault_arn,
        )
        self.backups.test_restores(
            settings.restore_testing,
            metadata={
                "Aurora": {
                    "dbSubnetGroupName": self.database.subnet_group_name,
                    "vpcSecurityGroupIds": cdk.Fn.join("", ['["', self.database_group.attr_group_id, '"]']),
                },
                "EFS": {"kmsKeyId": self.keys.data.attr_arn},
            },
        )
        if settings.enable_alarms:
            self.backups.tell(self.notices.topic_arn)

    def _export(self) -> None:
        exports = Exports(self)
        exports.write_ground(
            network=self.network,
            clients_group=self.clients_group,
            keys=self.keys,
            buckets=self.buckets,
            log_groups=self.log_groups,
            topic_arn=self.notices.topic_arn,
        )
        exports.write(
            {
                "DatabaseClusterId": self.database.cluster.ref,
                "DatabaseHost": self.database.cluster.attr_endpoint_address,
                "MasterSecretArn": self.database.cluster.attr_master_user_secret_secret_arn,
                "DatabaseSecretArn": self.credentials.database.ref,
                "AdministratorSecretArn": self.credentials.administrator.ref,
                "FileSystemId": self.files.file_system.ref,
                "AccessPointId": self.files.access_point.ref,
                "MailBucket": self.record_buckets.mail.ref,
            }
        )
        if self.record_buckets.attachments is not None:
            exports.write({"AttachmentsBucket": self.record_buckets.attachments.ref})
        exports.write_zones(self.network)
        exports.tell(DATABASE_HOST, self.database.cluster.attr_endpoint_address, "The database's writer endpoint")
        exports.tell(DATABASE_ARN, self.database.arn, "For aws rds-data, where enable_data_api is on")
        exports.tell(
            MASTER_SECRET,
            self.database.cluster.attr_master_user_secret_secret_arn,
            "The master's credential, which RDS changes every week",
        )
        exports.tell(ADMINISTRATOR_SECRET, self.credentials.administrator.ref, "The administrator's first password")
        exports.tell(BACKUP_VAULT, self.backups.vault.ref, "Where the recovery points are")
