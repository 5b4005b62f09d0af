"""Alarms on metrics that AWS publishes, in the namespaces where it does, and a dashboard of the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from hostemr.stacks.policies import REGION

ABOVE, BELOW = "GreaterThanThreshold", "LessThanThreshold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One metric and what is too much of it. Sources: each service's page of CloudWatch metrics."""

    name: str
    meaning: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    threshold: float
    comparison: str = ABOVE
    statistic: str = "Average"
    minutes: int = 5
    periods: int = 3
    when_missing: str = "notBreaching"


def watch_service(*, cluster: str, service: str, minimum: int) -> list[Watch]:
    """The tasks: too few of them, or too busy.

    RunningTaskCount is published by Container Insights only, hence its namespace.
    """
    names = {"ClusterName": cluster, "ServiceName": service}
    return [
        Watch(
            name="TasksMissing",
            meaning="Fewer tasks run than the minimum",
            namespace="ECS/ContainerInsights",
            metric="RunningTaskCount",
            dimensions=names,
            threshold=minimum,
            comparison=BELOW,
            when_missing="breaching",
        ),
        Watch(
            name="TasksCpu",
            meaning="The tasks' processors are busy and scaling does not help",
            namespace="AWS/ECS",
            metric="CPUUtilization",
            dimensions=names,
            threshold=85,
        ),
        Watch(
            name="TasksMemory",
            meaning="The tasks' memory is nearly full",
            namespace="AWS/ECS",
            metric="MemoryUtilization",
            dimensions=names,
            threshold=85,
        ),
    ]


def watch_load_balancer(*, balancer: str, target_group: str) -> list[Watch]:
    """What clients see: no healthy task, errors, and waiting. Names are the balancer's and group's full names."""
    both = {"LoadBalancer": balancer, "TargetGroup": target_group}
    return [
        Watch(
            name="NoHealthyTask",
            meaning="No task answers its health check: the application is down",
            namespace="AWS/ApplicationELB",
            metric="HealthyHostCount",
            dimensions=both,
            threshold=1,
            comparison=BELOW,
            statistic="Maximum",
            minutes=1,
            when_missing="breaching",
        ),
        Watch(
            name="TaskErrors",
            meaning="Tasks answer with errors (5xx)",
            namespace="AWS/ApplicationELB",
            metric="HTTPCode_Target_5XX_Count",
            dimensions=both,
            threshold=10,
            statistic="Sum",
            periods=1,
        ),
        Watch(
            name="LoadBalancerErrors",
            meaning="The load balancer answers with errors of its own (5xx)",
            namespace="AWS/ApplicationELB",
            metric="HTTPCode_ELB_5XX_Count",
            dimensions={"LoadBalancer": balancer},
            threshold=10,
            statistic="Sum",
            periods=1,
        ),
        Watch(
            name="Slow",
            meaning="One request in twenty takes longer than five seconds",
            namespace="AWS/ApplicationELB",
            metric="TargetResponseTime",
            dimensions=both,
            threshold=5,
            statistic="p95",
        ),
    ]


def watch_database(*, cluster: str) -> list[Watch]:
    """The database: at its highest capacity, or losing its replica."""
    names = {"DBClusterIdentifier": cluster}
    return [
        Watch(
            name="DatabaseAtCapacity",
            meaning="The database runs at its highest capacity; raise aurora_maximum_capacity",
            namespace="AWS/RDS",
            metric="ACUUtilization",
            dimensions=names,
            threshold=90,
        ),
        Watch(
            name="DatabaseCpu",
            meaning="The database's processors are busy",
            namespace="AWS/RDS",
            metric="CPUUtilization",
            dimensions=names,
            threshold=90,
        ),
    ]


def watch_files(*, file_system: str) -> list[Watch]:
    """The files: close to what a general purpose file system can do."""
    return [
        Watch(
            name="FilesAtLimit",
            meaning="The file system is close to its limit of operations",
            namespace="AWS/EFS",
            metric="PercentIOLimit",
            dimensions={"FileSystemId": file_system},
            threshold=90,
            statistic="Maximum",
        )
    ]


def watch_cache(*, cache: str) -> list[Watch]:
    """The sessions' cache: refusing commands, which logs people out."""
    return [
        Watch(
            name="CacheThrottled",
            meaning="The sessions' cache refuses commands; raise cache_maximum_gigabytes",
            namespace="AWS/ElastiCache",
            metric="ThrottledCmds",
            dimensions={"clusterId": cache},
            threshold=0,
            statistic="Sum",
        )
    ]


def watch_firewall(*, web_acl: str) -> list[Watch]:
    """The firewall: blocking so much that a clinic may be among the blocked."""
    return [
        Watch(
            name="FirewallBlocks",
            meaning="The firewall blocks many requests: an attack, or a clinic that a rule does not fit",
            namespace="AWS/WAFV2",
            metric="BlockedRequests",
            dimensions={"WebACL": web_acl, "Region": REGION, "Rule": "ALL"},
            threshold=500,
            statistic="Sum",
        )
    ]


def watch_function(*, name: str, function: str, meaning: str) -> list[Watch]:
    """A function that failed even once."""
    return [
        Watch(
            name=name,
            meaning=meaning,
            namespace="AWS/Lambda",
            metric="Errors",
            dimensions={"FunctionName": function},
            threshold=0,
            statistic="Sum",
            periods=1,
        )
    ]


class Alarms(Construct):
    """An alarm for each watch, and a dashboard that shows them all."""

    def __init__(self, scope: Construct, id: str, *, watches: Sequence[Watch], topic_arn: str) -> None:  # noqa: A002
        super().__init__(scope, id)
        stack = cdk.Stack.of(self)
        for watch in watches:
            percentile = watch.statistic.startswith("p")
            cloudwatch.CfnAlarm(
                self,
                watch.name,
                alarm_description=watch.meaning,
                namespace=watch.namespace,
                metric_name=watch.metric,
                dimensions=[{"name": name, "value": value} for name, value in watch.dimensions.items()],
                period=watch.minutes * 60,
                evaluation_periods=watch.periods,
                threshold=watch.threshold,
                comparison_operator=watch.comparison,
                treat_missing_data=watch.when_missing,
                alarm_actions=[topic_arn],
                ok_actions=[topic_arn],
                statistic=None if percentile else watch.statistic,
                extended_statistic=watch.statistic if percentile else None,
            )
        self.dashboard = cloudwatch.CfnDashboard(
            self,
            "Dashboard",
            dashboard_name=stack.stack_name,
            dashboard_body=stack.to_json_string({"widgets": [_widget(at, watch) for at, watch in enumerate(watches)]}),
        )


def _widget(position: int, watch: Watch) -> dict[str, object]:
    """A graph of a third of the width, with the threshold drawn in."""
    dimensions = [part for pair in watch.dimensions.items() for part in pair]
    return {
        "type": "metric",
        "x": position % 3 * 8,
        "y": position // 3 * 6,
        "width": 8,
        "height": 6,
        "properties": {
            "title": watch.meaning,
            "region": REGION,
            "stat": watch.statistic,
            "period": watch.minutes * 60,
            "metrics": [[watch.namespace, watch.metric, *dimensions]],
            "annotations": {"horizontal": [{"label": "alarm", "value": watch.threshold}]},
        },
    }
