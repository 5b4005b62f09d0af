"""In which order CloudFormation creates the resources of a template."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from hostemr.operate.references import arguments, references
from hostemr.operate.template import InvalidTemplate, Template, resources, transformed
from hostemr.operate.waves import waves

_PSEUDO = frozenset(
    f"AWS::{name}"
    for name in ("AccountId", "NotificationARNs", "NoValue", "Partition", "Region", "StackId", "StackName", "URLSuffix")
)


def creation_order(template: Template) -> list[tuple[str, ...]]:
    """The logical ids in waves: a wave is created after all earlier ones, and its members at the same time.

    A resource comes after all that it names by Ref, Fn::GetAtt, Fn::Sub or DependsOn. Both branches of an Fn::If
    count, so that the order is right whatever the conditions are. Raises InvalidTemplate with every reference to
    nothing, and with the path of a cycle.
    """
    declared = resources(template)
    problems = [] if transformed(template) else list(_dangling(template, declared))
    needed = {name: needs(name, resource) & declared.keys() for name, resource in declared.items()}
    order, cycle = waves(needed)
    selfish = sorted(name for name, resource in declared.items() if name in _named(resource))
    problems += [f"{name} refers to itself" for name in selfish]
    if cycle:
        problems.append(f"circular dependency: {' -> '.join(cycle)} (each needs the next)")
    if problems:
        raise InvalidTemplate(problems, hint="CloudFormation refuses such a template")
    return order


def needs(name: str, resource: Mapping[str, Any]) -> set[str]:
    """What CloudFormation makes before the resource `name`; parameters are among it."""
    return _named(resource) - {name}


def _named(resource: Mapping[str, Any]) -> set[str]:
    """What a resource names: in any of its attributes, for policies and metadata refer to resources as well."""
    found = {reference.target for key, value in resource.items() if key != "Type" for reference in references(value)}
    return found | set(_depends_on(resource))


def _depends_on(resource: Mapping[str, Any]) -> list[str]:
    value = resource.get("DependsOn", [])
    return [value] if isinstance(value, str) else [name for name in value if isinstance(name, str)]


def _dangling(template: Template, declared: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """One line for each reference to nothing. A transform adds names, so then nothing can be told."""
    parameters, conditions = (template.get(section) or {} for section in ("Parameters", "Conditions"))
    for name, resource in declared.items():
        body = {key: value for key, value in resource.items() if key != "Type"}
        yield from _unknown_names(body, f"Resources.{name}", {*declared, *parameters, *_PSEUDO}, declared)
        for wanted in _depends_on(resource):
            if wanted not in declared:
                yield f"Resources.{name}.DependsOn names {wanted}, which is no resource"
        condition = resource.get("Condition")
        if condition is not None and condition not in conditions:
            yield f"Resources.{name}.Condition names {condition}, which is no condition"
    outputs = template.get("Outputs") or {}
    yield from _unknown_names(outputs, "Outputs", {*declared, *parameters, *_PSEUDO}, declared)
    yield from _unknown_names(conditions, "Conditions", {*parameters, *_PSEUDO}, ())
    for used in arguments(conditions, "Condition"):
        if not isinstance(used, str) or used not in conditions:
            yield f"Conditions names {used}, which is no condition"
    yield from _unknown_first(template, "Fn::If", conditions, "condition")
    yield from _unknown_first(template, "Fn::FindInMap", template.get("Mappings") or {}, "mapping")


def _unknown_first(template: Template, function: str, known: Collection[str], what: str) -> Iterator[str]:
    """One line for each name that a function's first argument gives to nothing."""
    firsts = (used[0] for used in arguments(template, function) if isinstance(used, list) and used)
    for name in dict.fromkeys(first for first in firsts if isinstance(first, str)):
        if name not in known:
            yield f"{function} names {name}, which is no {what}"


def _unknown_names(body: Any, place: str, known: Collection[str], declared: Collection[str]) -> Iterator[str]:
    lines = []
    for reference in references(body):
        if reference.target not in (known if reference.attribute is None else declared):
            wanted = reference.target if reference.attribute is None else f"{reference.target}.{reference.attribute}"
            where = place + reference.pointer.replace("/", ".")
            lines.append(f"{where} refers to {wanted}, which is nothing in this template")
    yield from dict.fromkeys(lines)
