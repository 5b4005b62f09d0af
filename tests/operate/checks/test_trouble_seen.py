"""Checks that trouble is seen: each with a template that it finds something in, and one that it does not."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.operate.checks.metrics import METRICS, elsewhere, exists
from tests.operate.checks.finding import across, allow, found, key, problems, role, service_may
from tests.operate.templates import att, ref, resource, sub, template

WRITES = allow("logs:CreateLogStream", "logs:PutLogEvents", on=att("Group", "Arn"))


def flow_log(**writer: Any) -> dict[str, Any]:
    return {
        "Flow": resource("AWS::EC2::FlowLog", DeliverLogsPermissionArn=att("Writer", "Arn"), LogGroupName=ref("Group")),
        "Group": resource("AWS::Logs::LogGroup", RetentionInDays=30),
        **writer,
    }


class TestLogDelivery:
    def test_a_role_without_policy_delivers_nothing(self) -> None:
        assert problems("LogDelivery", flow_log(Writer=role())) == [
            "Flow: its role Writer has no policy at all: flow logs deliver nothing to CloudWatch Logs"
        ]

    def test_a_role_that_may_only_make_streams_delivers_nothing(self) -> None:
        told = problems("LogDelivery", flow_log(Writer=role(allow("logs:CreateLogStream"))))
        assert "may not logs:PutLogEvents" in told[0]

    @pytest.mark.parametrize(
        "writer",
        [
            {"Writer": role(WRITES)},
            {"Writer": role(managed=("arn:aws:iam::aws:policy/CloudWatchLogsFullAccess",))},
            {"Writer": role(managed=("arn:aws:iam::111122223333:policy/ours",))},
            {
                "Writer": role(),
                "Policy": resource("AWS::IAM::Policy", Roles=[ref("Writer")], PolicyDocument={"Statement": [WRITES]}),
            },
            {
                "Writer": role(managed=(ref("Policy"),)),
                "Policy": resource("AWS::IAM::ManagedPolicy", PolicyDocument={"Statement": WRITES}),
            },
        ],
    )
    def test_a_role_that_may_write_or_whose_policy_is_elsewhere_is_fine(self, writer: dict[str, Any]) -> None:
        assert not found("LogDelivery", flow_log(**writer))

    def test_flow_logs_without_role_are_found_and_those_to_a_bucket_need_none(self) -> None:
        assert found("LogDelivery", {"F": resource("AWS::EC2::FlowLog", LogGroupName="x")})
        assert not found("LogDelivery", {"F": resource("AWS::EC2::FlowLog", LogDestinationType="s3")})

    def test_a_trail_that_cannot_write_is_found(self) -> None:
        trail: dict[str, Any] = {"IsLogging": True, "S3BucketName": ref("Bucket"), "KMSKeyId": ref("Key")}
        made = {
            "Trail": resource("AWS::CloudTrail::Trail", **trail, CloudWatchLogsRoleArn=att("Writer", "Arn")),
            "Writer": role(),
            "Bucket": resource("AWS::S3::Bucket"),
            "Key": key(service_may("logs.us-east-1.amazonaws.com", "kms:*")),
        }
        told = "\n".join(problems("LogDelivery", made))
        for part in ("Writer has no policy", "changed afterwards", "no policy of Bucket", "policy of Key does not let"):
            assert part in told

    def test_a_trail_with_all_it_needs_is_fine(self) -> None:
        policy = {"Statement": [service_may("cloudtrail.amazonaws.com", "s3:PutObject")]}
        made = {
            "Trail": resource(
                "AWS::CloudTrail::Trail",
                IsLogging=True,
                EnableLogFileValidation=True,
                S3BucketName=ref("Bucket"),
                KMSKeyId=att("Key", "Arn"),
            ),
            "Bucket": resource("AWS::S3::Bucket"),
            "Policy": resource("AWS::S3::BucketPolicy", Bucket=ref("Bucket"), PolicyDocument=policy),
            "Key": key(service_may("cloudtrail.amazonaws.com", "kms:GenerateDataKey*")),
        }
        assert not found("LogDelivery", made)
        made["Trail"]["Properties"]["IsLogging"] = False
        assert problems("LogDelivery", made) == ["Trail: it does not log"]


class TestLogRetention:
    def test_a_log_without_end_is_found_and_one_with_an_end_is_fine(self) -> None:
        assert problems("LogRetention", {"G": resource("AWS::Logs::LogGroup")}) == [
            "G: it is kept, and paid for, without end"
        ]
        assert not found("LogRetention", {"G": resource("AWS::Logs::LogGroup", RetentionInDays=365)})

    @pytest.mark.parametrize(
        ("parameters", "severity"),
        [
            ({"general_log": "1"}, "warning"),
            ({"server_audit_events": "CONNECT,QUERY_DML"}, "warning"),
            ({"server_audit_events": "CONNECT,QUERY_DDL", "general_log": "0"}, "note"),
        ],
    )
    def test_a_databases_logs_weigh_more_with_the_statements_in_them(
        self, parameters: dict[str, str], severity: str
    ) -> None:
        made = {
            "C": resource(
                "AWS::RDS::DBCluster", EnableCloudwatchLogsExports=["audit"], DBClusterParameterGroupName=ref("P")
            ),
            "P": resource("AWS::RDS::DBClusterParameterGroup", Parameters=parameters),
        }
        assert [one.severity for one in found("LogRetention", made)] == [severity]
        made["G"] = resource("AWS::Logs::LogGroup", LogGroupName="/aws/rds/cluster/records/audit", RetentionInDays=30)
        assert not found("LogRetention", made)


def alarm(namespace: str, metric: str, **more: Any) -> dict[str, Any]:
    return {"Alarm": resource("AWS::CloudWatch::Alarm", Namespace=namespace, MetricName=metric, **more)}


class TestAlarmMetric:
    def test_a_metric_of_another_namespace_is_found_with_the_right_one(self) -> None:
        one = found("AlarmMetric", alarm("AWS/ECS", "RunningTaskCount", TreatMissingData="breaching"))[0]
        assert one.problem == "AWS/ECS has no metric RunningTaskCount, so the alarm is in alarm for ever"
        assert one.change == "use the namespace ECS/ContainerInsights"

    def test_a_metric_that_nobody_publishes_is_found(self) -> None:
        assert problems("AlarmMetric", alarm("ECS/ContainerInsights", "StoppedTaskCount")) == [
            "Alarm: ECS/ContainerInsights has no metric StoppedTaskCount, so the alarm never fires"
        ]

    def test_a_metric_within_an_expression_is_judged_too(self) -> None:
        stat = {"Metric": {"Namespace": "AWS/RDS", "MetricName": "CpuUtilization"}}
        made = {"A": resource("AWS::CloudWatch::Alarm", Metrics=[{"Id": "m", "MetricStat": stat}])}
        assert found("AlarmMetric", made)[0].place == "Metrics.MetricStat.MetricName"

    @pytest.mark.parametrize(
        ("namespace", "metric"),
        [
            ("AWS/ApplicationELB", "HealthyHostCount"),
            ("hostemr/ExpressPlus", "BackupAgeHours"),
            ("AWS/RDS", "ServerlessDatabaseCapacity"),
        ],
    )
    def test_metrics_that_exist_and_ones_own_are_fine(self, namespace: str, metric: str) -> None:
        assert not found("AlarmMetric", alarm(namespace, metric))

    def test_names_are_told_apart_by_case(self) -> None:
        assert exists("AWS/EC2", "CPUUtilization") is True
        assert exists("AWS/EC2", "CpuUtilization") is False
        assert exists("Elsewhere", "CpuUtilization") is None
        assert elsewhere("ThrottledCmds") == ["AWS/ElastiCache"]

    def test_the_table_has_no_metric_twice(self) -> None:
        for namespace, names in METRICS.items():
            assert len(names.split()) == len(set(names.split())), namespace


class TestAlarmHeard:
    def test_an_alarm_without_action_and_a_topic_without_subscriber_are_found(self) -> None:
        made = alarm("AWS/RDS", "CPUUtilization", AlarmActions=[ref("Topic")])
        made |= {"Topic": resource("AWS::SNS::Topic"), "Mute": resource("AWS::CloudWatch::Alarm", MetricName="x")}
        assert problems("AlarmHeard", made) == [
            "Mute: it tells nobody",
            "Topic: alarms go to this topic, and nobody is subscribed",
        ]
        made["Alarm"]["Properties"]["ActionsEnabled"] = False
        assert "Alarm: its actions are switched off" in problems("AlarmHeard", made)

    def test_a_subscription_is_fine_be_it_in_another_stack(self) -> None:
        made = template(alarm("AWS/RDS", "CPUUtilization", AlarmActions=[{"Fn::ImportValue": "data:Topic"}]))
        outputs = {"T": {"Value": ref("Topic"), "Export": {"Name": "data:Topic"}}}
        data = template(
            {
                "Topic": resource("AWS::SNS::Topic"),
                "Mail": resource("AWS::SNS::Subscription", TopicArn=ref("Topic"), Protocol="email", Endpoint="x"),
            },
            Outputs=outputs,
        )
        assert not across("AlarmHeard", {"data": data, "service": made})


def heard(*statements: dict[str, Any], **topic: Any) -> dict[str, Any]:
    made = alarm("AWS/RDS", "CPUUtilization", AlarmActions=[ref("Topic")])
    made["Topic"] = resource("AWS::SNS::Topic", **topic)
    if statements:
        made["Policy"] = resource(
            "AWS::SNS::TopicPolicy", Topics=[ref("Topic")], PolicyDocument={"Statement": list(statements)}
        )
    return made


TLS_ONLY = {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": "*"}
ALARMS_MAY = service_may("cloudwatch.amazonaws.com", "sns:Publish")


class TestTopicPublish:
    def test_a_policy_that_only_denies_stops_alarms(self) -> None:
        assert "does not let cloudwatch.amazonaws.com publish" in problems("TopicPublish", heard(TLS_ONLY))[0]

    def test_the_default_policy_lets_alarms_publish_but_no_events(self) -> None:
        assert not found("TopicPublish", heard())
        made = heard()
        made["Rule"] = resource("AWS::Events::Rule", Targets=[{"Id": "t", "Arn": ref("Topic")}])
        assert "does not let events.amazonaws.com publish" in problems("TopicPublish", made)[0]

    def test_a_key_that_cloudwatch_may_not_use_loses_the_alarm(self) -> None:
        made = heard(TLS_ONLY, ALARMS_MAY, KmsMasterKeyId=att("Key", "Arn"))
        made["Key"] = key(service_may("sns.amazonaws.com", "kms:Decrypt", "kms:GenerateDataKey*"))
        assert "kms:GenerateDataKey and kms:Decrypt" in problems("TopicPublish", made)[0]
        made["Key"] = key(service_may("cloudwatch.amazonaws.com", "kms:Decrypt", "kms:GenerateDataKey*"))
        assert not found("TopicPublish", made)

    @pytest.mark.parametrize(
        "alias", ["alias/aws/sns", sub("arn:aws:kms:${AWS::Region}:${AWS::AccountId}:alias/aws/sns")]
    )
    def test_awss_own_key_is_closed_to_alarms(self, alias: Any) -> None:
        assert "AWS's own key" in problems("TopicPublish", heard(KmsMasterKeyId=alias))[0]
