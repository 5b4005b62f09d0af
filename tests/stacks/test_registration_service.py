"""What the registration service's service stack promises, each by name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from hostemr.deployment import outputs
from hostemr.deployment import registration_events as events
from hostemr.operate.changes import Kind, compare
from hostemr.operate.order import creation_order
from hostemr.registration.feedback import webhook
from hostemr.stacks.load_balancer import TLS_POLICY
from hostemr.stacks.registration_alarms import LINES
from tests.stacks.configurations import CERTIFICATE, ZONE
from tests.stacks.reading import rendered
from tests.stacks.registration import RESTORED, RESTORED_SECRET, SAMPLES, Made, single, synthesize

Template = Mapping[str, Any]
DATA = "registration-data:"


@pytest.fixture
def made() -> Made:
    return synthesize(SAMPLES["default"])


@pytest.fixture
def default(made: Made) -> Template:
    return made.service


@pytest.fixture
def everything() -> Template:
    return synthesize(SAMPLES["everything"]).service


def found(template: Template, kind: str) -> dict[str, Mapping[str, Any]]:
    """The properties of all resources of a type, by logical id."""
    return {name: one.get("Properties", {}) for name, one in template["Resources"].items() if one["Type"] == kind}


def only(template: Template, kind: str) -> Mapping[str, Any]:
    [properties] = found(template, kind).values()
    return properties


def pairs(attributes: Any) -> dict[str, Any]:
    return {one["Key"]: one["Value"] for one in attributes}


def alarms(template: Template) -> dict[str, Mapping[str, Any]]:
    return {name.removeprefix("Alarms")[:-8]: one for name, one in found(template, "AWS::CloudWatch::Alarm").items()}


class TestTheStack:
    def test_it_imports_only_what_the_data_stack_exports(self) -> None:
        for sample in SAMPLES:
            of = synthesize(SAMPLES[sample])
            wanted = set(re.findall(r'"Fn::ImportValue": "([^"]+)"', json.dumps(of.service)))
            told = {one["Export"]["Name"] for one in of.data["Outputs"].values() if "Export" in one}
            assert len(wanted) > 12
            assert wanted <= told

    def test_it_knows_the_mail_stack_by_names_that_this_one_has(self, made: Made) -> None:
        [topic] = [one for one in found(made.mail, "AWS::SNS::Topic").values() if "TopicName" in one]
        queue, sending = only(made.mail, "AWS::SQS::Queue"), only(made.mail, "AWS::SES::ConfigurationSet")
        subscription = only(made.service, "AWS::SNS::Subscription")
        assert rendered(subscription["TopicArn"], made.service).endswith(f":{topic['TopicName']}")
        target = rendered(subscription["RedrivePolicy"], made.service)["deadLetterTargetArn"]
        assert target.endswith(f":{queue['QueueName']}")
        assert f'"Value": "{sending["Name"]}"' in json.dumps(made.service)
        assert "registration-mail:" not in json.dumps(made.service)

    def test_nothing_that_lasts_is_in_it(self, default: Template) -> None:
        stateful = ("AWS::RDS", "AWS::S3", "AWS::KMS", "AWS::Backup", "AWS::SES", "AWS::SecretsManager::Secret")
        kinds = {one["Type"] for one in default["Resources"].values()}
        assert [kind for kind in kinds if kind.startswith(stateful)] == []

    def test_it_can_be_made_in_an_order(self, default: Template, everything: Template) -> None:
        creation_order(default)
        creation_order(everything)

    def test_two_copies_share_no_name(self, default: Template) -> None:
        north = synthesize(single("registration_resource_suffix")).service
        for name in ("Family", "DashboardName", "PolicyName", "MetricNamespace", "Description"):
            given = [
                set(re.findall(rf'"{name}": "([^"]*registration[^"]*)"', json.dumps(one))) for one in (default, north)
            ]
            assert given[0], name
            assert not given[0] & given[1], name

    def test_its_outputs_are_the_promised_ones(self, default: Template, everything: Template) -> None:
        told = {
            outputs.URL,
            outputs.LOAD_BALANCER,
            outputs.CLUSTER,
            outputs.SERVICE,
            outputs.SETUP_FUNCTION,
            outputs.DASHBOARD,
        }
        assert set(default["Outputs"]) == told
        # On a restored database the way there is another one.
        assert set(everything["Outputs"]) == told | {outputs.DATABASE_HOST, outputs.MASTER_SECRET}
        assert set(synthesize(SAMPLES["least"]).service["Outputs"]) == told - {outputs.DASHBOARD}
        assert default["Outputs"][outputs.URL]["Value"] == "https://reg.open-emr.org"

    @pytest.mark.parametrize(
        "name",
        [
            "enable_ecs_exec",
            "board_ip_range",
            "registration_image",
            "restored_database_host",
            "ses_region",
            "host_name",
        ],
    )
    def test_a_toggle_can_be_taken_by_a_stack_that_stands(self, default: Template, name: str) -> None:
        after = synthesize(single(name)).service
        for change in [*compare(default, after), *compare(after, default)]:
            assert change.kind is not Kind.REFUSED, change


class TestTheWayIn:
    def test_only_https_answers_at_all(self, default: Template) -> None:
        listener = only(default, "AWS::ElasticLoadBalancingV2::Listener")
        assert (listener["Port"], listener["Protocol"], listener["SslPolicy"]) == (443, "HTTPS", TLS_POLICY)
        [group] = [one for one in found(default, "AWS::EC2::SecurityGroup").values() if "SecurityGroupIngress" in one]
        ports = {(one["FromPort"], one["ToPort"]) for one in group["SecurityGroupIngress"]}
        assert ports == {(443, 443)}

    def test_installations_reach_it_from_everywhere_over_both_protocols(self, default: Template) -> None:
        assert only(default, "AWS::ElasticLoadBalancingV2::LoadBalancer")["IpAddressType"] == "dualstack"
        [group] = [one for one in found(default, "AWS::EC2::SecurityGroup").values() if "SecurityGroupIngress" in one]
        blocks = {one.get("CidrIp") or one.get("CidrIpv6") for one in group["SecurityGroupIngress"]}
        assert blocks == {"0.0.0.0/0", "::/0"}

    def test_browsers_are_told_to_stay_with_https(self, default: Template) -> None:
        told = pairs(only(default, "AWS::ElasticLoadBalancingV2::Listener")["ListenerAttributes"])
        assert told["routing.http.response.strict_transport_security.header_value"].startswith("max-age=31536000")
        assert told["routing.http.response.x_content_type_options.header_value"] == "nosniff"

    def test_it_waits_for_the_freezing_of_an_audience_and_keeps_a_log(self, default: Template) -> None:
        told = pairs(only(default, "AWS::ElasticLoadBalancingV2::LoadBalancer")["LoadBalancerAttributes"])
        assert told["idle_timeout.timeout_seconds"] == "120"
        assert told["access_logs.s3.enabled"] == told["routing.http.drop_invalid_header_fields.enabled"] == "true"
        assert told["access_logs.s3.bucket"] == {"Fn::ImportValue": f"{DATA}AccessLogsBucket"}
        assert told["deletion_protection.enabled"] == "true"

    def test_the_databases_outage_ends_no_task(self, default: Template) -> None:
        group = only(default, "AWS::ElasticLoadBalancingV2::TargetGroup")
        assert (group["HealthCheckPath"], group["HealthCheckProtocol"], group["Matcher"]) == (
            "/healthz",
            "HTTPS",
            {"HttpCode": "200"},
        )
        assert (group["Protocol"], group["Port"]) == ("HTTPS", 8443)
        assert pairs(group["TargetGroupAttributes"])["deregistration_delay.timeout_seconds"] == "30"

    def test_only_the_load_balancer_reaches_the_tasks(self, default: Template) -> None:
        rule = only(default, "AWS::EC2::SecurityGroupIngress")
        assert (rule["FromPort"], rule["ToPort"]) == (8443, 8443)
        assert "SourceSecurityGroupId" in rule
        [out] = [one for one in found(default, "AWS::EC2::SecurityGroupEgress").values() if "CidrIp" in one]
        assert (out["CidrIp"], out["FromPort"], out["ToPort"]) == ("0.0.0.0/0", 443, 443)

    def test_without_a_zone_it_says_which_records_are_to_be_made(self, default: Template) -> None:
        assert only(default, "AWS::CertificateManager::Certificate")["ValidationMethod"] == "DNS"
        assert "DomainValidationOptions" not in only(default, "AWS::CertificateManager::Certificate")
        assert "waits until the CNAME record that ACM shows" in default["Description"]
        assert "Make a record that leads reg.open-emr.org here" in default["Outputs"]["LoadBalancerName"]["Description"]
        assert not found(default, "AWS::Route53::RecordSet")

    def test_in_a_zone_certificate_and_records_make_themselves(self, everything: Template) -> None:
        certificate = only(everything, "AWS::CertificateManager::Certificate")
        assert certificate["DomainValidationOptions"] == [{"DomainName": "reg.open-emr.org", "HostedZoneId": ZONE}]
        records = found(everything, "AWS::Route53::RecordSet").values()
        assert {(one["Name"], one["Type"]) for one in records} == {
            ("reg.open-emr.org.", "A"),
            ("reg.open-emr.org.", "AAAA"),
        }
        assert "waits" not in everything["Description"]

    def test_a_certificate_that_is_given_is_used(self) -> None:
        template = synthesize(single("certificate_arn")).service
        listener = only(template, "AWS::ElasticLoadBalancingV2::Listener")
        assert listener["Certificates"] == [{"CertificateArn": CERTIFICATE}]
        assert not found(template, "AWS::CertificateManager::Certificate")
        assert alarms(template)["CertificateExpires"]["Dimensions"] == [
            {"Name": "CertificateArn", "Value": CERTIFICATE}
        ]


class TestTheService:
    def test_it_is_one_service_of_one_to_two_tasks(self, default: Template) -> None:
        service = only(default, "AWS::ECS::Service")
        assert "DesiredCount" not in service
        target = only(default, "AWS::ApplicationAutoScaling::ScalableTarget")
        assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 2)
        by = only(default, "AWS::ApplicationAutoScaling::ScalingPolicy")["TargetTrackingScalingPolicyConfiguration"]
        assert by["TargetValue"] == 60
        assert by["PredefinedMetricSpecification"] == {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}

    def test_a_deployment_takes_no_capacity_away_and_one_that_fails_is_undone(self, default: Template) -> None:
        how = only(default, "AWS::ECS::Service")["DeploymentConfiguration"]
        assert how["MinimumHealthyPercent"] == 100
        assert how["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}

    def test_its_tasks_wear_the_group_that_reaches_the_database(self, default: Template) -> None:
        network = only(default, "AWS::ECS::Service")["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert {"Fn::ImportValue": f"{DATA}ClientsGroupId"} in network["SecurityGroups"]
        assert network["AssignPublicIp"] == "ENABLED"
        assert network["Subnets"] == [{"Fn::ImportValue": f"{DATA}PublicSubnetId{zone}"} for zone in (1, 2)]

    def test_through_nat_gateways_its_tasks_have_no_address_of_their_own(self, everything: Template) -> None:
        network = only(everything, "AWS::ECS::Service")["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["AssignPublicIp"] == "DISABLED"
        assert network["Subnets"] == [{"Fn::ImportValue": f"{DATA}TaskSubnetId{zone}"} for zone in (1, 2, 3)]
        assert len(found(everything, "AWS::EC2::NatGateway")) == 3

    def test_no_task_starts_before_the_database_is_prepared(self, default: Template) -> None:
        [setup] = [name for name, one in default["Resources"].items() if one["Type"] == "Custom::Setup"]
        assert setup in default["Resources"]["Service"]["DependsOn"]
        done = default["Resources"][setup]["Properties"]
        assert (done["ContainerName"], done["TimeoutSeconds"]) == ("setup", "1800")
        definition = done["TaskDefinition"]["Ref"]
        assert default["Resources"][definition]["Properties"]["Family"] == "registration-service-setup"

    def test_the_credential_is_rotated_and_the_tasks_then_restarted(self, default: Template) -> None:
        schedule = only(default, "AWS::SecretsManager::RotationSchedule")
        assert schedule["RotationRules"]["AutomaticallyAfterDays"] == 30
        assert schedule["SecretId"] == {"Fn::ImportValue": f"{DATA}DatabaseSecretArn"}
        [rotator] = [
            one for name, one in found(default, "AWS::Lambda::Function").items() if name.startswith("RotationRotator")
        ]
        task = json.loads(rendered(rotator["Environment"]["Variables"]["TASK"], default))
        assert (task["Service"], task["ContainerName"]) == ("{Service.Name}", "setup")
        assert task["TaskDefinition"].startswith("{TasksRotation")
        actions = json.dumps(found(default, "AWS::IAM::ManagedPolicy"))
        assert actions.count("ecs:UpdateService") == 1

    def test_the_functions_may_hand_out_no_role_but_the_set_ups(self, default: Template) -> None:
        statements = [
            statement
            for one in found(default, "AWS::IAM::ManagedPolicy").values()
            for statement in one["PolicyDocument"]["Statement"]
            if "iam:PassRole" in statement["Action"]
        ]
        [roles] = [one["Resource"] for one in statements]
        [[role, _]] = [one["Fn::GetAtt"] for one in (roles if isinstance(roles, list) else [roles])]
        assert role.startswith("TasksSetupExecutionRole")


class TestReportsOfMail:
    def test_sns_brings_them_to_the_webhook_of_the_public_name(self, default: Template) -> None:
        one = only(default, "AWS::SNS::Subscription")
        assert (one["Protocol"], one["Endpoint"]) == ("https", f"https://reg.open-emr.org{webhook.PATH}")

    def test_they_are_asked_for_when_somebody_can_confirm(self, default: Template, everything: Template) -> None:
        assert default["Resources"]["Reports"]["DependsOn"] == ["Service"]
        before = everything["Resources"]["Reports"]["DependsOn"]
        records = set(found(everything, "AWS::Route53::RecordSet"))
        assert {"Service", *records} <= set(before)

    def test_a_topic_of_another_region_is_subscribed_to_there(self, everything: Template) -> None:
        one = found(everything, "AWS::SNS::Subscription")["Reports"]
        assert one["Region"] == "us-west-2"
        assert ":us-west-2:" in rendered(one["TopicArn"], everything)
        # A dead-letter queue has to be where the subscription is.
        assert ":us-west-2:" in rendered(one["RedrivePolicy"], everything)["deadLetterTargetArn"]

    def test_they_are_tried_for_most_of_the_hour_that_sns_allows(self, default: Template) -> None:
        policy = only(default, "AWS::SNS::Subscription")["DeliveryPolicy"]
        assert policy["throttlePolicy"] == {"maxReceivesPerSecond": 100}
        tried = policy["healthyRetryPolicy"]
        shortest, longest = tried["minDelayTarget"], tried["maxDelayTarget"]
        first, last = tried["numMinDelayRetries"], tried["numMaxDelayRetries"]
        between = tried["numRetries"] - first - last - tried["numNoDelayRetries"]
        assert between > 0
        assert first * shortest + (between + last) * longest <= 3600
        assert first * shortest + between * shortest + last * longest > 1800


class TestAlarms:
    def test_every_promised_one_is_there_and_tells_the_operators(self, default: Template) -> None:
        assert set(alarms(default)) == {
            "NoHealthyTask",
            "TaskErrors",
            "LoadBalancerErrors",
            "Slow",
            "TasksMissing",
            "TasksCpu",
            "TasksMemory",
            "DatabaseCpu",
            "DatabaseStorage",
            "DatabaseMemory",
            "DatabaseConnections",
            "DatabaseCredits",
            "CertificateExpires",
            "QueueOld",
            "RecipientsFailed",
            "OutcomeUnknown",
            "BroadcastPaused",
            "WorkerSilent",
            "ReportsRefused",
            "RotationFailed",
            "FirewallBlocks",
        }
        topic = {"Fn::ImportValue": f"{DATA}TopicArn"}
        assert all(one["AlarmActions"] == one["OKActions"] == [topic] for one in alarms(default).values())

    def test_without_alarms_nothing_is_counted(self) -> None:
        least = synthesize(SAMPLES["least"]).service
        for kind in ("AWS::CloudWatch::Alarm", "AWS::Logs::MetricFilter", "AWS::CloudWatch::Dashboard"):
            assert not found(least, kind)

    def test_each_counted_line_is_one_that_the_service_writes(self, default: Template) -> None:
        filters = found(default, "AWS::Logs::MetricFilter")
        assert len(filters) == len(LINES)
        for one in filters.values():
            said = re.fullmatch(r'\{ \$\.event = "(.+)" \}', one["FilterPattern"])
            assert said is not None
            assert said[1] in {events.QUEUE_EVENT, events.SNS_REFUSED_EVENT}
            [counted] = one["MetricTransformations"]
            assert counted["MetricValue"] in {"1", *(f"$.{field}" for field in events.QUEUE_FIELDS)}
            assert counted["MetricNamespace"] == "hostemr/registration-service"
            assert one["LogGroupName"] == {"Fn::ImportValue": f"{DATA}TaskLog"}

    def test_every_counted_line_has_its_alarm(self, default: Template) -> None:
        counted = {
            (one["MetricTransformations"][0]["MetricNamespace"], one["MetricTransformations"][0]["MetricName"])
            for one in found(default, "AWS::Logs::MetricFilter").values()
        }
        watched = {(one["Namespace"], one["MetricName"]) for one in alarms(default).values()}
        assert counted <= watched

    def test_a_worker_that_says_nothing_is_noticed(self, default: Template) -> None:
        alarm = alarms(default)["WorkerSilent"]
        assert alarm["TreatMissingData"] == "breaching"
        assert (alarm["ComparisonOperator"], alarm["Threshold"], alarm["Statistic"]) == ("LessThanThreshold", 1, "Sum")
        # Several lines are due in a period, so that one late line is no alarm.
        assert alarm["Period"] >= 3 * events.QUEUE_INTERVAL_SECONDS

    @pytest.mark.parametrize(
        ("instance", "mebibytes", "connections"), [("db.t4g.micro", 51, 59), ("db.m7g.large", 409, 477)]
    )
    def test_the_databases_limits_follow_its_class(self, instance: str, mebibytes: int, connections: int) -> None:
        given = {} if instance == "db.t4g.micro" else single("database_instance_class")
        found_alarms = alarms(synthesize(given).service)
        assert found_alarms["DatabaseMemory"]["Threshold"] // 2**20 == mebibytes
        assert found_alarms["DatabaseConnections"]["Threshold"] == connections
        assert found_alarms["DatabaseStorage"]["Threshold"] == 2**30
        # Only the t classes have credits.
        assert ("DatabaseCredits" in found_alarms) == instance.startswith("db.t")

    def test_a_restored_database_is_told_to_who_asks_for_the_way_there(
        self, default: Template, everything: Template
    ) -> None:
        told = {name: everything["Outputs"][name]["Value"] for name in ("DatabaseHost", "DatabaseMasterSecretArn")}
        assert told == {"DatabaseHost": RESTORED, "DatabaseMasterSecretArn": RESTORED_SECRET}
        assert not {"DatabaseHost", "DatabaseMasterSecretArn"} & set(default["Outputs"])

    def test_a_restored_database_is_watched_in_its_place(self, default: Template, everything: Template) -> None:
        for template, instance in (
            (default, {"Fn::ImportValue": f"{DATA}DatabaseInstanceId"}),
            (everything, RESTORED.partition(".")[0]),
        ):
            watched = [one for name, one in alarms(template).items() if name.startswith("Database")]
            assert {json.dumps(one["Dimensions"]) for one in watched} == {
                json.dumps([{"Name": "DBInstanceIdentifier", "Value": instance}])
            }

    def test_the_dashboard_shows_them_all(self, default: Template) -> None:
        body = json.dumps(only(default, "AWS::CloudWatch::Dashboard")["DashboardBody"])
        for one in alarms(default).values():
            assert json.dumps(json.dumps(one["AlarmDescription"])[1:-1])[1:-1] in body

    def test_deployments_that_fail_reach_the_operators(self, default: Template, everything: Template) -> None:
        assert set(found(default, "AWS::Events::Rule")) == {"DeploymentFailed"}
        assert set(found(everything, "AWS::Events::Rule")) == {"DeploymentFailed", "DeploymentChanged"}
