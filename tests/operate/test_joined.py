"""Several templates read as one."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.operate.joined import Joined, Node
from tests.operate.templates import NO_VALUE, att, choose, ref, resource, sub, template

SIZES: dict[str, Any] = {
    "Parameters": {"Size": {"Type": "String", "Default": "small"}, "Asked": {"Type": "String"}},
    "Conditions": {
        "Small": {"Fn::Equals": [ref("Size"), "small"]},
        "Wanted": {"Fn::Equals": [ref("Asked"), "yes"]},
    },
}


def topic(name: Any, **attributes: Any) -> dict[str, Any]:
    return resource("AWS::SNS::Topic", attributes=attributes, DisplayName=name)


def exporting(value: Any, name: Any) -> dict[str, Any]:
    return {"Outputs": {"Out": {"Value": value, "Export": {"Name": name}}}}


def one_of(joined: Joined, name: str, stack: str = "s") -> Any:
    return joined.resources[Node(stack, name)]


@pytest.mark.parametrize(
    ("parameters", "made", "name"), [(None, True, "s"), ({"Size": "small"}, True, "s"), ({"Size": "large"}, False, "l")]
)
def test_parameters_decide_what_is_made_and_which_branch_holds(
    parameters: dict[str, str] | None, made: bool, name: str
) -> None:
    both = {"A": topic("a", Condition="Small"), "B": topic(choose("Small", "s", "l"))}
    joined = Joined({"s": template(both, **SIZES)}, parameters=parameters)
    assert (Node("s", "A") in joined.resources) is made
    assert joined.not_made == ([] if made else [Node("s", "A")])
    assert joined.text(one_of(joined, "B"), "DisplayName") == name


def test_what_a_parameter_without_a_value_decides_is_kept_with_both_sides() -> None:
    other = {"A": topic("a", Condition="Wanted"), "B": topic(choose("Wanted", ref("A"), NO_VALUE))}
    joined = Joined({"s": template(other, **SIZES)})
    assert one_of(joined, "B").raw("DisplayName") == choose("Wanted", ref("A"), NO_VALUE)
    assert [one.logical_id for one in joined.targets(one_of(joined, "B"))] == ["A"]
    assert joined.value(one_of(joined, "B"), "DisplayName") is None


def test_no_value_is_nothing() -> None:
    joined = Joined({"s": template({"A": resource("AWS::SNS::Topic", DisplayName=NO_VALUE, Tags=[NO_VALUE, 1])})})
    assert one_of(joined, "A").properties == {"Tags": [1]}


def test_imports_are_followed_over_several_stacks_in_the_order_of_the_list() -> None:
    joined = Joined(
        {
            "a": template({"T": topic("t")}, **exporting(ref("T"), sub("${AWS::StackName}-T"))),
            "b": template({"U": topic("u")}, **exporting({"Fn::ImportValue": "a-T"}, "b-T")),
            "s": template({"X": topic([{"Fn::ImportValue": "b-T"}, ref("Y")]), "Y": topic("y")}),
        }
    )
    assert [str(one.node) for one in joined.targets(one_of(joined, "X"), "DisplayName")] == ["a/T", "s/Y"]


def test_an_output_read_by_name_is_followed() -> None:
    joined = Joined(
        {
            "a": template({"T": topic("t")}, Outputs={"Out": {"Value": att("T", "TopicArn")}}),
            "s": template({"X": topic({"Fn::GetStackOutput": {"StackName": "a", "OutputName": "Out"}})}),
        }
    )
    [(node, reference)] = joined.references("s", one_of(joined, "X").properties)
    assert (node, reference.attribute) == (Node("a", "T"), "TopicArn")


def test_imports_in_a_circle_come_to_an_end() -> None:
    def importing(name: str) -> dict[str, str]:
        return {"Fn::ImportValue": name}

    joined = Joined(
        {
            "a": template({"T": topic(importing("y"))}, **exporting(importing("y"), "x")),
            "b": template({"U": topic("u")}, **exporting([importing("x"), ref("U")], "y")),
        }
    )
    assert [str(one.node) for one in joined.targets(one_of(joined, "T", "a"))] == ["b/U"]


def test_texts_are_written_as_far_as_they_are_known() -> None:
    joined = Joined({"s": template({"A": topic("a")}, **SIZES)}, region="eu-west-1")
    written = sub(
        "${AWS::StackName}/${AWS::Region}/${Size}/${Asked}/${A.TopicName}/${!Kept}/${Own}", {"Own": "${Size}"}
    )
    assert joined.written(one_of(joined, "A"), written) == "s/eu-west-1/small/…/…/${Kept}/${Size}"


@pytest.mark.parametrize(("value", "number"), [(3, 3), ("3", 3), (ref("Asked"), None), ("³", None), ("x", None)])
def test_a_number_is_whole_or_unknown(value: Any, number: int | None) -> None:
    joined = Joined({"s": template({"A": topic(value)}, **SIZES)})
    assert joined.number(one_of(joined, "A"), "DisplayName") == number


MISTAKES: list[Any] = [
    {"Ref": ["x"]},
    {"Fn::GetAtt": []},
    {"Fn::If": "x"},
    {"Fn::If": ["Small"]},
    {"Fn::Join": []},
    {"Fn::Sub": []},
    {"Fn::ImportValue": None},
    {"Fn::GetStackOutput": "x"},
    {"Fn::GetStackOutput": {"StackName": ["s"], "OutputName": ["Out"]}},
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_cloudformation_would_refuse_names_nothing(mistake: Any) -> None:
    joined = Joined({"s": template({"A": topic(mistake), "B": topic("b")}, **SIZES)})
    assert joined.targets(one_of(joined, "A")) == []
    assert joined.text(one_of(joined, "A"), "DisplayName") == ""
