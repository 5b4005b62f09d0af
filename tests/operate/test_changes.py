"""What an update would do: one small pair of templates for each rule."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.operate.changes import Change, Effect, Fate, Kind, compare
from hostemr.operate.schemas import schema_of
from tests.operate.templates import KEEP, NO_VALUE, att, choose, database_stack, ref, resource, sub, template


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Change]:
    found = compare(before, after)
    assert len({change.logical_id for change in found}) == len(found)
    return {change.logical_id: change for change in found}


def change_of(before: dict[str, Any], after: dict[str, Any], **sections: Any) -> Change | None:
    """What happens to one resource between two versions of it."""
    return changes(template({"It": before}, **sections), template({"It": after}, **sections)).get("It")


def kind_of(type_name: str, before: dict[str, Any], after: dict[str, Any], **sections: Any) -> Kind | None:
    found = change_of(resource(type_name, **before), resource(type_name, **after), **sections)
    return None if found is None else found.kind


def test_the_same_template_changes_nothing() -> None:
    assert compare(database_stack(), database_stack()) == []


def test_an_update_in_place_names_the_property() -> None:
    found = changes(database_stack(), database_stack(BackupRetentionPeriod=36))
    assert list(found) == ["Cluster"]
    assert found["Cluster"].kind is Kind.UPDATED
    assert [cause.pointer for cause in found["Cluster"].causes] == ["/properties/BackupRetentionPeriod"]
    assert found["Cluster"].fate is None


@pytest.mark.parametrize(
    "changed",
    [
        {"StorageEncrypted": False},
        {"KmsKeyId": "alias/other"},
        {"DatabaseName": "openemr"},
        {"DBSubnetGroupName": "other"},
        {"DBClusterIdentifier": "other"},
        {"SnapshotIdentifier": "snapshot"},
    ],
)
def test_a_create_only_property_of_a_cluster_replaces_it_and_its_instances(changed: dict[str, Any]) -> None:
    found = changes(database_stack(), database_stack(**changed))
    assert {name: change.kind for name, change in found.items()} == {"Cluster": Kind.REPLACED, "Writer": Kind.REPLACED}
    assert found["Cluster"].causes[0].pointer == f"/properties/{next(iter(changed))}"
    assert "Cluster is replaced" in found["Writer"].causes[0].reason


def test_removing_a_create_only_property_replaces_as_well() -> None:
    found = changes(database_stack(SnapshotIdentifier="snapshot"), database_stack())
    assert found["Cluster"].kind is Kind.REPLACED
    assert "AWS::RDS::DBCluster" in found["Cluster"].causes[0].reason


def test_a_conditional_create_only_property_may_replace() -> None:
    assert changes(database_stack(), database_stack(Engine="aurora"))["Cluster"].kind is Kind.MAY_BE_REPLACED


def test_a_replaced_network_replaces_all_that_is_in_it() -> None:
    before = database_stack()
    after = database_stack()
    after["Resources"]["Vpc"]["Properties"]["CidrBlock"] = "10.1.0.0/16"
    found = changes(before, after)
    kinds = {name: change.kind for name, change in found.items()}
    assert kinds == {
        "Vpc": Kind.REPLACED,
        "SubnetA": Kind.REPLACED,
        "SubnetB": Kind.REPLACED,
        "Subnets": Kind.UPDATED,
    }
    assert found["Subnets"].causes[0].pointer == "/properties/SubnetIds/*"


def test_what_may_be_replaced_makes_its_users_perhaps_replaced() -> None:
    before = template(
        {
            "Vpc": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16", InstanceTenancy="default"),
            "Subnet": resource("AWS::EC2::Subnet", VpcId=ref("Vpc")),
        }
    )
    after = template(
        {
            "Vpc": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16", InstanceTenancy="dedicated"),
            "Subnet": resource("AWS::EC2::Subnet", VpcId=ref("Vpc")),
        }
    )
    assert {change.kind for change in compare(before, after)} == {Kind.MAY_BE_REPLACED}


def test_another_arn_replaces_for_certain_another_attribute_perhaps() -> None:
    def stack(name: str, attribute: str) -> dict[str, Any]:
        return template(
            {
                "Key": resource("AWS::Logs::LogGroup", LogGroupName=name),
                "User": resource("AWS::EFS::FileSystem", KmsKeyId=att("Key", attribute)),
            }
        )

    assert changes(stack("a", "Arn"), stack("b", "Arn"))["User"].kind is Kind.REPLACED
    assert changes(stack("a", "Else"), stack("b", "Else"))["User"].kind is Kind.MAY_BE_REPLACED


def test_an_update_in_place_keeps_ref_and_arn_but_may_change_other_attributes() -> None:
    def stack(name: str, value: Any) -> dict[str, Any]:
        return template(
            {
                "Launch": resource("AWS::EC2::LaunchTemplate", LaunchTemplateData={"ImageId": name}),
                "User": resource("AWS::EC2::Subnet", VpcId=value),
            }
        )

    for steady in (ref("Launch"), att("Launch", "LaunchTemplateId"), sub("${Launch}")):
        assert set(changes(stack("a", steady), stack("b", steady))) == {"Launch"}
    moving = att("Launch", "LatestVersionNumber")
    assert changes(stack("a", moving), stack("b", moving))["User"].kind is Kind.MAY_BE_REPLACED


def test_tags_change_no_attribute() -> None:
    def stack(**properties: Any) -> dict[str, Any]:
        return template(
            {
                "Vpc": resource("AWS::EC2::VPC", **properties),
                "Subnet": resource("AWS::EC2::Subnet", Ipv6CidrBlock=att("Vpc", "Ipv6CidrBlocks")),
            }
        )

    tagged = stack(Tags=[{"Key": "a", "Value": "b"}])
    assert set(changes(stack(), tagged)) == {"Vpc"}
    assert set(changes(stack(), stack(EnableDnsSupport=True))) == {"Vpc", "Subnet"}


def test_a_name_or_a_create_only_attribute_changes_with_the_resource_only() -> None:
    def stack(count: int, attribute: str) -> dict[str, Any]:
        return template(
            {
                "Service": resource("AWS::ECS::Service", DesiredCount=count),
                "User": resource("AWS::EC2::Subnet", VpcId=att("Service", attribute)),
            }
        )

    for attribute in ("Name", "ServiceArn", "Cluster"):
        assert set(changes(stack(1, attribute), stack(2, attribute))) == {"Service"}, attribute


def test_a_reference_within_sub_and_join_carries_a_replacement_on() -> None:
    for value in (sub("vpc-${Vpc}"), sub("${Own}", {"Own": ref("Vpc")}), {"Fn::Join": ["-", ["a", ref("Vpc")]]}):
        old = template(
            {"Vpc": resource("AWS::EC2::VPC", CidrBlock="a"), "It": resource("AWS::EC2::Subnet", VpcId=value)}
        )
        new = template(
            {"Vpc": resource("AWS::EC2::VPC", CidrBlock="b"), "It": resource("AWS::EC2::Subnet", VpcId=value)}
        )
        assert changes(old, new)["It"].kind is Kind.REPLACED, value


def test_references_in_a_circle_come_to_an_end() -> None:
    def stack(cidr: str) -> dict[str, Any]:
        return template(
            {
                "A": resource("AWS::EC2::Subnet", VpcId=ref("B"), CidrBlock=cidr),
                "B": resource("AWS::EC2::Subnet", VpcId=ref("A")),
            }
        )

    assert {change.kind for change in compare(stack("1"), stack("2"))} == {Kind.REPLACED}


def test_nested_create_only_places_count_at_and_below_but_not_beside() -> None:
    type_name = "AWS::EFS::AccessPoint"
    root = {"Path": "/a", "CreationInfo": {"OwnerUid": "1"}}
    assert kind_of(type_name, {"RootDirectory": root}, {"RootDirectory": {**root, "Path": "/b"}}) is Kind.REPLACED
    batch = "AWS::OpenSearchService::Domain"
    at_rest = {"EncryptionAtRestOptions": {"Enabled": True}}
    assert kind_of(batch, at_rest, {"EncryptionAtRestOptions": {"Enabled": False}}) is Kind.MAY_BE_REPLACED
    assert kind_of(batch, {"EBSOptions": {"Iops": 1}}, {"EBSOptions": {"Iops": 2}}) is Kind.UPDATED


def test_a_group_that_is_added_replaces_only_if_it_holds_a_create_only_property() -> None:
    type_name = "AWS::OpenSearchService::Domain"
    empty: dict[str, Any] = {"DomainName": "a"}
    assert kind_of(type_name, empty, {**empty, "AdvancedSecurityOptions": {"Enabled": True}}) is Kind.MAY_BE_REPLACED
    assert kind_of(type_name, empty, {**empty, "AdvancedSecurityOptions": {"JWTOptions": {}}}) is Kind.UPDATED
    computed = {**empty, "AdvancedSecurityOptions": {"Fn::FindInMap": ["M", "a", "b"]}}
    assert kind_of(type_name, empty, computed) is Kind.MAY_BE_REPLACED


def test_the_star_of_a_list_is_found_in_schemas_that_write_it() -> None:
    def policies(arn: str) -> dict[str, Any]:
        return {"Name": "a", "Policies": [{"PolicyArn": arn}]}

    found = change_of(
        resource("AWS::MPA::ApprovalTeam", **policies("a")), resource("AWS::MPA::ApprovalTeam", **policies("b"))
    )
    assert found is not None
    assert (found.kind, found.causes[0].pointer) == (Kind.REPLACED, "/properties/Policies/*/PolicyArn")


def test_the_order_of_a_list_without_order_is_no_change() -> None:
    type_name = "AWS::ElastiCache::ServerlessCache"
    assert kind_of(type_name, {"SubnetIds": ["a", "b"]}, {"SubnetIds": ["b", "a"]}) is None
    assert kind_of(type_name, {"SubnetIds": ["a", "b"]}, {"SubnetIds": ["b", "c"]}) is Kind.REPLACED
    assert kind_of(type_name, {"SubnetIds": ["a", "a"]}, {"SubnetIds": ["a"]}) is Kind.REPLACED


def test_the_order_of_an_ordered_list_is_a_change() -> None:
    definition = {"Family": "a", "ContainerDefinitions": [{"Name": "a"}]}
    swapped = {"Family": "a", "ContainerDefinitions": [{"Name": "b"}]}
    assert kind_of("AWS::ECS::TaskDefinition", definition, swapped) is Kind.REPLACED


def test_numbers_and_booleans_as_text_are_no_change() -> None:
    assert kind_of("AWS::RDS::DBCluster", {"Port": 3306}, {"Port": "3306"}) is None
    assert kind_of("AWS::RDS::DBCluster", {"StorageEncrypted": True}, {"StorageEncrypted": "true"}) is None


@pytest.mark.parametrize("key", ["Metadata", "DependsOn", "CreationPolicy", "UpdatePolicy"])
def test_how_to_do_things_is_no_change_of_a_resource(key: str) -> None:
    before = resource("AWS::AutoScaling::AutoScalingGroup", MaxSize="1")
    after = resource("AWS::AutoScaling::AutoScalingGroup", attributes={key: {"X": "y"}}, MaxSize="1")
    assert change_of(before, after) is None


def test_another_import_counts_as_changed() -> None:
    def subnet(text: str) -> dict[str, Any]:
        return {"VpcId": {"Fn::ImportValue": text}}

    assert kind_of("AWS::EC2::Subnet", subnet("a"), subnet("b")) is Kind.REPLACED
    assert kind_of("AWS::EC2::Subnet", {"VpcId": sub("${A}")}, {"VpcId": sub("${B}")}) is Kind.REPLACED


def test_a_choice_that_differs_in_one_branch_may_replace_in_both_does() -> None:
    type_name = "AWS::EC2::VPC"

    def cidr(yes: Any, no: Any) -> dict[str, Any]:
        return {"CidrBlock": choose("Big", yes, no)}

    assert kind_of(type_name, cidr("a", "b"), cidr("a", "b")) is None
    assert kind_of(type_name, cidr("a", "b"), cidr("a", "c")) is Kind.MAY_BE_REPLACED
    assert kind_of(type_name, cidr("a", "b"), cidr("c", "d")) is Kind.REPLACED
    assert kind_of(type_name, {"CidrBlock": "a"}, cidr("a", "b")) is Kind.MAY_BE_REPLACED
    assert kind_of(type_name, {"CidrBlock": "a"}, cidr("a", "a")) is None


def test_no_value_is_no_property() -> None:
    type_name = "AWS::S3::Bucket"
    assert kind_of(type_name, {}, {"BucketName": NO_VALUE}) is None
    assert kind_of(type_name, {}, {"BucketName": choose("Named", "a", NO_VALUE)}) is Kind.MAY_BE_REPLACED
    assert kind_of(type_name, {"BucketName": choose("N", "a", NO_VALUE)}, {"BucketName": "b"}) is Kind.REPLACED


def test_a_condition_that_means_something_else_makes_choices_uncertain() -> None:
    it = {"It": resource("AWS::EC2::VPC", CidrBlock=choose("Big", "a", "b"))}
    before = template(it, Conditions={"Big": {"Fn::Equals": ["1", "1"]}})
    after = template(it, Conditions={"Big": {"Fn::Equals": ["1", "2"]}})
    assert changes(before, after)["It"].kind is Kind.MAY_BE_REPLACED


def test_a_default_that_changes_makes_its_users_uncertain_through_conditions_as_well() -> None:
    def stack(default: str) -> dict[str, Any]:
        return template(
            {
                "Direct": resource("AWS::EC2::VPC", CidrBlock=ref("P")),
                "Chosen": resource("AWS::EC2::VPC", CidrBlock=choose("Second", "a", "b")),
                "Present": resource("AWS::EC2::VPC", attributes={"Condition": "Second"}, CidrBlock="c"),
                "Steady": resource("AWS::EC2::VPC", CidrBlock=ref("Q")),
            },
            Parameters={"P": {"Type": "String", "Default": default}, "Q": {"Type": "String"}},
            Conditions={"First": {"Fn::Equals": [ref("P"), "x"]}, "Second": {"Fn::Not": [{"Condition": "First"}]}},
        )

    assert {name: change.kind for name, change in changes(stack("1"), stack("2")).items()} == {
        "Direct": Kind.MAY_BE_REPLACED,
        "Chosen": Kind.MAY_BE_REPLACED,
        "Present": Kind.MAY_BE_REMOVED,
    }


def test_a_mapping_that_changes_makes_its_users_uncertain() -> None:
    it = {"It": resource("AWS::EC2::VPC", CidrBlock={"Fn::FindInMap": ["M", "a", "b"]})}
    before, after = (template(it, Mappings={"M": {"a": {"b": value}}}) for value in ("1", "2"))
    assert changes(before, after)["It"].kind is Kind.MAY_BE_REPLACED


def test_a_resource_that_gets_a_condition_may_be_removed_and_one_that_loses_it_may_be_added() -> None:
    plain = resource("AWS::S3::Bucket")
    conditional = resource("AWS::S3::Bucket", attributes={"Condition": "C"})
    conditions = {"C": {"Fn::Equals": ["1", "1"]}}
    gained, lost = change_of(plain, conditional, Conditions=conditions), change_of(conditional, plain)
    assert gained is not None
    assert lost is not None
    assert (gained.kind, gained.fate) == (Kind.MAY_BE_REMOVED, Fate.DELETED)
    assert (lost.kind, lost.fate) == (Kind.MAY_BE_ADDED, None)


def test_another_type_under_the_same_id_is_refused() -> None:
    found = change_of(resource("AWS::SNS::Topic"), resource("AWS::SQS::Queue"))
    assert found is not None
    assert found.kind is Kind.REFUSED
    assert [cause.pointer for cause in found.causes] == ["/Type"]


@pytest.mark.parametrize("type_name", ["Custom::Anything", "AWS::CloudFormation::CustomResource"])
def test_a_custom_resource_is_updated_by_its_own_code_but_keeps_its_service_token(type_name: str) -> None:
    assert kind_of(type_name, {"ServiceToken": "a", "X": "1"}, {"ServiceToken": "a", "X": "2"}) is Kind.UPDATED
    assert kind_of(type_name, {"ServiceToken": "a"}, {"ServiceToken": "b"}) is Kind.REFUSED


def test_what_a_custom_resource_answers_may_replace() -> None:
    def stack(value: str) -> dict[str, Any]:
        return template(
            {
                "Custom": resource("Custom::Cidr", ServiceToken="a", Value=value),
                "Vpc": resource("AWS::EC2::VPC", CidrBlock=att("Custom", "Cidr")),
                "Topic": resource("AWS::SNS::Topic", DisplayName=att("Custom", "Name")),
            }
        )

    found = changes(stack("1"), stack("2"))
    assert {name: change.kind for name, change in found.items()} == {
        "Custom": Kind.UPDATED,
        "Vpc": Kind.MAY_BE_REPLACED,
    }


@pytest.mark.parametrize("type_name", ["My::Own::Type", "AWS::Serverless::Function", "Some::Module::X::MODULE"])
def test_a_type_without_a_schema_is_unknown_never_fine(type_name: str) -> None:
    assert kind_of(type_name, {"A": "1"}, {"A": "2"}) is Kind.UNKNOWN
    assert kind_of(type_name, {"A": "1"}, {"A": "1"}) is None


def test_a_property_that_the_schema_does_not_know_is_unknown() -> None:
    assert kind_of("AWS::S3::Bucket", {}, {"Teleport": "on"}) is Kind.UNKNOWN


def test_a_read_only_property_is_refused() -> None:
    assert kind_of("AWS::KMS::Key", {}, {"KeyId": "a"}) is Kind.REFUSED


def test_a_type_without_an_update_handler_is_replaced() -> None:
    type_name = "AWS::Glue::SecurityConfiguration"
    before, after = ({"EncryptionConfiguration": {"S3Encryptions": [{"X": x}]}} for x in ("1", "2"))
    assert kind_of(type_name, before, after) is Kind.REPLACED


def test_tags_that_cannot_be_updated_may_replace_others_do_not() -> None:
    before, after = ({"Tags": [{"Key": "a", "Value": value}]} for value in ("1", "2"))
    assert kind_of("AWS::AppFlow::Flow", before, after) is Kind.MAY_BE_REPLACED
    assert kind_of("AWS::EC2::VPC", before, after) is Kind.UPDATED


def test_the_inside_of_a_nested_stack_is_not_seen() -> None:
    before, after = ({"TemplateURL": "https://bucket/1", "Parameters": {"A": value}} for value in ("1", "2"))
    assert kind_of("AWS::CloudFormation::Stack", before, after) is Kind.UNKNOWN
    assert kind_of("AWS::CloudFormation::Stack", {"TemplateURL": "a"}, {"TemplateURL": "b"}) is Kind.UNKNOWN


def test_entries_that_cloudformation_expands_are_unknown_when_they_change() -> None:
    before, after = ({"Resources": {"Fn::ForEach::Topics": ["X", ["a", name], {}]}} for name in ("b", "c"))
    assert [(change.logical_id, change.kind) for change in compare(before, after)] == [
        ("Fn::ForEach::Topics", Kind.UNKNOWN)
    ]
    assert compare(before, before) == []


@pytest.mark.parametrize(
    ("type_name", "name", "kind"),
    [
        ("AWS::KMS::Key", "MultiRegion", Kind.REFUSED),
        ("AWS::EC2::Volume", "AvailabilityZone", Kind.REFUSED),
        ("AWS::SecretsManager::Secret", "GenerateSecretString", Kind.OVERWRITTEN),
        ("AWS::SecretsManager::Secret", "Name", Kind.REPLACED),
        ("AWS::RDS::DBInstance", "DBSnapshotIdentifier", Kind.REPLACED),
        ("AWS::S3::Bucket", "BucketName", Kind.REPLACED),
        ("AWS::Backup::BackupVault", "EncryptionKeyArn", Kind.REPLACED),
        ("AWS::EFS::FileSystem", "PerformanceMode", Kind.REPLACED),
        ("AWS::ECS::TaskDefinition", "Cpu", Kind.REPLACED),
        ("AWS::ElasticLoadBalancingV2::LoadBalancer", "Scheme", Kind.REPLACED),
        ("AWS::ElasticLoadBalancingV2::TargetGroup", "Port", Kind.REPLACED),
        ("AWS::EC2::Subnet", "AvailabilityZone", Kind.REPLACED),
    ],
)
def test_known_types_behave_as_their_pages_say(type_name: str, name: str, kind: Kind) -> None:
    assert kind_of(type_name, {name: {"A": "1"}}, {name: {"A": "2"}}) is kind


def test_removed_resources_are_deleted_kept_or_snapshot() -> None:
    def fate(type_name: str, policy: str | None, **properties: Any) -> Fate | None:
        attributes = {} if policy is None else {"DeletionPolicy": policy}
        other = resource("AWS::SNS::Topic")
        gone = resource(type_name, attributes=attributes, **properties)
        found = changes(template({"It": gone, "T": other}), template({"T": other}))
        assert found["It"].kind is Kind.REMOVED
        return found["It"].fate

    assert fate("AWS::S3::Bucket", None) is Fate.DELETED
    assert fate("AWS::S3::Bucket", "Retain") is Fate.RETAINED
    assert fate("AWS::S3::Bucket", "RetainExceptOnCreate") is Fate.RETAINED
    assert fate("AWS::S3::Bucket", "Snapshot") is Fate.DELETED
    assert fate("AWS::EC2::Volume", "Snapshot") is Fate.SNAPSHOT
    assert fate("AWS::RDS::DBCluster", None) is Fate.SNAPSHOT
    assert fate("AWS::RDS::DBInstance", None) is Fate.SNAPSHOT
    assert fate("AWS::RDS::DBInstance", None, DBClusterIdentifier="a") is Fate.DELETED


def test_the_old_copy_of_a_replaced_resource_has_the_weaker_of_both_policies() -> None:
    before, after = (resource("AWS::S3::Bucket", attributes=KEEP, BucketName=name) for name in ("a", "b"))
    kept = change_of(before, after)
    assert kept is not None
    assert kept.fate is Fate.RETAINED
    after.pop("UpdateReplacePolicy")
    weaker = change_of(before, after)
    assert weaker is not None
    assert weaker.fate is Fate.DELETED
    assert weaker.weakened == ("UpdateReplacePolicy: retained -> deleted",)


def test_a_policy_alone_is_a_change_of_policy() -> None:
    before, after = resource("AWS::S3::Bucket", attributes=KEEP), resource("AWS::S3::Bucket")
    weaker, stronger = change_of(before, after), change_of(after, before)
    assert weaker is not None
    assert stronger is not None
    assert (weaker.kind, stronger.kind) == (Kind.POLICY_CHANGED, Kind.POLICY_CHANGED)
    assert weaker.weakened == ("DeletionPolicy: retained -> deleted", "UpdateReplacePolicy: retained -> deleted")
    assert stronger.weakened == ()


def test_a_fixed_name_stands_in_the_way_of_a_replacement() -> None:
    group = "AWS::RDS::DBClusterParameterGroup"
    before, after = (resource(group, DBClusterParameterGroupName="a", Family=family) for family in ("1", "2"))
    found = change_of(before, after)
    assert found is not None
    assert found.kind is Kind.REPLACED
    assert found.causes[-1].effect is Effect.REFUSE
    assert "custom-named" in found.causes[-1].reason
    before, after = (resource(group, Family=family) for family in ("1", "2"))
    free = change_of(before, after)
    assert free is not None
    assert [cause.effect for cause in free.causes] == [Effect.REPLACE]


def test_a_name_of_several_parts_stands_in_the_way_only_if_all_stay() -> None:
    def target(resource_id: str) -> dict[str, Any]:
        return resource(
            "AWS::ApplicationAutoScaling::ScalableTarget",
            ResourceId=resource_id,
            ScalableDimension="ecs:service:DesiredCount",
            ServiceNamespace="ecs",
        )

    moved = change_of(target("service/a"), target("service/b"))
    assert moved is not None
    assert [cause.effect for cause in moved.causes] == [Effect.REPLACE]


def follow(target: tuple[dict[str, Any], dict[str, Any]], user: dict[str, Any]) -> dict[str, Kind]:
    """What happens to a target and its user when the target goes from one version to another."""
    before, after = (template({"It": version, "User": user}) for version in target)
    return {name: change.kind for name, change in changes(before, after).items()}


VPC_REPLACED = resource("AWS::EC2::VPC", CidrBlock="a"), resource("AWS::EC2::VPC", CidrBlock="b")
VPC_UPDATED = resource("AWS::EC2::VPC", CidrBlock="a"), resource("AWS::EC2::VPC", CidrBlock="a", EnableDnsSupport=True)


def test_a_replacement_behind_a_choice_is_only_possible() -> None:
    user = resource("AWS::EC2::Subnet", VpcId=choose("C", ref("It"), "vpc-other"))
    assert follow(VPC_REPLACED, user)["User"] is Kind.MAY_BE_REPLACED


def test_an_unknown_type_that_refers_to_a_replaced_resource_is_unknown() -> None:
    user = resource("My::Own::Type", Vpc=att("It", "DefaultSecurityGroup"))
    assert follow(VPC_REPLACED, user)["User"] is Kind.UNKNOWN
    assert set(follow(VPC_UPDATED, user)) == {"It"}


def test_a_create_only_property_that_is_read_as_an_attribute_stays_in_an_update() -> None:
    assert set(follow(VPC_UPDATED, resource("AWS::EC2::Subnet", CidrBlock=att("It", "CidrBlock")))) == {"It"}


def test_the_arn_of_something_within_a_resource_may_follow_an_update() -> None:
    target = (
        resource("AWS::RDS::DBCluster", ManageMasterUserPassword=True),
        resource("AWS::RDS::DBCluster", ManageMasterUserPassword=False),
    )
    user = resource("AWS::EFS::FileSystem", KmsKeyId=att("It", "MasterUserSecret.SecretArn"))
    assert follow(target, user) == {"It": Kind.UPDATED, "User": Kind.MAY_BE_REPLACED}


def test_a_refused_change_has_no_consequences() -> None:
    target = resource("Custom::A", ServiceToken="a"), resource("Custom::A", ServiceToken="b")
    assert follow(target, resource("AWS::EC2::VPC", CidrBlock=att("It", "Cidr"))) == {"It": Kind.REFUSED}


def test_another_shape_above_a_create_only_property_may_replace() -> None:
    before = {"AdvancedSecurityOptions": "text"}
    after: dict[str, Any] = {"AdvancedSecurityOptions": {"JWTOptions": {}}}
    assert kind_of("AWS::OpenSearchService::Domain", before, after) is Kind.MAY_BE_REPLACED


def test_the_schema_tells_which_resource_is_deleted_first() -> None:
    for type_name, first in (("AWS::EC2::SubnetRouteTableAssociation", True), ("AWS::RDS::DBCluster", False)):
        schema = schema_of(type_name)
        assert schema is not None
        assert schema.deletes_first is first


@pytest.mark.parametrize("argument", [None, [], "x", ["C", 1], [["C"], 1, 2]])
def test_an_if_that_cannot_be_read_is_a_possible_change_and_no_endless_one(argument: Any) -> None:
    odd = {"DisplayName": {"Fn::If": argument}}
    assert kind_of("AWS::SNS::Topic", odd, {"DisplayName": "x"}) is Kind.UPDATED
    assert kind_of("AWS::SNS::Topic", {"DisplayName": "x"}, odd) is Kind.UPDATED


def test_a_condition_that_cannot_be_read_is_passed_over() -> None:
    odd: tuple[Any, Any] = (["x"], {})
    before, after = (
        template({"It": resource("AWS::SNS::Topic")}, Conditions={"C": {"Condition": argument}}) for argument in odd
    )
    assert compare(before, after) == []
