"""Reading templates together."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.operate.checks.templates import UNKNOWN, Templates
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
