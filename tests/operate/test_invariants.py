"""What holds for every pair of templates, and how long it takes."""

from __future__ import annotations

import copy
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hostemr.operate.changes import Kind, compare, harm
from hostemr.operate.order import creation_order
from hostemr.operate.stateful import STATEFUL
from tests.operate.templates import NO_VALUE, att, choose, ref, resource, sub, template

SLOWEST = 0.3
"""Seconds for one comparison, schemas loaded; the best of three, of a computer that is busy with other things."""

IDS = [f"R{number}" for number in range(6)]
TYPES = [
    "AWS::EC2::VPC",
    "AWS::EC2::Subnet",
    "AWS::RDS::DBCluster",
    "AWS::S3::Bucket",
    "AWS::KMS::Key",
    "AWS::ElastiCache::ServerlessCache",
    "Custom::Thing",
    "My::Own::Type",
    "AWS::CloudFormation::Stack",
]
NAMES = ["CidrBlock", "VpcId", "KmsKeyId", "BucketName", "Tags", "SubnetIds", "ServiceToken", "DeletionProtection"]

leaves = (
    st.sampled_from(["a", "b", 1, True, NO_VALUE, ref("P")])
    | st.sampled_from(IDS).map(ref)
    | st.sampled_from(IDS).map(lambda name: att(name, "Arn"))
    | st.sampled_from(IDS).map(lambda name: sub(f"x-${{{name}.Some}}"))
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
        | st.tuples(st.sampled_from(["C", "D"]), inner, inner).map(lambda parts: choose(*parts))
    ),
    max_leaves=6,
)
attributes = st.fixed_dictionaries(
    {},
    optional={
        "DeletionPolicy": st.sampled_from(["Retain", "Delete", "Snapshot"]),
        "UpdateReplacePolicy": st.sampled_from(["Retain", "Delete"]),
        "Condition": st.sampled_from(["C", "D"]),
        "Metadata": st.just({"a": "b"}),
    },
)
one_resource = st.builds(
    lambda type_name, properties, others: {"Type": type_name, "Properties": properties, **others},
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=4),
    attributes,
)
templates = st.builds(
    lambda resources, default, right: {
        "Parameters": {"P": {"Type": "String", "Default": default}},
        "Conditions": {"C": {"Fn::Equals": [ref("P"), right]}, "D": {"Fn::Not": [{"Condition": "C"}]}},
        "Resources": resources,
    },
    st.dictionaries(st.sampled_from(IDS), one_resource, min_size=1),
    st.sampled_from(["1", "2"]),
    st.sampled_from(["1", "2"]),
)


@given(templates)
def test_a_template_does_not_differ_from_itself(one: dict[str, Any]) -> None:
    assert compare(one, copy.deepcopy(one)) == []


@given(templates, templates)
def test_every_resource_is_reported_at_most_once_and_what_comes_and_goes_always(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    found = compare(before, after)
    ids = [change.logical_id for change in found]
    assert len(ids) == len(set(ids))
    old, new = before["Resources"].keys(), after["Resources"].keys()
    assert {change.logical_id for change in found if change.kind is Kind.ADDED} == new - old
    assert {change.logical_id for change in found if change.kind is Kind.REMOVED} == old - new


@given(templates, templates)
def test_templates_stay_as_they_were_and_the_answer_is_always_the_same(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    copies = copy.deepcopy(before), copy.deepcopy(after)
    assert compare(before, after) == compare(*copies)
    assert (before, after) == copies


@given(templates, templates)
def test_a_change_of_literal_text_is_never_silent(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Give every resource a property that differs: all that stay must be reported."""
    for number, of in enumerate((before, after)):
        for entry in of["Resources"].values():
            entry["Properties"]["Description"] = f"text {number}"
    kept = before["Resources"].keys() & after["Resources"].keys()
    assert kept <= {change.logical_id for change in compare(before, after)}


@given(templates, templates)
def test_harm_is_only_of_what_holds_something(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert all(before["Resources"][change.logical_id]["Type"] in STATEFUL for change in harm(compare(before, after)))


def test_a_large_template_is_compared_and_ordered_at_once() -> None:
    def stack(cidr: str) -> dict[str, Any]:
        many: dict[str, Any] = {"Vpc": resource("AWS::EC2::VPC", CidrBlock=cidr)}
        for number in range(50):
            many[f"Subnet{number}"] = resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock=f"10.0.{number}.0/24")
            many[f"Group{number}"] = resource(
                "AWS::EC2::SecurityGroup", VpcId=ref("Vpc"), GroupDescription=sub(f"of ${{Subnet{number}}}")
            )
            many[f"Task{number}"] = resource(
                "AWS::ECS::TaskDefinition",
                ContainerDefinitions=[{"Name": "a", "Environment": [{"Name": str(n), "Value": n} for n in range(30)]}],
                Family=ref(f"Group{number}"),
            )
        return template(many)

    before, after = stack("10.0.0.0/16"), stack("10.1.0.0/16")
    assert len(compare(before, after)) == len(before["Resources"]) == 151
    spent = []
    for _ in range(3):
        # Of this process alone: others may take the processors meanwhile.
        start = time.process_time()
        compare(before, after)
        creation_order(after)
        spent.append(time.process_time() - start)
    assert min(spent) < SLOWEST
