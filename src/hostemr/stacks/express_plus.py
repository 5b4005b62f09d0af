"""Express Plus: one server with OpenEMR, and backups that are known to restore, as one self-contained template."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from hostemr.deployment import outputs
from hostemr.deployment.express_plus import ExpressPlusSettings
from hostemr.stacks import express_plus_server as server
from hostemr.stacks.express_plus_access import METRICS, allow_recovery, server_role
from hostemr.stacks.express_plus_alarms import WATCHES, alarms, notices
from hostemr.stacks.express_plus_keys import Secrets, key, secrets
from hostemr.stacks.express_plus_network import flow_log, network
from hostemr.stacks.express_plus_parameters import Parameters
from hostemr.stacks.express_plus_storage import (
    PREFIX,
    backup_bucket,
    backup_bucket_policy,
    data_volume,
    log_buckets,
    trail,
)

_READY_MINUTES = 240
"""A failure is signalled when it happens; this is for a server that says nothing, and for a recovery of much data.

One figure for both, since CloudFormation changes no wait condition when a recovery stack becomes a standard one.
"""


class ExpressPlusStack(cdk.Stack):
    """Wires the rooms. The constructs lie in the stack itself, so that logical ids are names that people can read."""

    def __init__(self, scope: Construct, *, settings: ExpressPlusSettings, program: server.Program) -> None:
        variant = [name for name, on in (("recovery", settings.recovery), ("developer", settings.dev)) if on]
        super().__init__(
            scope,
            settings.template_name,
            description="OpenEMR Express Plus: one server with backups that are known to restore"
            + (f" [{', '.join(variant)}]" if variant else "")
            + " (hostemr)",
            termination_protection=settings.enable_termination_protection,
            # No asset is published, so a template needs no bootstrap and no rule that asks for it.
            synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        cdk.Tags.of(self).add("hostemr:application", "openemr")
        self._settings = settings
        parameters = Parameters(self, settings)
        net = network(self, parameters, ssh=settings.dev, smtp=settings.open_smtp_port)
        made_key = key(self)
        made_secrets = secrets(self, key_arn=made_key.attr_arn)
        logs = log_buckets(self, key_arn=made_key.attr_arn)
        flow_log(self, vpc_id=net.vpc_id, to=f"{logs.access.attr_arn}/vpc/", after=logs.access_policy)
        if settings.enable_cloudtrail:
            trail(self, buckets=logs, key_arn=made_key.attr_arn)
        bucket = backup_bucket(
            self,
            key_arn=made_key.attr_arn,
            logs_to=logs.access.ref,
            deleted_days=settings.deleted_backups_days,
            lock_days=settings.object_lock_days,
            lock_mode=settings.object_lock_mode,
        )
        volume = data_volume(
            self,
            size=parameters.number("PracticeStorage"),
            availability_zone=net.subnet.attr_availability_zone,
            key_arn=made_key.attr_arn,
            deletable=settings.dev,
        )
        role = server_role(self, key=made_key, secrets=made_secrets, bucket=bucket, volume=volume, network=net)
        backup_bucket_policy(self, bucket, role_arn=role.attr_arn, key_arn=made_key.attr_arn)
        handle = server.ready_handle(self)
        template = server.launch_template(
            self,
            parameters,
            program=program,
            configuration={
                **self._configuration(bucket=bucket, key=made_key, volume=volume, address=net.address, url=handle),
                **self._told(parameters, made_secrets),
            },
            role=role,
            security_group_id=net.security_group_id,
            ready_url=handle,
        )
        group = server.server_group(
            self,
            template=template,
            network=net,
            after=[allow_recovery(self, parameters, role, made_secrets)] if settings.recovery else [],
        )
        ready = server.ready(self, handle=handle, group=group, minutes=_READY_MINUTES)
        alarms(self, WATCHES, topic_arn=notices(self, parameters, key_arn=made_key.attr_arn), after=ready)
        self._outputs(
            parameters, bucket=bucket, key=made_key, secrets=made_secrets, volume=volume, net_address=net.address
        )

    def _configuration(
        self, *, bucket: s3.CfnBucket, key: kms.CfnKey, volume: ec2.CfnVolume, address: ec2.CfnEIP, url: str
    ) -> dict[str, Any]:
        """What the agent is told of the stack; its names are those of `hostemr.host.configuration`."""
        return {
            "name": cdk.Aws.STACK_NAME,
            "region": cdk.Aws.REGION,
            "stack_id": cdk.Aws.STACK_ID,
            "group_resource": server.GROUP,
            "ready_url": url,
            "bucket": bucket.ref,
            "prefix": PREFIX,
            "key_arn": key.attr_arn,
            "volume_id": volume.ref,
            "allocation_id": address.attr_allocation_id,
            "address": address.ref,
            "metrics_namespace": METRICS,
        }

    def _told(self, parameters: Parameters, known: Secrets) -> dict[str, Any]:
        """What the agent is told of settings and parameters."""
        one = self._settings
        openemr = f"{one.openemr_image}:{parameters.reference('OpenEMRVersion')}"
        return {
            "passphrase_secret": known.passphrase,
            "administrator_secret": known.administrator,
            "database_secret": known.database,
            "engine": one.backup_engine,
            "domain": parameters.given("Domain"),
            # Rules see to it that there is one where there is a domain.
            "email": parameters.given("Email"),
            # With a digest Docker takes that, whatever the tag; the parameter then has one value only.
            "openemr_image": openemr + (f"@{one.openemr_image_digest}" if one.openemr_image_digest else ""),
            "database_image": one.database_reference,
            "web_image": one.web_reference,
            "keep_daily": one.keep_daily,
            "keep_weekly": one.keep_weekly,
            "keep_monthly": one.keep_monthly,
            "full_every_days": one.full_every_days,
            "keep_previous_days": one.keep_previous_days,
            **({"recovery": self._recovery(parameters)} if one.recovery else {}),
        }

    @staticmethod
    def _recovery(parameters: Parameters) -> dict[str, Any]:
        return {
            "bucket": parameters.reference("RecoveryS3Bucket"),
            "key_arn": parameters.reference("RecoveryKMSKey"),
            "passphrase_secret": parameters.given("RecoveryPassphraseSecret"),
            "engine": parameters.reference("RecoveryEngine"),
            "layout": parameters.reference("RecoveryLayout"),
        }

    def _outputs(
        self,
        parameters: Parameters,
        *,
        bucket: s3.CfnBucket,
        key: kms.CfnKey,
        secrets: Secrets,
        volume: ec2.CfnVolume,
        net_address: ec2.CfnEIP,
    ) -> None:
        site = parameters.either("Domain", {"Ref": "Domain"}, net_address.ref)
        find = f"Name=tag:Name,Values={cdk.Aws.STACK_NAME} Name=instance-state-name,Values=running"
        session = (
            f"aws ssm start-session --region {cdk.Aws.REGION} --target $(aws ec2 describe-instances --region "
            f"{cdk.Aws.REGION} --filters {find} --query Reservations[0].Instances[0].InstanceId --output text)"
        )
        for name, value, description in (
            (outputs.EXPRESS_PLUS_URL, f"https://{site}", "Where OpenEMR answers; sign in as admin"),
            (
                outputs.EXPRESS_PLUS_ADDRESS,
                net_address.ref,
                "The server's address: let the domain's A record lead here",
            ),
            (
                outputs.EXPRESS_PLUS_ADMINISTRATOR,
                secrets.administrator,
                "The secret with admin's first password; change the password after signing in",
            ),
            (outputs.EXPRESS_PLUS_BUCKET, bucket.ref, "The backups; a recovery asks for it as RecoveryS3Bucket"),
            (outputs.EXPRESS_PLUS_KEY, key.attr_arn, "Their key; a recovery asks for it as RecoveryKMSKey"),
            (
                outputs.EXPRESS_PLUS_PASSPHRASE,
                secrets.passphrase,
                "Their passphrase; a recovery asks for it as RecoveryPassphraseSecret",
            ),
            (outputs.EXPRESS_PLUS_VOLUME, volume.ref, "The volume with database, documents and certificates"),
            (outputs.EXPRESS_PLUS_SESSION, session, "A shell on the server, without SSH"),
            (outputs.EXPRESS_PLUS_LOG, "sudo tail -f /tmp/launch.log", "In that shell: what the set-up is doing"),
        ):
            # A resource may have the same name as the output that tells of it.
            output = cdk.CfnOutput(self, f"{name}Output", value=value, description=description)
            output.override_logical_id(name)
