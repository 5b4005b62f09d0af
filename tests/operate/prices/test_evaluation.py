"""What intrinsic functions come to."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.operate.prices.evaluation import Evaluation, Unknown
from tests.operate.templates import NO_VALUE, att, choose, ref, resource, sub, template

_TEMPLATE = template(
    {"Key": resource("AWS::KMS::Key")},
    Parameters={
        "Size": {"Type": "String", "Default": "t3.small"},
        "Count": {"Type": "Number", "Default": 2},
        "Zones": {"Type": "CommaDelimitedList", "Default": "a, b ,c"},
        "Mail": {"Type": "String"},
        "Image": {"Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>", "Default": "/aws/service/image"},
    },
    Mappings={"Regions": {"us-east-1": {"Image": "ami-1"}, "us-west-2": {"Image": "ami-2"}}},
    Conditions={
        "Small": {"Fn::Equals": [ref("Size"), "t3.small"]},
        "Large": {"Fn::Not": [{"Condition": "Small"}]},
        "HasMail": {"Fn::Not": [{"Fn::Equals": [ref("Mail"), ""]}]},
        "SmallOrMail": {"Fn::Or": [{"Condition": "HasMail"}, {"Condition": "Small"}]},
        "LargeAndMail": {"Fn::And": [{"Condition": "HasMail"}, {"Condition": "Large"}]},
        "SmallAndMail": {"Fn::And": [{"Condition": "Small"}, {"Condition": "HasMail"}]},
        "Round": {"Fn::Not": [{"Condition": "Round"}]},
    },
)


def _evaluation(region: str = "us-east-1", **parameters: str) -> Evaluation:
    return Evaluation(_TEMPLATE, parameters, region)


class TestValue:
    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            (ref("Size"), "t3.small"),
            (ref("Zones"), ["a", "b", "c"]),
            (ref("AWS::Region"), "us-east-1"),
            (sub("${Size} in ${AWS::Region}"), "t3.small in us-east-1"),
            (sub("${!Size}, ${Own}", {"Own": ref("Count")}), "${Size}, 2"),
            ({"Fn::Join": ["-", ["a", ref("Count"), True]]}, "a-2-true"),
            ({"Fn::Select": ["1", ref("Zones")]}, "b"),
            ({"Fn::Select": [0, {"Fn::Split": [".", ref("Size")]}]}, "t3"),
            ({"Fn::FindInMap": ["Regions", ref("AWS::Region"), "Image"]}, "ami-1"),
            ({"Fn::FindInMap": ["Regions", "nowhere", "Image", {"DefaultValue": "ami-0"}]}, "ami-0"),
            ({"Fn::Length": ref("Zones")}, 3),
            (choose("Small", {"A": 1, "B": NO_VALUE}, 2), {"A": 1}),
            ([1, NO_VALUE, choose("Large", 2, NO_VALUE)], [1]),
        ],
    )  # fmt: skip
    def test_a_function_is_worked_out(self, written: Any, expected: Any) -> None:
        assert _evaluation().value(written) == expected

    def test_what_is_given_counts_before_the_default(self) -> None:
        assert _evaluation(Size="t3.large").value(ref("Size")) == "t3.large"
        assert _evaluation(Size="t3.large").value(choose("Small", 1, 2)) == 2
        assert _evaluation("us-west-2").value({"Fn::FindInMap": ["Regions", ref("AWS::Region"), "Image"]}) == "ami-2"

    @pytest.mark.parametrize(
        ("written", "reason"),
        [
            (ref("Mail"), "give --parameter Mail=VALUE"),
            (ref("Image"), "Parameter Store"),
            ({"Fn::ImportValue": "x"}, "Fn::ImportValue"),
            (sub("x-${Mail}"), "give --parameter Mail=VALUE"),
            ({"Fn::Join": [",", ["a", att("Key", "Arn")]]}, "only the stack knows Key"),
            ({"Fn::FindInMap": ["Regions", "nowhere", "Image"]}, "Regions.nowhere.Image"),
            ({"Fn::Select": [9, ref("Zones")]}, "outside"),
            (choose("HasMail", 1, 2), "condition HasMail: parameter Mail"),
            ({"Fn::If": "odd"}, "two values"),
            ({"Fn::Join": 3}, "a list"),
            ({"Ref": ["Key"]}, "Ref takes a name"),
            ({"Ref": {"Ref": "Key"}}, "Ref takes a name"),
        ],
    )
    def test_what_cannot_be_known_says_why(self, written: Any, reason: str) -> None:
        found = _evaluation().value(written)
        assert isinstance(found, Unknown)
        assert reason in found.reason

    def test_a_reference_to_a_resource_keeps_its_name(self) -> None:
        worked = _evaluation().value({"A": ref("Key"), "B": att("Key", "Arn"), "C": {"Fn::GetAtt": "Key.Arn"}})
        assert {one.target for one in worked.values()} == {"Key"}


class TestCondition:
    def test_conditions_that_can_be_decided_are(self) -> None:
        evaluation = _evaluation()
        assert evaluation.condition("Small") is True
        assert evaluation.condition("Large") is False

    def test_one_known_part_can_decide_beside_an_unknown_one(self) -> None:
        evaluation = _evaluation()
        assert evaluation.condition("SmallOrMail") is True
        assert evaluation.condition("LargeAndMail") is False
        assert isinstance(evaluation.condition("SmallAndMail"), Unknown)

    @pytest.mark.parametrize("name", ["Round", "Missing", 7])
    def test_a_condition_that_makes_no_sense_is_unknown(self, name: object) -> None:
        assert isinstance(_evaluation().condition(name), Unknown)
