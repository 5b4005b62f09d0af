"""The registration service's service stack: what can be thrown away and made again without loss."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from hostemr.deployment import outputs
from hostemr.deployment.registration import PORT, WEB, RegistrationOnAwsSettings
from hostemr.deployment.registration_rows import REGISTRATION
from hostemr.stacks import alarms
from hostemr.stacks.access import security_group
from hostemr.stacks.alarms import Alarms
from hostemr.stacks.cluster import CPU, cluster, fargate_service, scale
from hostemr.stacks.egress import Egress
from hostemr.stacks.exports import Exports, Imports
from hostemr.stacks.notices import tell_of_deployments
from hostemr.stacks.registration_alarms import watch_certificate, watch_instance, watch_log
from hostemr.stacks.registration_entrance import RegistrationEntrance
from hostemr.stacks.registration_reports import Reports
from hostemr.stacks.registration_tasks import SETUP, SETUP_SECONDS, START_SECONDS, RegistrationTasks
from hostemr.stacks.setup import Rotation, Setup


class RegistrationServiceStack(cdk.Stack):
    """Wires the parts that serve, over what the data stack keeps and beside what the mail stack sends with.

    Raises SettingsError where the settings name no image and there is no checkout to build one from.
    """

    def __init__(self, scope: Construct, *, settings: RegistrationOnAwsSettings) -> None:
        data_name, mail_name, name = outputs.registration_stack_names(settings.resource_suffix)
        super().__init__(
            scope,
            name,
            description=f"Product registration: what serves, over {data_name} and {mail_name} (hostemr)"
            f"{_what_it_waits_for(settings)}",
            synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        cdk.Tags.of(self).add("hostemr:application", REGISTRATION)
        self._settings = settings
        self._data = Imports(data_name, settings.availability_zones)
        reports = Reports(settings)
        self.tasks_group = security_group(
            self, "TasksGroup", vpc_id=self._data["VpcId"], purpose="Tasks of the registration service"
        ).attr_group_id
        self.cluster = cluster(self, data=self._data, with_exec=settings.enable_ecs_exec)
        self.egress = self._open_a_way_out()
        self.entrance = RegistrationEntrance(self, settings=settings, data=self._data, tasks_group_id=self.tasks_group)
        self.tasks = RegistrationTasks(self, "Tasks", settings=settings, data=self._data, reports=reports)
        self.setup = self._set_up()
        self.service = self._serve()
        self.rotation = self._rotate()
        scale(
            self,
            cluster=self.cluster,
            service=self.service,
            minimum=settings.minimum_capacity,
            maximum=settings.maximum_capacity,
            percents={"Cpu": (CPU, settings.cpu_target_percent)},
        )
        # SNS asks for a confirmation at once, so there has to be somebody who gives it.
        subscription = reports.subscribe(self)
        subscription.add_resource_dependency(self.service)
        if self.entrance.zone is not None:
            subscription.node.add_dependency(self.entrance.zone)
        tell_of_deployments(
            self,
            service_arn=self.service.ref,
            topic_arn=self._data["TopicArn"],
            addresses=settings.deployment_notification_email,
            key_arn=self._data["LogsKeyArn"],
        )
        if settings.enable_alarms:
            self._watch()
        self._tell()

    def _open_a_way_out(self) -> Egress:
        data = self._data
        egress = Egress(
            self,
            "Egress",
            settings=self._settings,
            vpc_id=data["VpcId"],
            public_subnets=data.each("PublicSubnetId"),
            task_subnets=data.each("TaskSubnetId"),
            route_tables=data.each("TaskRouteTableId"),
        )
        # Mail leaves by the API of SES, over HTTPS.
        egress.open(tasks_group_id=self.tasks_group, smtp=False, smtps=False)
        return egress

    def _groups(self) -> list[str]:
        """The second one is what lets them reach the database."""
        return [self.tasks_group, self._data["ClientsGroupId"]]

    def _set_up(self) -> Setup:
        setup = Setup(
            self,
            "Setup",
            container=SETUP,
            seconds=SETUP_SECONDS,
            tasks=self.tasks,
            cluster_arn=self.cluster.attr_arn,
            task_log=self._data["TaskLog"],
            network={
                "Subnets": self.egress.subnets,
                "SecurityGroups": self._groups(),
                "AssignPublicIp": self.egress.assign_public_ip,
            },
            run="1",
            logs_key=self._data["LogsKeyArn"],
            log_retention_days=self._settings.log_retention_days,
        )
        # A task that starts before its way out exists cannot fetch its image.
        setup.done.node.add_dependency(self.egress)
        return setup

    def _serve(self) -> ecs.CfnService:
        balancer = self.entrance.load_balancer
        service = fargate_service(
            self,
            cluster=self.cluster,
            task=self.tasks.service,
            with_exec=self._settings.enable_ecs_exec,
            start_seconds=START_SECONDS,
            door=(WEB, PORT, balancer.target_group.ref),
            subnets=self.egress.subnets,
            groups=self._groups(),
            assign_public_ip=self.egress.assign_public_ip,
        )
        for needed in (*balancer.listeners, *balancer.rules, self.setup.done):
            service.add_resource_dependency(needed)
        return service

    def _rotate(self) -> Rotation:
        return Rotation(
            self,
            "Rotation",
            setup=self.setup,
            tasks=self.tasks,
            secret_arn=self._data["DatabaseSecretArn"],
            every_days=self._settings.credential_rotation_days,
            data_key=self._data["DataKeyArn"],
            logs_key=self._data["LogsKeyArn"],
            log_retention_days=self._settings.log_retention_days,
            # It reads its credential when it starts.
            restarts=self.service,
        )

    def _watch(self) -> None:
        settings, balancer = self._settings, self.entrance.load_balancer
        # An instance is called by what its endpoint begins with.
        restored = (settings.restored_database_host or "").partition(".")[0]
        watches = [
            *alarms.watch_load_balancer(
                balancer=balancer.balancer.attr_load_balancer_full_name,
                target_group=balancer.target_group.attr_target_group_full_name,
            ),
            *alarms.watch_service(
                cluster=self.cluster.ref, service=self.service.attr_name, minimum=settings.minimum_capacity
            ),
            *watch_instance(instance=restored or self._data["DatabaseInstanceId"], settings=settings),
            watch_certificate(certificate_arn=self.entrance.certificate_arn),
            *watch_log(self, log_group=self._data["TaskLog"], namespace=f"hostemr/{self.stack_name}"),
            *alarms.watch_function(
                name="RotationFailed",
                function=self.rotation.function.ref,
                meaning="The database credential could not be rotated; the old one goes on working",
            ),
        ]
        if self.entrance.firewall is not None:
            watches += alarms.watch_firewall(web_acl=self.entrance.firewall.name)
        made = Alarms(self, "Alarms", watches=watches, topic_arn=self._data["TopicArn"])
        Exports(self).tell(outputs.DASHBOARD, made.dashboard.ref, "The CloudWatch dashboard")

    def _tell(self) -> None:
        settings, tell = self._settings, Exports(self).tell
        tell(outputs.URL, settings.base_url, "Where installations register, and the board signs in under /board")
        tell(
            outputs.LOAD_BALANCER,
            self.entrance.load_balancer.balancer.attr_dns_name,
            f"Where the name {settings.host_name} leads"
            if self.entrance.zone is not None
            else f"Make a record that leads {settings.host_name} here: CNAME, or ALIAS at the top of a domain",
        )
        tell(outputs.CLUSTER, self.cluster.ref, "For aws ecs execute-command")
        tell(outputs.SERVICE, self.service.attr_name, "For aws ecs update-service")
        tell(outputs.SETUP_FUNCTION, self.setup.runner.function.ref, "Invoke it with {} to prepare the database again")
        if settings.restored_database_host and settings.restored_database_secret_arn:
            tell(outputs.DATABASE_HOST, settings.restored_database_host, "The restored database that it works on")
            tell(outputs.MASTER_SECRET, settings.restored_database_secret_arn, "The secret of that database's master")


def _what_it_waits_for(settings: RegistrationOnAwsSettings) -> str:
    if settings.certificate_arn is not None or settings.route53_domain is not None:
        return ""
    return (
        f". Its making waits until the CNAME record that ACM shows for the certificate of {settings.host_name} is in "
        "the DNS"
    )
