"""Names of exports, and what outputs lead to."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.operate.exports import Exports, Names, may_be, shown
from hostemr.operate.texts import UNKNOWN
from tests.operate.templates import ref, resource, sub, template

PARAMETERS: dict[str, Any] = {
    "Parameters": {
        "Net": {"Type": "String", "Default": "net"},
        "Asked": {"Type": "String"},
        "Stored": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/the/name"},
    },
    "Mappings": {"Names": {"of": {"vpc": "vpc"}}},
}


def importing(*names: Any) -> dict[str, Any]:
    return template(
        {f"T{n}": resource("AWS::SNS::Topic", DisplayName={"Fn::ImportValue": name}) for n, name in enumerate(names)},
        **PARAMETERS,
    )


def exporting(*names: Any) -> dict[str, Any]:
    outputs = {f"Out{n}": {"Value": f"value {n}", "Export": {"Name": name}} for n, name in enumerate(names)}
    return template({"T": resource("AWS::SNS::Topic")}, **PARAMETERS, Outputs=outputs)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (sub("${AWS::StackName}-${Net}"), "s-net"),
        (sub("${AWS::Region}-${AWS::AccountId}"), "<Region>-<AccountId>"),
        (sub("${Asked}-vpc"), f"{UNKNOWN}-vpc"),
        (sub("${Stored}-vpc"), f"{UNKNOWN}-vpc"),  # its default is where the value is, not what it is
        ({"Fn::FindInMap": ["Names", "of", "vpc"]}, "vpc"),
        ({"Fn::Select": [1, ["a", "b"]]}, "b"),
        (3, "3"),
        (None, UNKNOWN),
    ],
)
def test_a_name_is_worked_out_as_far_as_it_is_known(value: Any, name: str) -> None:
    assert Names("s", template({}, **PARAMETERS)).name(value) == name


def test_a_given_parameter_counts_more_than_its_default() -> None:
    found = Exports({"a": exporting("mine-vpc", "net-vpc"), "s": importing()}, {"Net": "mine"})
    assert found.imported("s", sub("${Net}-vpc")) == ("a", "value 0")


def test_a_name_that_is_not_wholly_known_leads_somewhere_only_if_one_export_fits() -> None:
    found = Exports({"a": exporting("a-vpc", "a-subnet"), "b": exporting("b-vpc"), "s": importing()})
    assert found.imported("s", sub("${Asked}-subnet")) == ("a", "value 1")
    assert found.imported("s", sub("${Asked}-vpc")) is None
    assert found.imported("s", ref("Asked")) is None
    assert found.imported("s", "nothing") is None


def test_equal_unknown_names_are_the_same() -> None:
    found = Exports({"a": exporting(sub("${Asked}-vpc"), "other-vpc"), "s": importing()})
    assert found.imported("s", sub("${Asked}-vpc")) == ("a", "value 0")


def test_what_no_template_exports_is_missing_once_with_its_importers() -> None:
    found = Exports({"a": importing("x", "y", "x"), "b": importing("x", sub("${Asked}-z")), "c": exporting("y", "1-z")})
    assert found.missing() == {"x": ["a", "b"]}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a", "a", True),
        ("a", "b", False),
        (f"{UNKNOWN}-vpc", "data-vpc", True),
        ("data-vpc", f"{UNKNOWN}-vpc", True),
        (f"{UNKNOWN}-vpc", "-vpc", False),
        (f"{UNKNOWN}.vpc", "data-vpc", False),
    ],
)
def test_names_that_may_be_the_same(one: str, other: str, expected: bool) -> None:
    assert may_be(one, other) is expected


def test_a_person_sees_a_mark_for_what_is_unknown() -> None:
    assert (shown(f"{UNKNOWN}-vpc"), shown(f"{UNKNOWN}-vpc", "*")) == ("…-vpc", "*-vpc")
