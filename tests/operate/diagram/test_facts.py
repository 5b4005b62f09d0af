"""What the picture says: public or not, under which key, encrypted on the way or not, backed up or not."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from hostemr.operate.diagram.encryption import key_of
from hostemr.operate.diagram.facts import picture
from hostemr.operate.diagram.model import KeyKind, Kind, Place
from hostemr.operate.joined import Joined
from tests.operate.diagram.templates import box, changed, deployment, door, drawn, group, marks, network, said, travel
from tests.operate.templates import NO_VALUE, att, choose, ref, resource, template

BAD, GOOD, WARN = "bad", "good", "warn"


def tones(resources: dict[str, Any]) -> list[str]:
    return [str(one.tone) for one in drawn(resources).summary]


class TestWhole:
    def test_what_is_as_it_should_be_has_no_warning_before_anything_else(self) -> None:
        assert tones(deployment()) == ["plain", GOOD, GOOD]

    def test_every_resource_is_in_the_picture_or_counted(self) -> None:
        made = deployment() | {"Odd": resource("Clinic::Own::Thing"), "Role": resource("AWS::IAM::Role")}
        found = drawn(made)
        assert found.left_out == {"IAM roles and policies": 1, "Own": 1, "network rules and routes": 8}
        boxed = {node.logical_id for one in found.components for node in one.members}
        frame = {"Vpc", "Gateway", "PublicA", "PublicB", "DataA", "DataB", "Key"}
        assert len(boxed) + len(frame) + sum(found.left_out.values()) == len(made)

    def test_what_the_defaults_do_not_make_is_not_drawn_but_said(self) -> None:
        made = deployment() | {"Topic": resource("AWS::SNS::Topic", attributes={"Condition": "Never"})}
        found = drawn(made, Conditions={"Never": {"Fn::Equals": ["a", "b"]}})
        assert found.notes == ("Not made with the parameters' defaults: 1 resource.",)
        assert "Notices" not in [one.title for one in found.components]

    def test_a_template_that_a_macro_finishes_says_so(self) -> None:
        assert "transform" in drawn(deployment(), Transform="Clinic").notes[0]

    def test_a_branch_that_does_not_hold_is_not_taken(self) -> None:
        made = changed("Files", KmsKeyId=choose("Ours", att("Key", "Arn"), NO_VALUE))
        assert marks(drawn(made, Conditions={"Ours": {"Fn::Equals": ["a", "b"]}}), "Files") == ["A"]
        assert marks(drawn(made, Conditions={"Ours": {"Fn::Equals": ["a", "a"]}}), "Files") == ["1"]

    def test_imports_are_followed_from_stack_to_stack(self) -> None:
        name = {"Fn::Sub": "${AWS::StackName}-key"}
        data = template(deployment(), Outputs={"Key": {"Value": att("Key", "Arn"), "Export": {"Name": name}}})
        bucket = resource("AWS::SecretsManager::Secret", KmsKeyId={"Fn::ImportValue": "data-key"})
        found = picture({"data": data, "service": template({"Secret": bucket})}, title="two")
        assert marks(found, "Secret") == marks(found, "Database") == ["1"]


class TestNetwork:
    def test_a_subnet_is_what_its_default_route_makes_it(self) -> None:
        made = network() | {
            "Nat": resource("AWS::EC2::NatGateway", SubnetId=ref("PublicA")),
            "Routes": resource("AWS::EC2::RouteTable", VpcId=ref("Vpc")),
            "ByNat": resource(
                "AWS::EC2::Route",
                RouteTableId=ref("Routes"),
                DestinationCidrBlock="0.0.0.0/0",
                NatGatewayId=ref("Nat"),
            ),
            "Tie": resource("AWS::EC2::SubnetRouteTableAssociation", RouteTableId=ref("Routes"), SubnetId=ref("DataA")),
        }
        kinds = {one.node.logical_id: one.kind for one in drawn(made).subnets}
        assert kinds == {"PublicA": Kind.PUBLIC, "PublicB": Kind.PUBLIC, "DataA": Kind.ROUTED, "DataB": Kind.CLOSED}

    def test_zones_are_told_apart_by_their_place_in_the_regions_list(self) -> None:
        found = drawn(network())
        assert found.zones == ("Zone 1", "Zone 2")
        assert {one.node.logical_id[-1]: one.zone for one in found.subnets} == {"A": 0, "B": 1}

    def test_a_database_stands_in_the_subnets_of_its_subnet_group(self) -> None:
        assert [node.logical_id for node in box(drawn(deployment()), "Database").subnets] == ["DataA", "DataB"]

    def test_one_zone_and_missing_flow_logs_are_warnings(self) -> None:
        made = {name: one for name, one in network().items() if name[-1] != "B" and name != "FlowLog"}
        assert [str(one.tone) for one in drawn(made).network_notes] == [WARN, WARN]


class TestPublic:
    def test_an_internet_facing_balancer_is_public_and_nothing_behind_it(self) -> None:
        found = drawn(deployment())
        assert [one.title for one in found.components if one.public] == ["Load balancer"]
        assert box(found, "Balancer").details

    def test_an_internal_balancer_is_not(self) -> None:
        found = drawn(changed("Balancer", Scheme="internal"))
        assert not box(found, "Balancer").public
        assert found.summary[0].text == "Nothing is reached from the internet."

    def test_people_are_told_which_networks_may_enter(self) -> None:
        def people(**rule: Any) -> tuple[str, str]:
            made = deployment() | {"BalancerGroup": group(**rule)}
            one = drawn(made).components[0].details[0]
            return one.text, str(one.tone)

        assert people(**door(443, CidrIp="203.0.113.0/24")) == ("only from 203.0.113.0/24", GOOD)
        assert people(**door(443, CidrIpv6="::/0")) == ("anybody on the internet", WARN)
        assert people() == ("nobody is let in yet", WARN)

    def test_a_database_with_a_public_address_is_flagged(self) -> None:
        assert said(drawn(changed("Writer", PubliclyAccessible=True)), "Database")["has a PUBLIC address"] == BAD

    def test_tasks_with_public_addresses_are_public_only_if_a_network_is_let_in(self) -> None:
        subnets = {
            "Subnets": [ref("PublicA")],
            "SecurityGroups": [att("TaskGroup", "GroupId")],
            "AssignPublicIp": "ENABLED",
        }
        made = changed("Service", NetworkConfiguration={"AwsvpcConfiguration": subnets})
        assert not box(drawn(made), "Service").public
        made["TaskGroup"] = group(**door(443, CidrIp="0.0.0.0/0"))
        assert box(drawn(made), "Service").public

    @pytest.mark.parametrize(
        ("port", "description", "text", "tone"),
        [
            (443, "", "443 HTTPS", GOOD),
            (80, "", "80 HTTP, NOT encrypted", BAD),
            (80, "Redirects to HTTPS", "80 only redirects, it says", "muted"),
            (22, "", "22 SSH, open to all", BAD),
        ],
    )
    def test_a_servers_open_ports_are_judged(self, port: int, description: str, text: str, tone: str) -> None:
        found = drawn(server(door(port, CidrIp="0.0.0.0/0", Description=description)))
        assert box(found, "Server").public
        assert travel(found, "internet", "Server") == {text: tone}

    def test_a_server_in_a_closed_subnet_is_not_public(self) -> None:
        made = server(door(443, CidrIp="0.0.0.0/0"))
        del made["TieA"]
        assert not box(drawn(made), "Server").public


def server(rule: dict[str, Any]) -> dict[str, Any]:
    """One server with a disk of its own, in a public subnet."""
    return network() | {
        "Group": group(**rule),
        "Server": resource(
            "AWS::EC2::Instance",
            InstanceType="t3.small",
            NetworkInterfaces=[
                {"AssociatePublicIpAddress": "true", "SubnetId": ref("PublicA"), "GroupSet": [ref("Group")]}
            ],
            Volumes=[{"VolumeId": ref("Disk"), "Device": "/dev/sdd"}],
        ),
        "Disk": resource("AWS::EC2::Volume", Size=10, Encrypted=True),
    }


class TestRest:
    def test_each_key_has_a_mark_and_the_customers_come_first(self) -> None:
        found = drawn(deployment() | {"Bucket": resource("AWS::S3::Bucket")})
        assert [(key.mark, key.kind) for key in found.keys] == [("1", KeyKind.CUSTOMER), ("A", KeyKind.AWS)]
        assert (marks(found, "Database"), marks(found, "Bucket")) == (["1"], ["A"])

    @pytest.mark.parametrize(
        ("name", "properties"),
        [("Files", {"Encrypted": None}), ("Files", {"Encrypted": "false"}), ("Database", {"StorageEncrypted": False})],
    )
    def test_a_store_that_is_not_encrypted_is_loud(self, name: str, properties: dict[str, Any]) -> None:
        found = drawn(changed(name, KmsKeyId=None, **properties))
        assert marks(found, name) == ["!"]
        assert (found.summary[1].tone, "NOT encrypted" in found.summary[1].text) == (BAD, True)

    def test_aurora_without_a_word_is_encrypted_by_aws_an_instance_is_not(self) -> None:
        made = changed("Database", StorageEncrypted=None, KmsKeyId=None)
        made["Alone"] = resource("AWS::RDS::DBInstance", Engine="mysql")
        assert (marks(drawn(made), "Database"), marks(drawn(made), "Alone")) == (["A"], ["!"])

    def test_what_a_snapshot_or_a_parameter_decides_is_not_guessed(self) -> None:
        made = changed("Database", StorageEncrypted=None, KmsKeyId=None, SnapshotIdentifier="last")
        assert marks(drawn(made), "Database") == ["?"]
        asked = drawn(changed("Files", Encrypted=ref("Wanted")), Parameters={"Wanted": {"Type": "String"}})
        assert marks(asked, "Files") == ["?"]

    def test_a_key_from_outside_is_named_for_what_is_known_of_it(self) -> None:
        found = drawn(changed("Files", KmsKeyId=ref("GivenKey")), Parameters={"GivenKey": {"Type": "String"}})
        key = box(found, "Files").keys[0]
        assert (key.kind, key.name) == (KeyKind.OUTSIDE, "Given key")

    def test_aws_aliases_are_awss_own_keys_and_own_aliases_lead_to_their_key(self) -> None:
        assert marks(drawn(changed("Files", KmsKeyId="alias/aws/elasticfilesystem")), "Files") == ["A"]
        made = changed("Files", KmsKeyId=ref("Alias"))
        made["Alias"] = resource("AWS::KMS::Alias", AliasName="alias/x", TargetKeyId=ref("Key"))
        assert marks(drawn(made), "Files") == ["1"]

    def test_a_key_that_goes_with_its_stack_is_loud(self) -> None:
        made = deployment()
        del made["Key"]["DeletionPolicy"]
        assert BAD in [str(note.tone) for note in drawn(made).keys[0].notes]

    def test_a_servers_system_disk_is_not_encrypted_unless_something_says_so(self) -> None:
        made = server(door(443, CidrIp="0.0.0.0/0"))
        assert said(drawn(made), "Server")["system disk NOT encrypted"] == BAD
        made["Server"]["Properties"]["BlockDeviceMappings"] = [{"DeviceName": "/dev/sda1", "Ebs": {"Encrypted": True}}]
        assert marks(drawn(made), "Server") == ["A"]

    def test_a_bucket_that_may_be_read_by_anybody_is_loud(self) -> None:
        opened = {"BlockPublicPolicy": False, "BlockPublicAcls": True}
        found = drawn({"Bucket": resource("AWS::S3::Bucket", PublicAccessBlockConfiguration=opened)})
        assert said(found, "Bucket")["may be read by anybody"] == BAD

    def test_what_is_kept_has_its_mark_and_what_is_not_says_so(self) -> None:
        made = deployment()
        del made["Files"]["DeletionPolicy"]
        found = drawn(made)
        assert (box(found, "Database").kept, box(found, "Files").kept) == (True, False)
        assert said(found, "Files")["deleted with the stack"] == WARN

    def test_stores_of_kinds_that_nobody_drew_have_a_box_each_kind(self) -> None:
        made = {f"Queue{n}": resource("AWS::SQS::Queue") for n in range(4)} | {"T": resource("AWS::DynamoDB::Table")}
        found = drawn(made)
        assert [one.title for one in found.at(Place.ACCOUNT)] == ["DynamoDB table", "SQS queue, 4 of them"]
        assert found.left_out == {}


class TestTravel:
    def test_tls_on_every_way_is_seen(self) -> None:
        found = drawn(deployment())
        assert travel(found, "internet", "Balancer") == {"443 HTTPS": GOOD}
        assert travel(found, "Balancer", "Service") == {"443 HTTPS": GOOD}
        assert travel(found, "Service", "Database") == {"3306 TLS": GOOD}
        assert travel(found, "Service", "Files") == {"2049 TLS": GOOD}

    def test_a_listener_without_tls_is_loud_unless_it_only_redirects(self) -> None:
        plain = changed("Listener", Port=80, Protocol="HTTP", Certificates=None)
        assert travel(drawn(plain), "internet", "Balancer") == {"80 HTTP, NOT encrypted": BAD}
        assert tones(plain)[2] == BAD
        aside = [{"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443"}}]
        redirecting = changed("Listener", Port=80, Protocol="HTTP", DefaultActions=aside)
        assert travel(drawn(redirecting), "internet", "Balancer") == {"80 redirects to 443": "muted"}

    def test_a_balancer_that_listens_to_nothing_is_no_danger(self) -> None:
        made = {name: one for name, one in deployment().items() if name != "Listener"}
        assert travel(drawn(made), "internet", "Balancer") == {"listens to nothing": "muted"}

    def test_http_behind_the_balancer_is_loud(self) -> None:
        found = drawn(changed("Targets", Protocol="HTTP", Port=8080))
        assert travel(found, "Balancer", "Service") == {"8080 HTTP, NOT encrypted": BAD}

    def test_a_database_that_takes_connections_without_tls_is_a_warning(self) -> None:
        found = drawn(changed("Parameters", Parameters={"general_log": "0"}))
        assert travel(found, "Service", "Database") == {"3306, TLS not enforced": WARN}

    def test_files_mounted_without_tls_are_loud(self) -> None:
        mounted = [{"Name": "files", "EFSVolumeConfiguration": {"FilesystemId": ref("Files")}}]
        assert travel(drawn(changed("Task", Volumes=mounted)), "Service", "Files") == {"2049, NOT encrypted": BAD}

    def test_what_a_security_group_does_not_let_in_has_no_arrow(self) -> None:
        made = deployment() | {"DatabaseGroup": group(**door(22, SourceSecurityGroupId=att("TaskGroup", "GroupId")))}
        found = drawn(made)
        assert box(found, "Database").id not in [flow.target for flow in found.flows]

    def test_a_cache_says_whether_it_wants_tls(self) -> None:
        def arrow(**properties: Any) -> dict[str, str]:
            made = deployment() | {
                "CacheGroup": group(**door(6379, SourceSecurityGroupId=att("TaskGroup", "GroupId"))),
                "Cache": resource(
                    "AWS::ElastiCache::ReplicationGroup",
                    Engine="valkey",
                    SecurityGroupIds=[att("CacheGroup", "GroupId")],
                    **properties,
                ),
            }
            return travel(drawn(made), "Service", "Cache")

        assert arrow(TransitEncryptionEnabled=True) == {"6379 TLS": GOOD}
        assert arrow() == {"6379, NOT encrypted": BAD}

    def test_a_disk_hangs_on_its_server(self) -> None:
        found = drawn(server(door(443, CidrIp="0.0.0.0/0")))
        assert travel(found, "Server", "Disk") == {"attached": "muted"}


class TestBackups:
    def test_what_a_plan_selects_leads_to_its_vault(self) -> None:
        found = drawn(deployment())
        vault = box(found, "Vault").id
        sources = [flow.source for flow in found.flows if flow.target == vault]
        assert sources == [box(found, "Database").id, box(found, "Files").id]
        assert "Daily, kept 35 days" in said(found, "Vault")

    def test_a_tag_selects_too(self) -> None:
        tag = {"ConditionType": "STRINGEQUALS", "ConditionKey": "keep", "ConditionValue": "yes"}
        made = changed("Selection", BackupSelection={"ListOfTags": [tag]})
        made["Files"]["Properties"]["FileSystemTags"] = [{"Key": "keep", "Value": "yes"}]
        found = drawn(made)
        assert [flow.source for flow in found.flows if flow.beside] == [box(found, "Files").id]

    def test_a_database_in_no_plan_is_a_warning(self) -> None:
        made = changed("Selection", BackupSelection={"Resources": [att("Files", "Arn")]})
        assert said(drawn(made), "Database")["in no plan of AWS Backup"] == WARN
        assert "in no plan of AWS Backup" not in said(drawn(made), "Files")

    def test_no_automatic_backups_are_loud(self) -> None:
        assert said(drawn(changed("Database", BackupRetentionPeriod=0)), "Database")["no automatic backups"] == BAD


class TestRecords:
    def test_alarms_say_who_hears_them(self) -> None:
        made = {"Topic": resource("AWS::SNS::Topic"), "Alarm": resource("AWS::CloudWatch::Alarm")}
        assert said(drawn(made), "Alarm") == {"nobody is told": WARN}
        made["Mail"] = resource(
            "AWS::SNS::Subscription", TopicArn=ref("Topic"), Protocol="email", Endpoint="a@b.example"
        )
        assert said(drawn(made), "Alarm") == {"tell a@b.example": GOOD}

    def test_the_trails_bucket_is_in_its_box_and_logs_have_theirs(self) -> None:
        made = {
            "Trail": resource("AWS::CloudTrail::Trail", S3BucketName=ref("Audit"), IsLogging=True),
            "Audit": resource("AWS::S3::Bucket", LoggingConfiguration={"DestinationBucketName": ref("Access")}),
            "Access": resource("AWS::S3::Bucket"),
            "Records": resource("AWS::S3::Bucket"),
        }
        found = drawn(made)
        titles = {name: box(found, name).title for name in ("Audit", "Access", "Records")}
        assert titles == {"Audit": "Audit trail (CloudTrail)", "Access": "Logs", "Records": "Bucket: records"}
        assert said(found, "Trail")["tampering would not show"] == WARN


def test_a_topic_is_encrypted_only_under_a_key_that_it_names() -> None:
    topics = {"Bare": resource("AWS::SNS::Topic"), "Locked": resource("AWS::SNS::Topic", KmsMasterKeyId=ref("Key"))}
    joined = Joined({"s": template({**topics, "Key": resource("AWS::KMS::Key")})})
    bare, locked = (key_of(joined, one) for one in joined.of("AWS::SNS::Topic"))
    assert (bare and bare.kind, locked and locked.kind) == (KeyKind.NONE, KeyKind.CUSTOMER)


class TestMail:
    PARTS: ClassVar[dict[str, Any]] = {
        "Identity": resource("AWS::SES::EmailIdentity", EmailIdentity="example.org"),
        "Events": resource("AWS::SNS::Topic"),
        "Reports": resource(
            "AWS::SES::ConfigurationSetEventDestination",
            EventDestination={"SnsDestination": {"TopicARN": ref("Events")}},
        ),
        "Dead": resource("AWS::SQS::Queue", MessageRetentionPeriod=1_209_600),
        "MayWrite": resource(
            "AWS::SQS::QueuePolicy",
            Queues=[ref("Dead")],
            PolicyDocument={"Statement": [{"Condition": {"ArnEquals": {"aws:SourceArn": ref("Events")}}}]},
        ),
        "Notices": resource("AWS::SNS::Topic"),
        "Alarm": resource("AWS::CloudWatch::Alarm", AlarmActions=[ref("Notices")]),
    }

    def test_reports_of_mail_belong_to_mail_and_tell_nobody_an_alarm(self) -> None:
        hook = resource(
            "AWS::SNS::Subscription", Protocol="https", TopicArn="arn:aws:sns:x", Endpoint="https://reg.example.org/x"
        )
        found = drawn(self.PARTS | {"Hook": hook})
        (mail,) = [one for one in found.components if one.icon == "mail"]
        assert [one.text for one in mail.details] == [
            "sends as example.org",
            "reports to https://reg.example.org/x",
            "undelivered reports kept 14 days",
        ]
        (alarms,) = [one for one in found.components if one.icon == "bell"]
        assert [one.text for one in alarms.details] == ["nobody is told"]
        assert not [one for one in found.components if "SQS" in one.title]

    def test_a_topic_whose_hearer_is_in_no_template_is_told_so(self) -> None:
        (mail,) = [one for one in drawn(self.PARTS).components if one.icon == "mail"]
        assert "reports to a topic" in [one.text for one in mail.details]


@pytest.mark.parametrize(
    ("cron", "often"),
    [("cron(0 9 ? * SUN#1 *)", "monthly"), ("cron(0 9 ? * 6L *)", "monthly"), ("cron(0 9 ? * SUN *)", "weekly")],
)
def test_a_weekday_of_a_month_is_monthly(cron: str, often: str) -> None:
    parts = {
        "Vault": resource("AWS::Backup::BackupVault"),
        "Tests": resource(
            "AWS::Backup::RestoreTestingPlan",
            ScheduleExpression=cron,
            RecoveryPointSelection={"IncludeVaults": [att("Vault", "BackupVaultArn")]},
        ),
    }
    (vault,) = [one for one in drawn(parts).components if one.icon == "vault"]
    assert f"restores tested {often}" in [one.text for one in vault.details]
