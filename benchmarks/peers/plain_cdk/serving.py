"""What serves: cluster, tasks, load balancer, firewall, cache, and the function that sets up."""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ecs_patterns as patterns
from aws_cdk import aws_efs as efs
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as functions
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secrets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_wafv2 as wafv2
from aws_cdk import custom_resources
from constructs import Construct

IMAGE = "openemr/openemr:8.1.0"
SITES = "/var/www/localhost/htdocs/openemr/sites"
MANAGED_RULES = ("AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet", "AWSManagedRulesSQLiRuleSet")
START_SETUP = """
import os
import boto3

def handler(event, context):
    if event["RequestType"] != "Delete":
        boto3.client("ecs").run_task(cluster=os.environ["CLUSTER"], taskDefinition=os.environ["TASK"])
    return {"PhysicalResourceId": "setup"}
"""


@dataclass(frozen=True, kw_only=True)
class Store:
    """What the tasks need of what lasts."""

    vpc: ec2.Vpc
    database: rds.DatabaseCluster
    files: efs.FileSystem
    access_point: efs.AccessPoint
    access_logs: s3.Bucket
    logs_key: kms.Key


class Serving(Construct):
    """The service behind its load balancer."""

    def __init__(self, scope: Construct, name: str, *, store: Store, topic: sns.Topic) -> None:
        super().__init__(scope, name)
        self._store = store
        self.cluster = ecs.Cluster(self, "Cluster", vpc=store.vpc, container_insights_v2=ecs.ContainerInsights.ENABLED)
        self._cache()
        self.administrator = secrets.Secret(
            self,
            "Administrator",
            generate_secret_string=secrets.SecretStringGenerator(
                secret_string_template='{"username": "admin"}', generate_string_key="password", exclude_punctuation=True
            ),
        )
        self._service()
        self._firewall()
        self._set_up()
        self._background()
        events.Rule(
            self,
            "DeploymentFailed",
            event_pattern=events.EventPattern(
                source=["aws.ecs"],
                detail_type=["ECS Deployment State Change"],
                resources=[self.service.service_arn],
                detail={"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
            ),
            targets=[targets.SnsTopic(topic)],
        )

    def _cache(self) -> None:
        store = self._store
        self.cache_password = secrets.Secret(
            self,
            "CachePassword",
            generate_secret_string=secrets.SecretStringGenerator(exclude_punctuation=True, password_length=32),
        )
        self.cache_group = ec2.SecurityGroup(self, "CacheGroup", vpc=store.vpc)
        user = elasticache.CfnUser(
            self,
            "CacheUser",
            engine="valkey",
            user_id="openemr",
            user_name="openemr",
            access_string="on ~* +@all",
            authentication_mode={"Type": "password", "Passwords": [self.cache_password.secret_value.unsafe_unwrap()]},
        )
        users = elasticache.CfnUserGroup(
            self, "CacheUsers", engine="valkey", user_group_id="openemr", user_ids=[user.ref]
        )
        self.cache = elasticache.CfnServerlessCache(
            self,
            "Cache",
            engine="valkey",
            serverless_cache_name="openemr",
            user_group_id=users.ref,
            security_group_ids=[self.cache_group.security_group_id],
            subnet_ids=[subnet.subnet_id for subnet in store.vpc.isolated_subnets],
        )

    def _task(self, name: str, role: str, *, log_group: logs.LogGroup) -> ecs.FargateTaskDefinition:
        store = self._store
        task = ecs.FargateTaskDefinition(self, name, cpu=1024, memory_limit_mib=2048)
        task.add_volume(
            name="sites",
            efs_volume_configuration=ecs.EfsVolumeConfiguration(
                file_system_id=store.files.file_system_id,
                transit_encryption="ENABLED",
                authorization_config=ecs.AuthorizationConfig(
                    access_point_id=store.access_point.access_point_id, iam="ENABLED"
                ),
            ),
        )
        store.files.grant_read_write(task.task_role)
        secret = store.database.secret
        if secret is None:
            raise RuntimeError("the cluster makes no secret")
        container = task.add_container(
            "openemr",
            image=ecs.ContainerImage.from_registry(IMAGE),
            logging=ecs.LogDrivers.aws_logs(stream_prefix=name, log_group=log_group),
            port_mappings=[ecs.PortMapping(container_port=443)],
            environment={
                "K8S": role,
                "MYSQL_HOST": store.database.cluster_endpoint.hostname,
                "MYSQL_PORT": "3306",
                "REDIS_SERVER": self.cache.attr_endpoint_address,
                "REDIS_USERNAME": "openemr",
                "REDIS_TLS": "yes",
            },
            secrets={
                "MYSQL_ROOT_USER": ecs.Secret.from_secrets_manager(secret, "username"),
                "MYSQL_ROOT_PASS": ecs.Secret.from_secrets_manager(secret, "password"),
                "OE_PASS": ecs.Secret.from_secrets_manager(self.administrator, "password"),
                "REDIS_PASSWORD": ecs.Secret.from_secrets_manager(self.cache_password),
            },
        )
        container.add_mount_points(ecs.MountPoint(container_path=SITES, source_volume="sites", read_only=False))
        return task

    def _service(self) -> None:
        store = self._store
        self.task_log = logs.LogGroup(
            self, "TaskLog", retention=logs.RetentionDays.ONE_YEAR, encryption_key=store.logs_key
        )
        made = patterns.ApplicationLoadBalancedFargateService(
            self,
            "Service",
            cluster=self.cluster,
            task_definition=self._task("Worker", "worker", log_group=self.task_log),
            task_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
            desired_count=2,
            min_healthy_percent=100,
            public_load_balancer=True,
            open_listener=False,
            listener_port=80,
            target_protocol=elbv2.ApplicationProtocol.HTTPS,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            health_check_grace_period=cdk.Duration.minutes(10),
        )
        self.balancer, self.service, self.target_group = made.load_balancer, made.service, made.target_group
        self.balancer.log_access_logs(store.access_logs, "alb")
        self.balancer.connections.allow_from(ec2.Peer.ipv4("203.0.113.0/24"), ec2.Port.tcp(80), "The clinic")
        self.target_group.configure_health_check(path="/meta/health/livez", protocol=elbv2.Protocol.HTTPS)
        store.database.connections.allow_default_port_from(self.service)
        store.files.connections.allow_default_port_from(self.service)
        self.cache_group.connections.allow_from(self.service, ec2.Port.tcp(6379), "Sessions")
        scaled = self.service.auto_scale_task_count(min_capacity=2, max_capacity=100)
        scaled.scale_on_cpu_utilization("Cpu", target_utilization_percent=40)
        scaled.scale_on_memory_utilization("Memory", target_utilization_percent=40)

    def _firewall(self) -> None:
        metrics = {"cloudWatchMetricsEnabled": True, "sampledRequestsEnabled": True, "metricName": "rules"}
        self.web_acl = wafv2.CfnWebACL(
            self,
            "Firewall",
            scope="REGIONAL",
            default_action={"allow": {}},
            visibility_config=metrics,
            rules=[
                {
                    "name": rules,
                    "priority": priority,
                    "overrideAction": {"none": {}},
                    "statement": {"managedRuleGroupStatement": {"vendorName": "AWS", "name": rules}},
                    "visibilityConfig": {**metrics, "metricName": rules},
                }
                for priority, rules in enumerate(MANAGED_RULES)
            ],
        )
        wafv2.CfnWebACLAssociation(
            self, "Guard", resource_arn=self.balancer.load_balancer_arn, web_acl_arn=self.web_acl.attr_arn
        )
        log = logs.LogGroup(
            self,
            "FirewallLog",
            log_group_name="aws-waf-logs-openemr",
            retention=logs.RetentionDays.ONE_YEAR,
            encryption_key=self._store.logs_key,
        )
        wafv2.CfnLoggingConfiguration(
            self, "FirewallLogging", resource_arn=self.web_acl.attr_arn, log_destination_configs=[log.log_group_arn]
        )

    def _set_up(self) -> None:
        task = self._task("Setup", "admin", log_group=self.task_log)
        self.function = functions.Function(
            self,
            "StartSetup",
            runtime=functions.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=functions.Code.from_inline(START_SETUP),
            timeout=cdk.Duration.minutes(1),
            environment={"CLUSTER": self.cluster.cluster_arn, "TASK": task.task_definition_arn},
            log_group=logs.LogGroup(self, "StartSetupLog", retention=logs.RetentionDays.ONE_YEAR),
        )
        task.grant_run(self.function)
        provider = custom_resources.Provider(self, "SetupProvider", on_event_handler=self.function)
        done = cdk.CustomResource(self, "SetupDone", service_token=provider.service_token)
        self.service.node.add_dependency(done)

    def _background(self) -> None:
        patterns.ScheduledFargateTask(
            self,
            "Background",
            cluster=self.cluster,
            schedule=scaling.Schedule.rate(cdk.Duration.minutes(5)),
            scheduled_fargate_task_definition_options=patterns.ScheduledFargateTaskDefinitionOptions(
                task_definition=self._task("BackgroundTask", "worker", log_group=self.task_log)
            ),
            security_groups=list(self.service.connections.security_groups),
        )
