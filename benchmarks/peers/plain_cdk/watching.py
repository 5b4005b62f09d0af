"""What watches: alarms that reach the operators' topic, and a dashboard of their metrics."""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_efs as efs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_rds as rds
from aws_cdk import aws_sns as sns
from constructs import Construct

from benchmarks.peers.plain_cdk.serving import Serving


def watch(
    scope: Construct, *, serving: Serving, database: rds.DatabaseCluster, files: efs.FileSystem, topic: sns.Topic
) -> None:
    """Fourteen alarms, as many as hostemr has by default."""
    balancer, target_group = serving.balancer.metrics, serving.target_group.metrics
    cache = {"CacheClusterId": serving.cache.ref}
    metrics: list[tuple[str, cloudwatch.IMetric, float]] = [
        ("TasksCpu", serving.service.metric_cpu_utilization(), 85),
        ("TasksMemory", serving.service.metric_memory_utilization(), 85),
        ("UnhealthyTasks", target_group.unhealthy_host_count(), 1),
        ("TaskErrors", target_group.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT), 10),
        ("LoadBalancerErrors", balancer.http_code_elb(elbv2.HttpCodeElb.ELB_5XX_COUNT), 10),
        ("Slow", target_group.target_response_time(), 5),
        ("DatabaseCpu", database.metric_cpu_utilization(), 90),
        ("DatabaseConnections", database.metric_database_connections(), 900),
        ("FunctionErrors", serving.function.metric_errors(), 1),
        ("FunctionThrottles", serving.function.metric_throttles(), 1),
        ("FilesAtLimit", _metric("AWS/EFS", "PercentIOLimit", {"FileSystemId": files.file_system_id}), 90),
        ("CacheThrottled", _metric("AWS/ElastiCache", "ThrottledCmds", cache), 1),
        ("FirewallBlocks", _metric("AWS/WAFV2", "BlockedRequests", {"WebACL": serving.web_acl.ref}), 1000),
        ("BackupsFailed", _metric("AWS/Backup", "NumberOfBackupJobsFailed", {}), 1),
    ]
    act = actions.SnsAction(topic)
    for name, metric, threshold in metrics:
        cloudwatch.Alarm(scope, name, metric=metric, threshold=threshold, evaluation_periods=3).add_alarm_action(act)
    dashboard = cloudwatch.Dashboard(scope, "Dashboard")
    dashboard.add_widgets(*(cloudwatch.GraphWidget(title=name, left=[metric]) for name, metric, _ in metrics))


def _metric(namespace: str, name: str, dimensions: dict[str, str]) -> cloudwatch.Metric:
    return cloudwatch.Metric(namespace=namespace, metric_name=name, dimensions_map=dimensions)
