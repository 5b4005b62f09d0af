"""Who hears of trouble, and of what: failed, missed and unproven backups, a full disk, a server that is silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns

from hostemr.stacks.alarms import ABOVE
from hostemr.stacks.express_plus_access import METRICS
from hostemr.stacks.express_plus_parameters import Parameters
from hostemr.stacks.notices import alarms_publish, tls_only
from hostemr.stacks.policies import VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A metric that the server puts, and what is too much of it. Silence counts as `when_silent` says."""

    name: str
    meaning: str
    metric: str
    threshold: float
    minutes: int
    periods: int
    when_silent: Literal["breaching", "ignore"]
    statistic: Literal["Maximum", "Minimum"] = "Maximum"


# The server counts both ages from its set-up until there is a first backup and a first drill, and measures itself
# once before it says that it is ready. The alarms are made after that, so none begins in alarm.
WATCHES = (
    Watch(
        name="BackupIsOld",
        meaning="No backup has been stored for 26 hours, or the server says nothing of it",
        metric="BackupAgeHours",
        threshold=26,
        minutes=60,
        periods=2,
        when_silent="breaching",
    ),
    Watch(
        name="BackupFailed",
        meaning="A backup failed; it stays so until one succeeds",
        metric="BackupFailures",
        threshold=0,
        minutes=60,
        periods=1,
        when_silent="ignore",
    ),
    Watch(
        name="BackupIsNotProven",
        meaning="The last drill failed, or none has proven for nine days that a backup restores, or there is silence",
        # Days since the last good drill; 999 from a failed one on, so that one metric and one alarm are enough.
        metric="DrillAgeDays",
        threshold=9,
        minutes=60,
        periods=1,
        when_silent="breaching",
    ),
    Watch(
        name="DiskIsNearlyFull",
        meaning="The data volume is nearly full; raise PracticeStorage",
        metric="DiskUsedPercent",
        threshold=85,
        minutes=60,
        periods=1,
        when_silent="ignore",
    ),
    Watch(
        name="OpenEmrDoesNotAnswer",
        meaning="OpenEMR has not answered for half an hour, or the server is gone",
        metric="Unhealthy",
        threshold=0,
        # The server has to measure itself at least as often.
        minutes=10,
        periods=3,
        when_silent="breaching",
        # One good answer in ten minutes is an answer.
        statistic="Minimum",
    ),
)


def notices(stack: cdk.Stack, parameters: Parameters, *, key_arn: str) -> str:
    """An encrypted topic that this account's alarms may publish to, and its subscriber; answers its ARN."""
    topic = sns.CfnTopic(stack, "Notices", kms_master_key_id=key_arn)
    sns.CfnTopicPolicy(
        stack,
        "NoticesPolicy",
        topics=[topic.ref],
        policy_document={
            "Version": VERSION,
            "Statement": [
                alarms_publish(topic.ref),
                tls_only(topic.ref),
            ],
        },
    )
    subscription = sns.CfnSubscription(
        stack,
        "AlarmSubscription",
        topic_arn=topic.ref,
        protocol="email",
        endpoint=parameters.reference("AlarmAddress"),
    )
    subscription.cfn_options.condition = parameters.condition("AlarmAddress")
    return topic.ref


def alarms(stack: cdk.Stack, watches: Sequence[Watch], *, topic_arn: str, after: cdk.CfnResource) -> None:
    """An alarm for each watch, made `after` the server has put its first metrics."""
    for watch in watches:
        alarm = cloudwatch.CfnAlarm(
            stack,
            watch.name,
            alarm_description=watch.meaning,
            namespace=METRICS,
            metric_name=watch.metric,
            dimensions=[{"name": "Server", "value": cdk.Aws.STACK_NAME}],
            period=watch.minutes * 60,
            evaluation_periods=watch.periods,
            statistic=watch.statistic,
            threshold=watch.threshold,
            comparison_operator=ABOVE,
            treat_missing_data=watch.when_silent,
            alarm_actions=[topic_arn],
            ok_actions=[topic_arn],
        )
        alarm.add_resource_dependency(after)
