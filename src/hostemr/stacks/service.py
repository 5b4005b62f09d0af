"""The service stack: what can be thrown away and made again without loss. Tasks, load balancer, firewall, cache."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from hostemr.deployment import outputs
from hostemr.deployment.application import Application, Places
from hostemr.deployment.settings import FargateSettings
from hostemr.stacks import alarms
from hostemr.stacks.access import security_group
from hostemr.stacks.alarms import Alarms, Watch
from hostemr.stacks.cache import Cache
from hostemr.stacks.cluster import CPU, MEMORY, cluster, fargate_service, scale
from hostemr.stacks.container_definitions import Surroundings
from hostemr.stacks.domain import Zone
from hostemr.stacks.egress import Egress
from hostemr.stacks.entrance import Entrance
from hostemr.stacks.exports import Exports, Imports
from hostemr.stacks.mail import HELP, Mail
from hostemr.stacks.notices import tell_of_deployments
from hostemr.stacks.peers import Peers
from hostemr.stacks.pulled_images import cache_prefix, pulled
from hostemr.stacks.received_mail import ReceivedMail
from hostemr.stacks.roots import root_certificate
from hostemr.stacks.setup import Rotation, Setup
from hostemr.stacks.tasks import Tasks


class ServiceStack(cdk.Stack):
    """Wires the parts that serve, over what a data stack keeps."""

    def __init__(self, scope: Construct, *, application: Application, settings: FargateSettings) -> None:
        data_name, name = outputs.stack_names(application.name, settings.resource_suffix)
        super().__init__(
            scope,
            name,
            description=f"{application.title}: what serves, over the stack {data_name} (hostemr)",
            synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        cdk.Tags.of(self).add("hostemr:application", application.name)
        self._application, self._settings = application, settings
        self._data = Imports(data_name, settings.availability_zones)
        self.tasks_group = security_group(
            self, "TasksGroup", vpc_id=self._data["VpcId"], purpose=f"Tasks of {application.title}"
        ).attr_group_id
        self.cluster = cluster(self, data=self._data, with_exec=settings.enable_ecs_exec)
        self.egress = self._egress()
        self.entrance = Entrance(
            self, application=application, settings=settings, data=self._data, tasks_group_id=self.tasks_group
        )
        self.cache = self._cache() if settings.shared_sessions else None
        self.peers = self._peers() if settings.clustered_cache else None
        self.mail = self._mail() if settings.configure_ses else None
        self.received = None
        if self.entrance.zone is not None and self.mail is not None and settings.email_forwarding_address:
            self.received = self._receive(self.entrance.zone, self.mail)
        self.tasks = self._tasks()
        self.setup = self._set_up()
        self.service = self._service()
        self.rotation = self._rotate()
        self._scale()
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

    def _peers(self) -> Peers:
        if self._application.peer_ports is None:
            raise TypeError(f"tasks of {self._application.name} do not speak to each other")
        return Peers(
            self,
            "Peers",
            domain=f"{self.stack_name}.internal",
            vpc_id=self._data["VpcId"],
            tasks_group_id=self.tasks_group,
            ports=self._application.peer_ports,
        )

    def _egress(self) -> Egress:
        data, settings = self._data, self._settings
        egress = Egress(
            self,
            "Egress",
            settings=settings,
            vpc_id=data["VpcId"],
            public_subnets=data.each("PublicSubnetId"),
            task_subnets=data.each("TaskSubnetId"),
            route_tables=data.each("TaskRouteTableId"),
        )
        if settings.egress == "endpoints":
            egress.through_endpoints(
                tasks_group_id=self.tasks_group,
                audit_bucket=data["AuditBucket"],
                attachments_bucket=self._attachments_bucket(),
                with_exec=settings.enable_ecs_exec,
                with_mail=settings.configure_ses,
            )
        egress.open(
            tasks_group_id=self.tasks_group,
            smtp=settings.open_smtp_port or (settings.configure_ses and settings.egress != "endpoints"),
            smtps=settings.open_smtp_port,
        )
        return egress

    def _attachments_bucket(self) -> str | None:
        return self._data["AttachmentsBucket"] if self._settings.attachment_storage == "s3" else None

    def _cache(self) -> Cache:
        return Cache(
            self,
            "Cache",
            title=self._application.title,
            vpc_id=self._data["VpcId"],
            subnets=self._data.each("TaskSubnetId"),
            tasks_group_id=self.tasks_group,
            key_arn=self._data["DataKeyArn"],
            maximum_gigabytes=self._settings.cache_maximum_gigabytes,
        )

    def _mail(self) -> Mail:
        data, settings = self._data, self._settings
        if self.entrance.zone is None:
            raise TypeError("configure_ses without route53_domain, which the settings' rules refuse")
        address = f"{HELP}@{self.entrance.zone.domain}"
        return Mail(
            self,
            "Mail",
            zone=self.entrance.zone,
            title=self._application.title,
            data_key=data["DataKeyArn"],
            logs_key=data["LogsKeyArn"],
            log_retention_days=settings.log_retention_days,
            reports_to=address if settings.email_forwarding_address else None,
        )

    def _receive(self, zone: Zone, mail: Mail) -> ReceivedMail:
        return ReceivedMail(
            self,
            "ReceivedMail",
            zone=zone,
            mail=mail,
            forward_to=self._settings.email_forwarding_address,
            bucket=self._data["MailBucket"],
            data_key=self._data["DataKeyArn"],
            logs_key=self._data["LogsKeyArn"],
            log_retention_days=self._settings.log_retention_days,
        )

    def _tasks(self) -> Tasks:
        data, settings = self._data, self._settings
        if settings.docker_hub_secret_arn is not None:
            ecr.CfnPullThroughCacheRule(
                self,
                "PullThroughCache",
                ecr_repository_prefix=cache_prefix(self.stack_name),
                upstream_registry="docker-hub",
                upstream_registry_url="registry-1.docker.io",
                credential_arn=settings.docker_hub_secret_arn,
            )
        root, url = root_certificate(self)
        return Tasks(
            self,
            "Tasks",
            application=self._application,
            settings=settings,
            surroundings=Surroundings(
                images={
                    attribute: pulled(image, settings, self.stack_name) for attribute, image in settings.images.items()
                },
                places=Places(
                    attachments_bucket=self._attachments_bucket(),
                    peers=self.peers.name if self.peers else None,
                ),
                database_host=data["DatabaseHost"],
                database_ca=root,
                database_ca_url=url,
                cache_host=self.cache.host if self.cache else None,
                cache_secret=self.cache.secret.ref if self.cache else None,
                mail=self.mail.server if self.mail else None,
                master_secret=data["MasterSecretArn"],
                database_secret=data["DatabaseSecretArn"],
                administrator_secret=data["AdministratorSecretArn"],
                data_key=data["DataKeyArn"],
                logs_key=data["LogsKeyArn"],
                file_system=data["FileSystemId"],
                access_point=data["AccessPointId"],
                audit_bucket=data["AuditBucket"],
                log_group=data["TaskLog"],
                log_group_arn=data["TaskLogArn"],
                setup_environment=self._application.configuration(settings, self.entrance.url),
            ),
        )

    def _set_up(self) -> Setup:
        data, settings = self._data, self._settings
        setup = Setup(
            self,
            "Setup",
            container=self._application.main.name,
            seconds=self._application.setup_seconds,
            tasks=self.tasks,
            cluster_arn=self.cluster.attr_arn,
            task_log=data["TaskLog"],
            network={
                "Subnets": self.egress.subnets,
                "SecurityGroups": self._task_groups(),
                "AssignPublicIp": self.egress.assign_public_ip,
            },
            run=settings.setup_run,
            logs_key=data["LogsKeyArn"],
            log_retention_days=settings.log_retention_days,
        )
        # A task that starts before its way out exists cannot fetch its image.
        setup.done.node.add_dependency(self.egress)
        if self.mail is not None:
            setup.done.add_resource_dependency(self.mail.ready)
        return setup

    def _rotate(self) -> Rotation:
        data, settings = self._data, self._settings
        restarts = self.service if self._application.restarts_for_credentials else None
        if self.mail is not None:
            self.mail.rotate(
                every_days=settings.credential_rotation_days,
                restarts=restarts,
                cluster=self.cluster.ref,
                setup=self.setup.runner.function,
            )
        return Rotation(
            self,
            "Rotation",
            setup=self.setup,
            tasks=self.tasks,
            secret_arn=data["DatabaseSecretArn"],
            every_days=settings.credential_rotation_days,
            data_key=data["DataKeyArn"],
            logs_key=data["LogsKeyArn"],
            log_retention_days=settings.log_retention_days,
            restarts=restarts,
        )

    def _task_groups(self) -> list[str]:
        return [self.tasks_group, self._data["ClientsGroupId"]]

    def _service(self) -> ecs.CfnService:
        application, settings = self._application, self._settings
        service = fargate_service(
            self,
            cluster=self.cluster,
            task=self.tasks.worker,
            with_exec=settings.enable_ecs_exec,
            start_seconds=application.start_seconds * self._starts_before_the_last(),
            door=(application.entrance, application.port, self.entrance.load_balancer.target_group.ref),
            subnets=self.egress.subnets,
            groups=self._task_groups(),
            assign_public_ip=self.egress.assign_public_ip,
            registry_arn=self.peers.registry_arn if self.peers else None,
        )
        rules = [rule for part in (self.entrance.load_balancer, self.cache, self.peers) if part for rule in part.rules]
        for needed in (*self.entrance.load_balancer.listeners, *rules):
            service.add_resource_dependency(needed)
        service.add_resource_dependency(self.setup.done)
        return service

    def _starts_before_the_last(self) -> int:
        """How many starts the last of the tasks that begin at once may have to wait for, its own among them.

        ECS looks away for so long, so not without end: more than six at once begin where scaling is bold.
        """
        settings = self._settings
        return min(settings.maximum_capacity, 6) if self._application.starts_in_turn(settings) else 1

    def _scale(self) -> None:
        settings = self._settings
        scale(
            self,
            cluster=self.cluster,
            service=self.service,
            minimum=settings.minimum_capacity,
            maximum=settings.maximum_capacity,
            percents={"Cpu": (CPU, settings.cpu_target_percent), "Memory": (MEMORY, settings.memory_target_percent)},
        )

    def _watch(self) -> None:
        settings = self._settings
        watches: list[Watch] = [
            *alarms.watch_load_balancer(
                balancer=self.entrance.load_balancer.balancer.attr_load_balancer_full_name,
                target_group=self.entrance.load_balancer.target_group.attr_target_group_full_name,
            ),
            *alarms.watch_service(
                cluster=self.cluster.ref, service=self.service.attr_name, minimum=settings.minimum_capacity
            ),
            *alarms.watch_database(cluster=self._data["DatabaseClusterId"]),
            *alarms.watch_files(file_system=self._data["FileSystemId"]),
            *alarms.watch_function(
                name="RotationFailed",
                function=self.rotation.function.ref,
                meaning="The database credential could not be rotated; the old one goes on working",
            ),
        ]
        if self.mail is not None:
            watches += alarms.watch_function(
                name="MailCredentialFailed",
                function=self.mail.rotator.ref,
                meaning="The credential for sending mail could not be rotated; the old one goes on working",
            )
        if self.received is not None:
            watches += alarms.watch_function(
                name="ForwardingFailed",
                function=self.received.forwarder.ref,
                meaning="Mail could not be forwarded; it is in the archive",
            )
        if self.cache is not None:
            watches += alarms.watch_cache(cache=self.cache.cache.ref)
        if self.entrance.firewall is not None:
            watches += alarms.watch_firewall(web_acl=self.entrance.firewall.name)
        made = Alarms(self, "Alarms", watches=watches, topic_arn=self._data["TopicArn"])
        Exports(self).tell(outputs.DASHBOARD, made.dashboard.ref, "The CloudWatch dashboard")

    def _tell(self) -> None:
        tell = Exports(self).tell
        tell(outputs.URL, self.entrance.url, f"Where {self._application.title} is")
        if self.entrance.accelerator_url is not None:
            tell(outputs.ACCELERATOR_URL, self.entrance.accelerator_url, "The accelerator's own address")
        if self.mail is not None:
            tell(outputs.MAIL_SECRET, self.mail.server.secret, "For aws secretsmanager rotate-secret")
        tell(outputs.CLUSTER, self.cluster.ref, "For aws ecs execute-command")
        tell(outputs.SERVICE, self.service.attr_name, "For aws ecs update-service")
        tell(outputs.SETUP_FUNCTION, self.setup.runner.function.ref, "Invoke it with {} to run the set-up task again")
