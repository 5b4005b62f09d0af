"""The templates that stand between one pair and the other, made of hostemr's own."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from hostemr.deployment.outputs import export_name, stack_names
from hostemr.errors import RefusedError
from hostemr.operate.changes import compare
from hostemr.operate.order import creation_order
from hostemr.operate.recovery.files_task import WANTED
from hostemr.operate.recovery.rewriting import with_pair, without_imports, without_pair
from hostemr.operate.recovery.switching import _IDENTIFIERS, EXPORTS
from hostemr.operate.stacks import export_conflicts, stack_order
from hostemr.operate.stateful import STATEFUL
from tests.operate.templates import KEEP, att, ref, resource, sub, template
from tests.stacks.synthesis import synthesize

CONFIGURATIONS: list[tuple[str, dict[str, Any]]] = [
    ("openemr", {}),
    ("openemr", {"size": "trial"}),
    ("openmrs", {}),
]


def pair_of(data: Any) -> list[str]:
    return [
        name
        for name, one in data["Resources"].items()
        if one["Type"] in _IDENTIFIERS and one.get("DeletionPolicy") == "Retain"
    ]


@pytest.fixture(params=CONFIGURATIONS, ids=lambda given: f"{given[0]} {given[1].get('size', '')}")
def stacks(request: pytest.FixtureRequest) -> tuple[str, Any, Any]:
    application, context = request.param
    made = synthesize(context, application)
    return application, made.templates.data, made.templates.service


def reduced(data: Any) -> dict[str, Any]:
    names = pair_of(data)
    attributes = {}
    for name in names:
        for attribute in ("Endpoint.Address", "MasterUserSecret.SecretArn", "Arn"):
            attributes[f"{name}.{attribute}"] = f"value of {attribute}"
    return without_pair(data, {name: f"new-{name}" for name in names}, attributes)


def test_the_pair_can_be_taken_out_of_every_data_stack_and_nothing_refers_to_it(stacks: tuple[str, Any, Any]) -> None:
    _, data, _ = stacks
    left = reduced(data)
    text = json.dumps(left)
    for name in pair_of(data):
        assert name not in left["Resources"]
        assert f'"{name}"' not in text
        assert f"new-{name}" in text or data["Resources"][name]["Type"] not in {
            "AWS::RDS::DBCluster",
            "AWS::EFS::FileSystem",
            "AWS::EFS::AccessPoint",
        }


def test_what_changes_with_the_pair_holds_no_data(stacks: tuple[str, Any, Any]) -> None:
    _, data, _ = stacks
    left = reduced(data)
    changed = {name: one for name, one in left["Resources"].items() if one != data["Resources"][name]}
    kinds = {one["Type"] for one in changed.values()}
    assert kinds <= {"AWS::RDS::DBInstance", "AWS::Backup::BackupSelection", "AWS::Backup::RestoreTestingSelection"}
    stateful = {name for name, one in changed.items() if one["Type"] in STATEFUL}
    # The reader: CloudFormation makes another, in the new cluster.
    assert stateful == {name for name in changed if "Reader" in name}
    assert "AWS::Backup::BackupSelection" in kinds, "the plan selects the new pair from the first update on"


def test_the_pair_put_in_again_is_the_import_that_cloudformation_wants(stacks: tuple[str, Any, Any]) -> None:
    _, data, _ = stacks
    left, names = reduced(data), pair_of(data)
    whole = with_pair(left, data, names)
    assert {name: one for name, one in whole["Resources"].items() if name not in names} == left["Resources"]
    assert whole["Outputs"] == left["Outputs"], "an import may change no output"
    assert all("DeletionPolicy" in whole["Resources"][name] for name in names)
    assert set(whole["Resources"]) == set(data["Resources"])


def test_the_service_stack_imports_exactly_these_of_the_pair(stacks: tuple[str, Any, Any]) -> None:
    application, data, service = stacks
    name, _ = stack_names(application)
    values = {export_name(name, one): f"literal {one}" for one in EXPORTS}
    changed = json.dumps(without_imports(service, values))
    for export, value in values.items():
        assert json.dumps({"Fn::ImportValue": export}) not in changed
        # Without alarms the service stack does not need the cluster's id.
        assert (value in changed) == (export in json.dumps(service))
    outputs = json.dumps(data["Outputs"])
    of_pair = {
        one["Export"]["Name"]
        for one in data["Outputs"].values()
        if "Export" in one and any(f'"{logical}"' in json.dumps(one["Value"]) for logical in pair_of(data))
    }
    assert of_pair == set(values), outputs


def literal_service(application: str, service: Any) -> dict[str, Any]:
    name, _ = stack_names(application)
    return without_imports(service, {export_name(name, one): f"new-{one}" for one in EXPORTS})


def test_every_template_between_the_pairs_is_one_that_cloudformation_takes(stacks: tuple[str, Any, Any]) -> None:
    application, data, service = stacks
    data_name, service_name = stack_names(application)
    left, pointed = reduced(data), literal_service(application, service)
    whole = with_pair(left, data, pair_of(data))
    stages = [(data, service), (data, pointed), (left, pointed), (whole, pointed), (data, pointed), (data, service)]
    for before, after in pairwise(stages):
        deployed, wanted = ({data_name: one, service_name: other} for one, other in (before, after))
        assert export_conflicts(deployed, wanted) == []
        assert stack_order(wanted) == [(data_name,), (service_name,)]
        for one in after:
            # Raises where something refers to what is not there, or in a circle.
            assert {name for wave in creation_order(one) for name in wave} == set(one["Resources"])
        # One stack at a time, and nothing is made anew but the reader and what holds no data.
        assert (before[0] is after[0]) or (before[1] is after[1])


def test_the_setup_task_runs_against_the_new_pair_and_the_tasks_wait_for_it(stacks: tuple[str, Any, Any]) -> None:
    application, _, service = stacks
    changes = {one.logical_id: one for one in compare(service, literal_service(application, service))}
    [done] = [name for name, one in service["Resources"].items() if one["Type"] == "Custom::Setup"]
    assert done in changes, "else it would not run, and nobody would refuse half a pair"
    [tasks] = [one for one in service["Resources"].values() if one["Type"] == "AWS::ECS::Service"]
    assert done in tasks["DependsOn"]
    stateful = {name for name, one in changes.items() if service["Resources"][name]["Type"] in STATEFUL}
    assert stateful == set()


def test_cloudformation_takes_these_types_in_by_these_identifiers() -> None:
    for kind, identifier in _IDENTIFIERS.items():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        assert schema["primaryIdentifier"] == [f"/properties/{identifier}"]
        assert {"read", "list"} <= set(schema["handlers"])


def test_the_access_points_directory_is_what_the_files_task_moves(stacks: tuple[str, Any, Any]) -> None:
    application, data, _ = stacks
    [point] = [one for one in data["Resources"].values() if one["Type"] == "AWS::EFS::AccessPoint"]
    path = point["Properties"]["RootDirectory"]["Path"]
    assert path.count("/") == 1
    assert len(path) > 1
    assert application in WANTED


def small(**more: Any) -> dict[str, Any]:
    return template({"Cluster": resource("AWS::RDS::DBCluster", attributes=KEEP), **more})


def test_a_resource_that_would_be_deleted_is_refused() -> None:
    with pytest.raises(RefusedError, match="would delete Cluster"):
        without_pair(template({"Cluster": resource("AWS::RDS::DBCluster")}), {"Cluster": "new"}, {})


@pytest.mark.parametrize(
    "value", [att("Cluster", "Port"), {"Fn::GetAtt": "Cluster.Port"}, sub("${Cluster}"), sub("${Cluster.Port}")]
)
def test_a_reference_without_a_known_value_is_refused(value: Any) -> None:
    with pytest.raises(RefusedError, match="Cluster"):
        without_pair(small(Topic=resource("AWS::SNS::Topic", DisplayName=value)), {"Cluster": "new"}, {})


def test_dependences_on_the_pair_go_and_others_stay() -> None:
    topic = resource("AWS::SNS::Topic", attributes={"DependsOn": ["Cluster", "Other"]})
    other = resource("AWS::SNS::Topic", attributes={"DependsOn": "Cluster"}, DisplayName=ref("Cluster"))
    found = without_pair(small(Topic=topic, Other=other), {"Cluster": "new"}, {})["Resources"]
    assert found["Topic"]["DependsOn"] == ["Other"]
    assert "DependsOn" not in found["Other"]
    assert found["Other"]["Properties"] == {"DisplayName": "new"}


def test_a_stack_that_imports_nothing_of_the_pair_is_not_a_service_stack() -> None:
    with pytest.raises(RefusedError, match="imports none of"):
        without_imports(small(), {"x:Y": "z"})
