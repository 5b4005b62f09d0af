"""Reading templates together."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.operate.checks.registry import CHECKS
from hostemr.operate.checks.templates import Templates
from hostemr.operate.texts import UNKNOWN
from tests.operate.templates import NO_VALUE, att, choose, ref, resource, sub, template

PARAMETERS = {"Parameters": {"Size": {"Type": "String", "Default": "small"}, "Range": {"Type": "String"}}}


@pytest.fixture
def two() -> Templates:
    outputs = {"T": {"Value": att("Topic", "TopicArn"), "Export": {"Name": sub("${Size}:Topic")}}}
    data = template({"Topic": resource("AWS::SNS::Topic")}, Outputs=outputs, **PARAMETERS)
    alarm = resource("AWS::CloudWatch::Alarm", AlarmActions=[{"Fn::ImportValue": sub("small:Topic")}])
    return Templates({"data": data, "service": template({"Alarm": alarm}, **PARAMETERS)}, region="eu-west-1")


def test_an_import_leads_to_the_resource_of_the_other_stack(two: Templates) -> None:
    alarm = two.of("AWS::CloudWatch::Alarm")[0]
    assert [(one.stack, one.logical_id) for one in two.named("service", alarm.at("AlarmActions"))] == [
        ("data", "Topic")
    ]


def test_an_output_read_by_name_leads_there_too(two: Templates) -> None:
    value = {"Fn::GetStackOutput": {"StackName": "data", "OutputName": "T"}}
    assert [one.logical_id for one in two.named("service", value)] == ["Topic"]
    assert not two.named("service", {"Fn::GetStackOutput": {"StackName": "data", "OutputName": "U"}})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (True, "true"),
        (8, "8"),
        (None, ""),
        (NO_VALUE, ""),
        (ref("Size"), "small"),
        (ref("Range"), UNKNOWN),
        (
            sub("${AWS::Region}/${Size}/${Range}/${!Kept}/${Own}", {"Own": "o"}),
            f"eu-west-1/small/{UNKNOWN}/${{Kept}}/o",
        ),
        ({"Fn::Join": ["-", ["a", ref("Size")]]}, "a-small"),
        ({"Fn::Base64": sub("${Size}")}, "small"),
        ({"Fn::ImportValue": "small:Topic"}, UNKNOWN),
        ({"Fn::Select": [0, ["a"]]}, UNKNOWN),
    ],
)
def test_a_value_becomes_text_as_far_as_the_template_knows(two: Templates, value: Any, text: str) -> None:
    assert two.text("data", value) == text


def test_both_sides_of_a_condition_count_and_no_value_does_not() -> None:
    made = resource("AWS::S3::Bucket", A=choose("Dev", {"B": [1, choose("Big", 2, NO_VALUE)]}, {"B": 3}))
    bucket = Templates({"x": template({"It": made})}).all()[0]
    assert bucket.at("A", "B") == [1, 2, 3]
    assert not bucket.has("A", "C")


def test_a_database_outlives_its_stack_by_default_and_its_instances_do_not() -> None:
    made = Templates(
        {
            "x": template(
                {
                    "Cluster": resource("AWS::RDS::DBCluster"),
                    "Writer": resource("AWS::RDS::DBInstance", DBClusterIdentifier=ref("Cluster")),
                    "Bucket": resource("AWS::S3::Bucket"),
                }
            )
        }
    )
    assert [made.outlives(one) for one in made.all()] == [True, False, False]


def test_an_export_that_begins_with_its_stacks_name_is_found() -> None:
    outputs = {"T": {"Value": ref("Topic"), "Export": {"Name": sub("${AWS::StackName}-Topic")}}}
    data = template({"Topic": resource("AWS::SNS::Topic")}, Outputs=outputs)
    found = Templates({"data": data, "service": template({})}).named("service", {"Fn::ImportValue": "data-Topic"})
    assert [one.logical_id for one in found] == ["Topic"]


def test_imports_in_a_circle_come_to_an_end() -> None:
    def stack(exported: str, imported: str) -> dict[str, Any]:
        value = {"Fn::ImportValue": imported}
        return template({}, Outputs={"Out": {"Value": value, "Export": {"Name": exported}}})

    circle = Templates({"a": stack("x", "y"), "b": stack("y", "x")})
    assert circle.named("a", {"Fn::ImportValue": "x"}) == []
    assert circle.text("a", {"Fn::ImportValue": "x"}) == UNKNOWN


def test_what_is_no_row_by_mistake_is_left_out() -> None:
    made = resource("AWS::S3::Bucket", Rules=["x", 3, {"Name": "a"}, choose("C", {"Name": "b"}, NO_VALUE)])
    bucket = Templates({"x": template({"It": made})}).all()[0]
    assert bucket.rows("Rules") == [{"Name": "a"}, {"Name": "b"}]


@pytest.mark.parametrize("mistake", ["x", 3, ["x"], {"Fn::If": "x"}, {"Fn::FindInMap": []}, {"Ref": ["x"]}])
@pytest.mark.parametrize(
    ("type_name", "name"),
    [
        ("AWS::ECS::TaskDefinition", "ContainerDefinitions"),
        ("AWS::EC2::SecurityGroup", "SecurityGroupIngress"),
        ("AWS::EC2::SecurityGroup", "SecurityGroupEgress"),
        ("AWS::EC2::Instance", "BlockDeviceMappings"),
        ("AWS::EC2::Instance", "ImageId"),
        ("AWS::EC2::Instance", "MetadataOptions"),
        ("AWS::Backup::BackupPlan", "BackupPlan"),
        ("AWS::WAFv2::WebACL", "Rules"),
        ("AWS::IAM::Role", "Policies"),
        ("AWS::Lambda::Function", "Environment"),
    ],
)
def test_no_check_stumbles_over_what_cloudformation_would_refuse(type_name: str, name: str, mistake: Any) -> None:
    templates = Templates({"x": template({"It": resource(type_name, **{name: mistake})})})
    for one in CHECKS:
        assert all(found.resource.logical_id == "It" for found in one.find(templates))
