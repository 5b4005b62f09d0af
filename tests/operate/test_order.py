"""The order of creation: every reference counts, and what cannot be ordered is named."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostemr.operate.order import creation_order
from hostemr.operate.template import InvalidTemplate
from tests.operate.templates import att, choose, database_stack, ref, resource, sub, template

USES: list[Callable[[str], Any]] = [
    ref,
    lambda name: att(name, "Arn"),
    lambda name: sub(f"a-${{{name}}}"),
    lambda name: sub(f"${{{name}.Arn}}"),
]


def problems(of: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidTemplate) as raised:
        creation_order(of)
    return list(raised.value.problems)


def test_a_data_stack_is_created_from_the_network_up() -> None:
    assert creation_order(database_stack()) == [
        ("Key", "Vpc"),
        ("Files", "SubnetA", "SubnetB"),
        ("Subnets",),
        ("Cluster",),
        ("Writer",),
    ]


@pytest.mark.parametrize(
    "value",
    [
        ref("A"),
        att("A", "Arn"),
        {"Fn::GetAtt": "A.Arn"},
        sub("${A}"),
        sub("x-${ A }-${AWS::Region}"),
        sub("${A.Arn}"),
        sub("${Own}", {"Own": ref("A")}),
        choose("C", ref("A"), "b"),
        choose("C", "b", [{"Deep": ref("A")}]),
        {"Fn::Join": ["", ["x", {"Fn::Select": [0, [ref("A")]]}]]},
        {"Fn::GetAtt": ["B", sub("${A}")]},
    ],
)
def test_every_way_to_refer_makes_an_order(value: Any) -> None:
    resources = {"Z": resource("X::Y::Z", Value=value), "A": resource("X::Y::Z"), "B": resource("X::Y::Z")}
    order = creation_order(template(resources, Conditions={"C": {"Fn::Equals": ["1", "1"]}}))
    assert "Z" in order[1]
    assert "A" in order[0]


@pytest.mark.parametrize("wanted", ["A", ["A", "B"]])
def test_depends_on_makes_an_order(wanted: Any) -> None:
    resources = {
        "Z": resource("X::Y::Z", attributes={"DependsOn": wanted}),
        "A": resource("X::Y::Z"),
        "B": resource("X::Y::Z"),
    }
    assert creation_order(template(resources)) == [("A", "B"), ("Z",)]


@pytest.mark.parametrize("value", [sub("${!A}"), sub("${A}", {"A": "own"}), "A", "${A}", {"Name": "A"}])
def test_literals_and_local_variables_make_no_order(value: Any) -> None:
    resources = {"Z": resource("X::Y::Z", Value=value), "A": resource("X::Y::Z")}
    assert creation_order(template(resources)) == [("A", "Z")]


def test_a_circle_is_named_with_its_path() -> None:
    found = problems(
        template(
            {
                "Free": resource("X::Y::Z"),
                "A": resource("X::Y::Z", Value=ref("B")),
                "B": resource("X::Y::Z", Value=sub("${C.Arn}")),
                "C": resource("X::Y::Z", attributes={"DependsOn": "A"}),
                "User": resource("X::Y::Z", Value=ref("A")),
            }
        )
    )
    assert found == ["circular dependency: A -> B -> C -> A (each needs the next)"]


def test_a_resource_that_refers_to_itself_is_named() -> None:
    assert problems(template({"A": resource("X::Y::Z", Value=att("A", "Arn"))})) == ["A refers to itself"]


def test_every_reference_to_nothing_is_named_at_once() -> None:
    found = problems(
        template(
            {
                "A": resource(
                    "X::Y::Z",
                    attributes={"DependsOn": ["Gone"], "Condition": "Never"},
                    One=[ref("None1")],
                    Two={"Deep": att("P", "Arn")},
                    Three=sub("${None3}${None4.Arn}${AWS::Region}${P}"),
                    Four=choose("Nowhere", "a", "b"),
                    Five={"Fn::FindInMap": ["NoMap", "a", "b"]},
                    Six=ref("AWS::Nonsense"),
                ),
            },
            Parameters={"P": {"Type": "String"}},
            Conditions={"C": {"Fn::Not": [{"Condition": "Missing"}]}, "D": {"Fn::Equals": [ref("A"), "a"]}},
            Outputs={"O": {"Value": ref("None5")}},
        )
    )
    for name in ("None1", "P.Arn", "None3", "None4.Arn", "Gone", "Never", "Nowhere", "NoMap", "AWS::Nonsense"):
        assert len([line for line in found if name in line]) == 1, name
    assert "Resources.A.Properties.One.* refers to None1, which is nothing in this template" in found
    assert "Outputs.O.Value refers to None5, which is nothing in this template" in found
    assert "Conditions.D.Fn::Equals refers to A, which is nothing in this template" not in found
    assert "Conditions names Missing, which is no condition" in found
    assert any(line.startswith("Conditions.D refers to A") for line in found)
    assert len(found) == 12


def test_a_transform_may_add_what_is_referred_to() -> None:
    resources = {"A": resource("X::Y::Z", Value=ref("FunctionRole"))}
    assert creation_order(template(resources, Transform="AWS::Serverless-2016-10-31")) == [("A",)]


GRAPHS = st.integers(2, 12).flatmap(
    lambda size: st.tuples(
        st.permutations([f"R{number}" for number in range(size)]),
        st.lists(
            st.tuples(st.integers(0, size - 1), st.integers(0, size - 1), st.integers(0, 4)).filter(
                lambda edge: edge[0] < edge[1]
            ),
            max_size=30,
        ),
    )
)


def stack_of(names: list[str], edges: list[tuple[int, int, int]]) -> dict[str, Any]:
    """Resources of which a later one refers to an earlier one, each in one of five ways."""
    resources: dict[str, Any] = {name: resource("X::Y::Z", Values=[]) for name in sorted(names)}
    for earlier, later, way in edges:
        user = resources[names[later]]
        if way < len(USES):
            user["Properties"]["Values"].append(USES[way](names[earlier]))
        else:
            user.setdefault("DependsOn", []).append(names[earlier])
    return template(resources)


@given(GRAPHS)
def test_the_order_respects_every_edge_and_has_every_resource_once(graph: tuple[list[str], Any]) -> None:
    names, edges = graph
    order = creation_order(stack_of(names, edges))
    wave = {name: number for number, members in enumerate(order) for name in members}
    assert sorted(name for members in order for name in members) == sorted(names)
    for earlier, later, _ in edges:
        assert wave[names[earlier]] < wave[names[later]]
    for name, number in wave.items():
        needs = [wave[names[earlier]] for earlier, later, _ in edges if names[later] == name]
        assert number == max(needs, default=-1) + 1


@given(GRAPHS, st.data())
def test_a_back_edge_is_always_found_and_its_path_is_one(graph: tuple[list[str], Any], data: st.DataObject) -> None:
    names, edges = graph
    chain = [(number, number + 1, 0) for number in range(len(names) - 1)]
    first = data.draw(st.integers(0, len(names) - 2))
    last = data.draw(st.integers(first + 1, len(names) - 1))
    of = stack_of(names, [*edges, *chain])
    of["Resources"][names[first]]["Properties"]["Values"].append(ref(names[last]))
    [line] = problems(of)
    path = line.removeprefix("circular dependency: ").removesuffix(" (each needs the next)").split(" -> ")
    assert path[0] == path[-1]
    needs = {(names[later], names[earlier]) for earlier, later, _ in [*edges, *chain]} | {(names[first], names[last])}
    assert all(step in needs for step in pairwise(path))
