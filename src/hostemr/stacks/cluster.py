"""The ECS cluster, where sessions in its containers are recorded, and the service that runs there and scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from hostemr.stacks.exports import Imports


def cluster(scope: Construct, *, data: Imports, with_exec: bool) -> ecs.CfnCluster:
    """A cluster with Container Insights; with ECS Exec every session is encrypted and kept."""
    recorded = {
        "kmsKeyId": data["LogsKeyArn"],
        "logging": "OVERRIDE",
        "logConfiguration": {
            "cloudWatchEncryptionEnabled": True,
            "cloudWatchLogGroupName": data["TaskLog"],
            "s3BucketName": data["AuditBucket"],
            "s3EncryptionEnabled": True,
            "s3KeyPrefix": "exec",
        },
    }
    return ecs.CfnCluster(
        scope,
        "Cluster",
        cluster_settings=[{"name": "containerInsights", "value": "enabled"}],
        configuration={"executeCommandConfiguration": recorded} if with_exec else None,
    )


def fargate_service(
    scope: Construct,
    *,
    cluster: ecs.CfnCluster,
    task: ecs.CfnTaskDefinition,
    with_exec: bool,
    start_seconds: int,
    door: tuple[str, int, str],
    subnets: Sequence[str],
    groups: Sequence[str],
    assign_public_ip: str,
    registry_arn: str | None = None,
) -> ecs.CfnService:
    """A service on Fargate behind a load balancer: no deployment takes capacity away, and one that fails is undone.

    `door` is the container, its port and the target group's ARN. For `start_seconds` a new task's health is not
    judged.
    """
    container, port, target_group = door
    return ecs.CfnService(
        scope,
        "Service",
        cluster=cluster.ref,
        task_definition=task.ref,
        launch_type="FARGATE",
        platform_version="1.4.0",
        # No desired count: a deployment would undo what scaling has decided.
        availability_zone_rebalancing="ENABLED",
        deployment_configuration={
            "minimumHealthyPercent": 100,
            "maximumPercent": 200,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        },
        enable_execute_command=with_exec,
        health_check_grace_period_seconds=start_seconds,
        load_balancers=[{"containerName": container, "containerPort": port, "targetGroupArn": target_group}],
        network_configuration={
            "awsvpcConfiguration": {
                "subnets": list(subnets),
                "securityGroups": list(groups),
                "assignPublicIp": assign_public_ip,
            }
        },
        service_registries=[{"registryArn": registry_arn}] if registry_arn else None,
        enable_ecs_managed_tags=True,
        propagate_tags="SERVICE",
    )


CPU, MEMORY = "ECSServiceAverageCPUUtilization", "ECSServiceAverageMemoryUtilization"


def scale(
    stack: cdk.Stack,
    *,
    cluster: ecs.CfnCluster,
    service: ecs.CfnService,
    minimum: int,
    maximum: int,
    percents: Mapping[str, tuple[str, int]],
) -> None:
    """Add and remove tasks so that each metric stays at its percentage: `percents` has metric and value by name."""
    target = scaling.CfnScalableTarget(
        stack,
        "Scaling",
        service_namespace="ecs",
        scalable_dimension="ecs:service:DesiredCount",
        resource_id=f"service/{cluster.ref}/{service.attr_name}",
        min_capacity=minimum,
        max_capacity=maximum,
    )
    for name, (metric, percent) in percents.items():
        scaling.CfnScalingPolicy(
            stack,
            f"ScaleBy{name}",
            policy_name=f"{stack.stack_name}-{name.lower()}",
            policy_type="TargetTrackingScaling",
            scaling_target_id=target.ref,
            target_tracking_scaling_policy_configuration={
                "targetValue": percent,
                "predefinedMetricSpecification": {"predefinedMetricType": metric},
                "scaleOutCooldown": 60,
                "scaleInCooldown": 300,
            },
        )
