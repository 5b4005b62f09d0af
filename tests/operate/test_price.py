"""What templates cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hostemr.errors import SettingsError
from hostemr.operate.price import BEYOND, SERVER, Bill, price
from hostemr.operate.prices.rules import RULES
from hostemr.operate.prices.rules.free import FREE
from tests.operate.prices.samples import either, express_plus, fargate
from tests.operate.templates import att, ref, resource, template


def _bill(made: dict[str, Any], **options: Any) -> Bill:
    return price({"t": made}, **options)


def _monthly(bill: Bill, *resources: str) -> Decimal:
    return sum((line.monthly for line in bill.lines if line.resource in resources), Decimal(0))


def _reasons(bill: Bill) -> dict[str, str]:
    return {note.resource: note.reason for note in bill.not_priced}


def _one(kind: str, **properties: Any) -> Bill:
    return _bill(template({"One": resource(kind, **properties)}))


class TestOneServer:
    def test_every_line_is_as_the_list_price_has_it(self) -> None:
        bill = _bill(express_plus())
        assert not bill.not_priced
        # t3.small at 0.0208 for 730 hours, its 16 GB of gp3, 10 GB to the internet
        assert _monthly(bill, "Server") == Decimal("15.18") + Decimal("1.28") + Decimal("0.90")
        assert _monthly(bill, "Data") == Decimal("0.80")
        assert _monthly(bill, "Address") == Decimal("3.65")
        assert _monthly(bill, "Key") == Decimal("1.02")
        assert _monthly(bill, "Passphrase", "Administrator", "Database") == Decimal("1.20")

    def test_what_surrounds_the_server_costs_two_to_five_dollars(self) -> None:
        bill = _bill(express_plus())
        assert bill.groups == (SERVER, BEYOND)
        assert bill.total(SERVER) == _monthly(bill, "Server", "Data", "Address")
        assert Decimal(2) <= bill.total(BEYOND) <= Decimal(5)
        assert bill.total() == bill.total(SERVER) + bill.total(BEYOND)

    def test_parameters_change_it(self) -> None:
        changed = _bill(express_plus(), parameters={"InstanceSize": "t4g.medium", "PracticeStorage": "100"})
        assert _monthly(changed, "Data") == Decimal("8.00")
        assert changed.lines[0].what == "instance t4g.medium, on demand"
        assert changed.lines[0].monthly == Decimal("24.53")

    def test_a_resource_whose_condition_is_false_is_told_apart(self) -> None:
        assert [note.resource for note in _bill(express_plus()).not_created] == ["Mail"]
        assert not _bill(express_plus(), parameters={"AlarmAddress": "a@example.org"}).not_created

    def test_an_elastic_address_takes_the_place_of_the_automatic_one(self) -> None:
        made = express_plus()
        del made["Resources"]["Address"]
        bill = _bill(made)
        assert [line.resource for line in bill.lines if line.price.key == "ipv4"] == ["Server"]
        made["Resources"]["Subnet"]["Properties"]["MapPublicIpOnLaunch"] = False
        assert not [line for line in _bill(made).lines if line.price.key == "ipv4"]
        assert [line.resource for line in _bill(express_plus()).lines if line.price.key == "ipv4"] == ["Address"]

    def test_a_trails_bucket_is_used_as_one(self) -> None:
        names = {(line.resource, line.assumption) for line in _bill(express_plus()).lines}
        assert ("Audit", "trail_storage_gb") in names
        assert ("Audit", "bucket_storage_gb") not in names
        assert ("Backups", "bucket_storage_gb") in names

    def test_the_only_bucket_holds_the_backups_besides_the_trail(self) -> None:
        made = express_plus()
        del made["Resources"]["Backups"]
        names = {line.assumption for line in _bill(made).lines if line.resource == "Audit"}
        assert {"trail_storage_gb", "bucket_storage_gb"} <= names

    def test_usage_is_for_all_or_for_one(self) -> None:
        bill = _bill(express_plus(), assumed={"Backups.bucket_storage_gb": "1000", "kms_rotations": "5"})
        stored = next(line for line in bill.lines if line.resource == "Backups" and line.price.key == "s3.standard")
        assert stored.monthly == Decimal("23.00")
        # The third yearly rotation and later ones are not charged.
        assert _monthly(bill, "Key") == Decimal("3.02")
        assert bill.assumptions["Backups.bucket_storage_gb"] == 1000

    def test_a_metric_is_charged_once_however_many_alarms_watch_it(self) -> None:
        made = express_plus()
        made["Resources"]["Second"] = made["Resources"]["AlarmBackupAge"]
        made["Resources"]["Processor"] = resource(
            "AWS::CloudWatch::Alarm", Namespace="AWS/EC2", MetricName="CPUUtilization", Period=300
        )
        counted = sum(line.quantity for line in _bill(made).lines if line.price.key == "cloudwatch.metric")
        assert counted == 4
        assert sum(line.quantity for line in _bill(made).lines if line.price.key == "cloudwatch.alarm") == 6

    def test_a_group_counts_as_many_servers_as_it_wants_rather_than_needs(self) -> None:
        made = express_plus(Least={"Type": "Number"})
        made["Resources"]["Server"]["Properties"] |= {"MinSize": ref("Least"), "DesiredCapacity": "2"}
        assert _bill(made).lines[0].monthly == Decimal("30.37")
        del made["Resources"]["Server"]["Properties"]["DesiredCapacity"]
        assert _reasons(_bill(made)) == {
            "Server": "MinSize: parameter Least has no default; give --parameter Least=VALUE"
        }

    def test_an_instance_by_itself_is_a_server_too(self) -> None:
        bill = _one(
            "AWS::EC2::Instance",
            InstanceType="t3.micro",
            CreditSpecification={"CPUCredits": "standard"},
            Monitoring=True,
            BlockDeviceMappings=[
                {"DeviceName": "/dev/sda1", "Ebs": {"VolumeType": "gp3", "Iops": 4000, "Throughput": 150}},
                {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
            ],
            NetworkInterfaces=[{"DeviceIndex": "0", "AssociatePublicIpAddress": "true"}],
        )
        assert {line.price.key: line.monthly for line in bill.lines} == {
            "ec2.t3.micro": Decimal("7.59"),
            "ebs.gp3": Decimal("0.64"),
            "ebs.gp3.iops": Decimal("5.00"),
            "ebs.gp3.throughput": Decimal("1.00"),
            "traffic.out": Decimal("0.90"),
            "ipv4": Decimal("3.65"),
            "cloudwatch.metric": Decimal("2.10"),
        }


class TestFreeTier:
    def test_it_is_not_in_the_sums_but_beside_them(self) -> None:
        bill = _bill(express_plus())
        # four alarms 0.40, four metrics 1.20, 10 GB of traffic 0.90, 5,000 requests 0.015, calls and e-mails
        assert bill.allowance() == Decimal("2.55")
        assert bill.allowance(SERVER) == Decimal("0.90")
        assert bill.allowance(SERVER) + bill.allowance(BEYOND) == bill.allowance()

    def test_it_is_given_once_for_all_templates_together(self) -> None:
        alarms = {
            f"Alarm{number}": resource("AWS::CloudWatch::Alarm", Namespace="AWS/EC2", MetricName=f"M{number}")
            for number in range(8)
        }
        both = price({"a": template(alarms), "b": template(alarms)})
        assert both.total() == Decimal("1.60")
        assert both.allowance() == Decimal("1.00")


class TestTheSeedsTables:
    """Their lines to the cent; what a table leaves out (traffic, addresses, requests) has usage or lines of its own."""

    def test_openemr_costs_239_dollars_and_32_cents(self) -> None:
        bill = _bill(fargate(cpu=1024, memory=2048, keys=0, database=True))
        lines = {
            "Aurora Serverless v2": _monthly(bill, "Writer", "Reader"),
            "Fargate": _monthly(bill, "Service"),
            "load balancer": next(line.monthly for line in bill.lines if line.price.key == "alb.hour"),
            "NAT gateways": sum(line.monthly for line in bill.lines if line.price.key == "nat.hour"),
            "cache": next(line.monthly for line in bill.lines if line.price.key == "cache.valkey.storage"),
            "secrets": sum(line.monthly for line in bill.lines if line.price.key == "secret"),
            "firewall": next(line.monthly for line in bill.lines if line.price.key == "waf.acl"),
        }
        assert lines == {
            "Aurora Serverless v2": Decimal("87.60"),
            "Fargate": Decimal("57.67"),
            "load balancer": Decimal("16.42"),
            "NAT gateways": Decimal("65.70"),
            "cache": Decimal("6.13"),
            "secrets": Decimal("0.80"),
            "firewall": Decimal("5.00"),
        }
        assert sum(lines.values()) == Decimal("239.32")

    def test_openmrs_costs_204_dollars_and_26_cents(self) -> None:
        bill = _bill(fargate(cpu=2048, memory=4096, keys=1, database=False))
        keys = {"fargate.arm.vcpu", "fargate.arm.memory", "alb.hour", "nat.hour", "secret", "waf.acl", "kms.key"}
        assert sum(line.monthly for line in bill.lines if line.price.key in keys) == Decimal("204.26")

    def test_without_a_server_there_are_no_groups(self) -> None:
        bill = _bill(fargate(cpu=1024, memory=2048, keys=0, database=True))
        assert bill.groups == ()
        assert not bill.not_priced


class TestOtherTypes:
    @pytest.mark.parametrize(
        ("kind", "properties", "expected"),
        [
            ("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Interface", "SubnetIds": ["a", "b"]}, "14.61"),
            ("AWS::GlobalAccelerator::Accelerator", {}, "18.40"),
            ("AWS::Route53::HostedZone", {}, "0.50"),
            ("AWS::CloudWatch::Dashboard", {}, "3.00"),
            ("AWS::CloudWatch::CompositeAlarm", {}, "0.50"),
            ("AWS::EC2::FlowLog", {"LogDestinationType": "s3"}, "0.25"),
            ("AWS::ECS::Cluster", {"ClusterSettings": [{"Name": "containerInsights", "Value": "enabled"}]}, "6.00"),
            ("AWS::Logs::LogGroup", {"LogGroupClass": "INFREQUENT_ACCESS"}, "0.15"),
            ("AWS::Lambda::Function", {"MemorySize": 1024}, "0.02"),
            ("AWS::EFS::FileSystem", {"ThroughputMode": "elastic"}, "1.77"),
            ("AWS::ECR::Repository", {}, "0.20"),
            ("AWS::SES::EmailIdentity", {}, "0.03"),
            ("AWS::SES::ReceiptRule", {}, "0.03"),
            ("AWS::ServiceDiscovery::PrivateDnsNamespace", {}, "0.50"),
            (
                "AWS::EFS::FileSystem",
                {"ThroughputMode": "elastic", "LifecyclePolicies": [{"TransitionToIA": "AFTER_30_DAYS"}]},
                # 2.5 GB at 0.30, 2.5 GB at 0.016, 2 GB moved at 0.01, read and written as before
                str(Decimal("0.75") + Decimal("0.04") + Decimal("0.02") + Decimal("0.15") + Decimal("0.12")),
            ),
            # 5 GB and a fifth of a percent of it for 35 days, at 0.05
            ("AWS::EFS::FileSystem", {"BackupPolicy": {"Status": "ENABLED"}}, str(Decimal("1.50") + Decimal("0.27"))),
            (
                "AWS::RDS::DBInstance",
                {"Engine": "mysql", "DBInstanceClass": "db.t4g.small", "AllocatedStorage": "20", "StorageType": "gp3"},
                str(Decimal("23.36") + Decimal("2.30")),
            ),
            (
                "AWS::RDS::DBInstance",
                {
                    "Engine": "mariadb",
                    "DBInstanceClass": "db.t4g.small",
                    "AllocatedStorage": 20,
                    "MultiAZ": True,
                    "ManageMasterUserPassword": True,
                },
                str(Decimal("47.45") + Decimal("4.60") + Decimal("0.40")),
            ),
            ("AWS::SecretsManager::Secret", {"ReplicaRegions": [{"Region": "us-west-2"}]}, "0.80"),
            ("AWS::CloudTrail::Trail", {"EventSelectors": [{"DataResources": [{"Type": "AWS::S3::Object"}]}]}, "0.02"),
            ("AWS::CloudWatch::Alarm", {"Namespace": "AWS/X", "MetricName": "M", "Period": 10}, "0.30"),
            (
                "AWS::Logs::MetricFilter",
                {"MetricTransformations": [{"MetricNamespace": "n", "MetricName": "m"}]},
                "0.30",
            ),
            ("AWS::WAFv2::WebACL", {"Rules": [{"Name": "a"}, {"Name": "b"}]}, "7.30"),
            (
                "AWS::ElasticLoadBalancingV2::LoadBalancer",
                {"Subnets": ["a", "b"]},
                str(Decimal("16.42") + Decimal("0.58") + Decimal("0.90") + Decimal("7.30")),
            ),
        ],
    )
    def test_a_resource_alone_costs(self, kind: str, properties: dict[str, Any], expected: str) -> None:
        bill = _one(kind, **properties)
        assert bill.total() == Decimal(expected)
        assert not bill.not_priced

    @pytest.mark.parametrize(
        ("kind", "properties", "reason"),
        [
            ("AWS::EC2::Instance", {"InstanceType": "x9.metal"}, "the table has no price"),
            ("AWS::EC2::Instance", {}, "no InstanceType"),
            ("AWS::EC2::Instance", {"InstanceType": att("Other", "Size")}, "only the stack knows Other"),
            ("AWS::AutoScaling::AutoScalingGroup", {"MinSize": 1, "MixedInstancesPolicy": {}}, "MixedInstancesPolicy"),
            ("AWS::AutoScaling::AutoScalingGroup", {"MinSize": 1}, "no LaunchTemplate"),
            ("AWS::EC2::Volume", {"VolumeType": "gp3", "SnapshotId": "snap-1"}, "snapshot"),
            ("AWS::EC2::Volume", {"VolumeType": "gp3", "Size": "1e300"}, "so much cannot be meant"),
            ("AWS::EC2::Volume", {"VolumeType": "gp3", "Size": 1, "Iops": "1e999999"}, "so much cannot be meant"),
            ("AWS::EC2::Volume", {"VolumeType": "io2", "Size": 10}, "the table has no price"),
            ("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "GatewayLoadBalancer"}, "GatewayLoadBalancer"),
            ("AWS::ElasticLoadBalancingV2::LoadBalancer", {"Type": "network"}, "network"),
            ("AWS::WAFv2::WebACL", {"Rules": [{"Name": "AWSManagedRulesBotControlRuleSet"}]}, "prices of their own"),
            ("AWS::S3::Bucket", {"ReplicationConfiguration": {}}, "replication"),
            ("AWS::EFS::FileSystem", {"AvailabilityZoneName": "us-east-1a"}, "one zone"),
            ("AWS::EFS::FileSystem", {"ThroughputMode": "provisioned"}, "provisioned"),
            ("AWS::KMS::Key", {"KeySpec": "RSA_2048"}, "symmetric"),
            ("AWS::CloudTrail::Trail", {"InsightSelectors": [{}]}, "Insights"),
            ("AWS::SSM::Parameter", {"Tier": "Advanced"}, "Advanced"),
            ("AWS::CloudWatch::Alarm", {"Metrics": [{"Expression": "SELECT MAX(x) FROM y"}]}, "Metrics Insights"),
            ("AWS::SNS::Topic", {"Subscription": [{"Protocol": "sms", "Endpoint": "1"}]}, "sms"),
            ("AWS::ECS::Service", {"LaunchType": "EC2"}, "Fargate"),
            ("AWS::ECS::Service", {"LaunchType": "FARGATE", "TaskDefinition": "arn:x"}, "not in this template"),
            ("AWS::RDS::DBInstance", {"DBInstanceClass": "db.t3.small", "Engine": "postgres"}, "engine postgres"),
            (
                "AWS::RDS::DBInstance",
                {"DBInstanceClass": "db.x9.huge", "Engine": "mysql", "AllocatedStorage": "20"},
                "mysql db.x9.huge in one zone: the table has no price",
            ),
            ("AWS::RDS::DBInstance", {"DBInstanceClass": "db.t3.small", "Engine": "mysql"}, "AllocatedStorage"),
            ("AWS::EMRServerless::Application", {"InitialCapacity": [{}]}, "InitialCapacity"),
            ("AWS::Backup::BackupPlan", {}, "nothing in this template says what it backs up"),
            ("AWS::Backup::RestoreTestingSelection", {}, "its plan is not in this template"),
            ("AWS::RDS::DBCluster", {"Engine": "mysql"}, "Aurora"),
            ("AWS::ElastiCache::ServerlessCache", {"Engine": "other"}, "other"),
            ("AWS::Neptune::DBCluster", {}, "no price is known for this type"),
        ],
    )
    def test_what_the_table_does_not_hold_is_told(self, kind: str, properties: dict[str, Any], reason: str) -> None:
        assert reason in _reasons(_one(kind, **properties))["One"]

    def test_tasks_of_a_schedule_count_for_the_hours_that_they_run(self) -> None:
        task = resource("AWS::ECS::TaskDefinition", Cpu="1024", Memory="2048")
        target = {"Arn": "cluster", "Id": "a", "EcsParameters": {"TaskDefinitionArn": ref("Task")}}
        bill = _bill(template({"Task": task, "Rule": resource("AWS::Events::Rule", Targets=[target])}))
        # 24 hours of one vCPU at 0.04048, and of 2 GB at 0.004445 each
        assert bill.total() == Decimal("0.97") + Decimal("0.21")

    def test_a_custom_resource_says_that_what_it_makes_is_not_seen(self) -> None:
        assert "not in the template" in _one("Custom::Setup").free[0].reason


class TestConditions:
    def test_an_unknown_condition_is_told_and_not_taken_for_either(self) -> None:
        made = template(
            {"Zone": resource("AWS::Route53::HostedZone", attributes={"Condition": "HasName"})},
            Parameters={"Name": {"Type": "String"}},
            Conditions={"HasName": {"Fn::Not": [{"Fn::Equals": [ref("Name"), ""]}]}},
        )
        assert "--parameter Name=VALUE" in _reasons(_bill(made))["Zone"]
        assert _bill(made, parameters={"Name": "x"}).total() == Decimal("0.50")

    def test_a_property_follows_its_condition(self) -> None:
        assert _bill(either({"Fn::Equals": [ref("AWS::Region"), "us-east-1"]})).total() == Decimal("1.60")
        bill = _bill(either({"Fn::Equals": [ref("AWS::Region"), "us-east-1"]}), region="us-west-2")
        assert bill.total() == Decimal("0.80")
        assert "Size" in _reasons(_bill(either({"Fn::Equals": [ref("AWS::AccountId"), "1"]})))["Volume"].title()

    def test_a_transform_and_a_loop_are_told(self) -> None:
        made = template({"Key": resource("AWS::KMS::Key")}, Transform="AWS::Serverless-2016-10-31")
        assert "transform" in _reasons(_bill(made))["the template"]
        made = template({"Fn::ForEach::Keys": ["N", ["a"], {}], "Key": resource("AWS::KMS::Key")})
        assert "expands it" in _reasons(_bill(made))["Fn::ForEach::Keys"]


class TestWrongUse:
    def test_all_that_is_wrong_comes_at_once(self) -> None:
        with pytest.raises(SettingsError) as told:
            _bill(
                express_plus(),
                region="mars-1",
                parameters={"InstanceSize": "t3.tiny", "PracticeStorge": "20", "PracticeStorage": "5"},
                assumed={"bucket_storage": "1"},
            )
        assert told.value.problems == (
            "there are no prices for region 'mars-1'; expected us-east-1 or us-west-2",
            "--parameter InstanceSize is 't3.tiny'; expected one of t3.small, t4g.medium",
            "--parameter PracticeStorge is none of the template's parameters; did you mean PracticeStorage?",
            "--parameter PracticeStorage is '5'; expected 10 or more",
            "--usage bucket_storage is no assumption; did you mean bucket_storage_gb?",
        )
        assert "--assumptions" in told.value.hint

    @pytest.mark.parametrize(("value", "expected"), [("99999", "16384 or less"), ("much", "a number"), ("NaN", "10")])
    def test_a_number_outside_of_its_limits_is_refused(self, value: str, expected: str) -> None:
        with pytest.raises(SettingsError, match=expected):
            _bill(express_plus(), parameters={"PracticeStorage": value})


_ODD: tuple[Any, ...] = (
    "x",
    3,
    -1,
    "1e999999",
    None,
    [],
    ["x"],
    [3],
    [{}],
    {},
    {"Ref": "Nowhere"},
    {"Fn::GetAtt": ["A", "B"]},
)
_PROPERTIES = (
    "AllocatedStorage", "Architectures", "BackupPlan", "BackupPolicy", "BackupRetentionPeriod", "BlockDeviceMappings",
    "CacheUsageLimits", "CapacityProviderStrategy", "ClusterSettings", "DBClusterIdentifier", "DBInstanceClass",
    "Dimensions", "EnableCloudwatchLogsExports", "Engine", "EventSelectors", "InitialCapacity", "InstanceType",
    "Iops", "LaunchTemplate", "LifecyclePolicies", "MemorySize", "MetricName", "MetricTransformations", "Metrics",
    "MinSize", "NetworkInterfaces", "Period", "ProtectedResourceArns", "ReplicaRegions", "Rules", "Scheme", "Size",
    "SubnetIds", "Subnets", "Subscription", "Targets", "TaskDefinition", "Type", "VPCZoneIdentifier", "VolumeType",
)  # fmt: skip


@pytest.mark.parametrize("kind", sorted(RULES))
def test_nothing_is_left_out_whatever_the_properties_are(kind: str) -> None:
    """Each resource has a line or a reason, also where its properties are not of their form."""
    for name in _PROPERTIES:
        for odd in _ODD:
            properties = {"LaunchType": "FARGATE", "MinSize": 1, "InstanceType": "t3.small", name: odd}
            bill = _bill(template({"One": {"Type": kind, "Properties": properties}}))
            assert bill.lines or bill.free or bill.not_priced, (name, odd)
            assert bill.total() >= 0, (name, odd)


def test_each_free_type_is_listed_with_its_reason() -> None:
    made = template({f"R{number}": resource(kind) for number, kind in enumerate(FREE)})
    bill = _bill(made)
    assert {note.type for note in bill.free} == FREE.keys()
    assert all(note.reason for note in bill.free)
    assert bill.total() == 0
    assert not bill.not_priced
