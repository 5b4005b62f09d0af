"""Stacks that use each other's outputs."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.operate.stacks import ExportConflict, export_conflicts, stack_order
from hostemr.operate.template import InvalidTemplate
from tests.operate.templates import att, ref, resource, sub, template


def exporting(name: Any, value: Any = "value", **properties: Any) -> dict[str, Any]:
    resources = {"Key": resource("AWS::EFS::FileSystem", **properties)}
    return template(resources, Outputs={"Out": {"Value": value, "Export": {"Name": name}}})


def importing(name: Any, **sections: Any) -> dict[str, Any]:
    return template({"User": resource("AWS::SNS::Topic", DisplayName={"Fn::ImportValue": name})}, **sections)


def problems(templates: dict[str, Any], **others: Any) -> list[str]:
    with pytest.raises(InvalidTemplate) as raised:
        stack_order(templates, **others)
    return list(raised.value.problems)


def test_an_importer_comes_after_its_exporter() -> None:
    stacks = {"a-service": importing("vpc"), "b-data": exporting("vpc"), "c-other": exporting("other")}
    assert stack_order(stacks) == [("b-data", "c-other"), ("a-service",)]


DATA = [sub("${AWS::StackName}-vpc"), {"Fn::Join": ["-", [ref("AWS::StackName"), "vpc"]]}, "data-vpc"]


@pytest.mark.parametrize("export", DATA)
@pytest.mark.parametrize(
    "wanted",
    [
        "data-vpc",
        sub("${Data}-vpc"),
        sub("${Own}-vpc", {"Own": ref("Data")}),
        sub("${Unset}-vpc"),
        {"Fn::Join": ["", [ref("Data"), "-vpc"]]},
    ],
)
def test_names_are_worked_out_as_far_as_possible(export: Any, wanted: Any) -> None:
    parameters = {"Data": {"Type": "String", "Default": "data"}, "Unset": {"Type": "String"}}
    stacks = {"service": importing(wanted, Parameters=parameters), "data": exporting(export)}
    assert stack_order(stacks) == [("data",), ("service",)]


def test_region_and_account_are_the_same_in_both() -> None:
    name = sub("${AWS::Region}-${AWS::AccountId}-vpc")
    assert stack_order({"service": importing(name), "data": exporting(name)}) == [("data",), ("service",)]


def test_an_import_that_nothing_exports_is_named_unless_it_is_from_outside() -> None:
    assert problems({"service": importing("vpc"), "data": exporting("other")}) == [
        "service imports vpc, which no stack exports"
    ]
    assert stack_order({"service": importing("vpc")}, outside=["vpc"]) == [("service",)]


def test_an_unknown_name_matches_only_what_it_can_be() -> None:
    wanted = importing(sub("${Unset}-vpc"), Parameters={"Unset": {"Type": "String"}})
    assert problems({"service": wanted, "data": exporting("vpc-of-data")}) == [
        "service imports …-vpc, which no stack exports"
    ]


def test_stacks_in_a_circle_are_named_with_the_path() -> None:
    one, two = exporting("a"), exporting("b")
    one["Resources"] |= importing("b")["Resources"]
    two["Resources"] |= importing("a")["Resources"]
    assert problems({"one": one, "two": two}) == [
        "circular dependency of stacks: one -> two -> one (each needs the next)"
    ]


def test_a_name_that_two_stacks_export_is_refused() -> None:
    assert problems({"one": exporting("a"), "two": exporting("a")}) == ["a is exported by one and two"]


def test_a_stack_cannot_import_from_itself() -> None:
    alone = exporting("a")
    alone["Resources"] |= importing("a")["Resources"]
    assert problems({"one": alone}) == ["one imports a, which it exports itself"]


def test_a_weak_reference_makes_an_order_and_needs_the_output() -> None:
    def reading(output: str, **more: str) -> dict[str, Any]:
        value = {"Fn::GetStackOutput": {"StackName": "data", "OutputName": output, **more}}
        return template({"User": resource("AWS::SNS::Topic", DisplayName=value)})

    assert stack_order({"a": reading("Out"), "data": exporting("x")}) == [("data",), ("a",)]
    assert stack_order({"a": reading("Out", Region="eu-west-1"), "data": exporting("x")}) == [("a", "data")]
    assert problems({"a": reading("No"), "data": exporting("x")}) == [
        "a reads the output No of data, which has none of that name"
    ]


def test_an_export_that_goes_while_it_is_imported_is_a_conflict() -> None:
    before = {"data": exporting("vpc"), "service": importing("vpc")}
    gone = {"data": exporting("other"), "service": importing("vpc")}
    assert export_conflicts(before, gone) == [ExportConflict("vpc", "data", "service", "removed", freed=False)]
    freed = {"data": exporting("other"), "service": importing("other")}
    assert export_conflicts(before, freed) == [ExportConflict("vpc", "data", "service", "removed", freed=True)]
    assert export_conflicts(before, {"service": importing("vpc")})[0].change == "removed"
    assert export_conflicts(before, before) == []
    assert export_conflicts({"data": exporting("vpc")}, {"data": exporting("other")}) == []


def test_an_exported_value_that_changes_is_a_conflict_also_by_replacement() -> None:
    before = {"data": exporting("key", att("Key", "Arn"), KmsKeyId="a"), "service": importing("key")}
    text = {**before, "data": exporting("key", ref("Key"), KmsKeyId="a")}
    replaced = {**before, "data": exporting("key", att("Key", "Arn"), KmsKeyId="b")}
    updated = {**before, "data": exporting("key", att("Key", "Arn"), KmsKeyId="a", ThroughputMode="elastic")}
    assert [conflict.change for conflict in export_conflicts(before, text)] == ["changed"]
    assert [conflict.change for conflict in export_conflicts(before, replaced)] == [
        "changed, for what it names is replaced"
    ]
    assert export_conflicts(before, updated) == []
