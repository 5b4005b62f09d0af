"""Stacks that use each other's outputs: in which order they are made, and what an update would be refused for.

The rules are those of the CloudFormation Template Reference, "Fn::ImportValue" and "Fn::GetStackOutput". All
templates are taken to be deployed to one account and region.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hostemr.operate.changes import Kind, compare
from hostemr.operate.exports import Names, may_be, shown
from hostemr.operate.references import arguments, references
from hostemr.operate.template import InvalidTemplate, Template, canonical
from hostemr.operate.texts import UNKNOWN
from hostemr.operate.waves import waves


@dataclass(frozen=True, slots=True)
class ExportConflict:
    """An export that goes away, or gets another value, while another stack imports it: CloudFormation refuses that.

    `freed` says that the importer's new template does without it: update the importer first, then the exporter.
    """

    export: str
    exporter: str
    importer: str
    change: str
    freed: bool


def stack_order(templates: Mapping[str, Template], *, outside: Collection[str] = ()) -> list[tuple[str, ...]]:
    """The stacks, by name, in waves: a wave is deployed after all earlier ones.

    `outside` are exports of stacks that are not among the templates. A name that depends on a parameter without a
    default is matched by what is known of it. Raises InvalidTemplate with every import that nothing exports, every
    export that two stacks have, and the path of a cycle.
    """
    exports = {name: Names(name, template).exports() for name, template in templates.items()}
    problems = list(_twice(exports))
    needs: dict[str, set[str]] = {name: set() for name in templates}
    for name, template in templates.items():
        for wanted in Names(name, template).imports():
            makers = {maker for maker, names in exports.items() if any(may_be(wanted, known) for known in names)}
            needs[name] |= makers - {name}
            if name in makers:
                problems.append(f"{name} imports {shown(wanted)}, which it exports itself")
            if not makers and not any(may_be(wanted, known) for known in outside):
                problems.append(f"{name} imports {shown(wanted)}, which no stack exports")
        for stack, output in _weak_references(name, template):
            if stack in templates:
                needs[name] |= {stack} - {name}
                if output is not None and output not in (templates[stack].get("Outputs") or {}):
                    problems.append(f"{name} reads the output {output} of {stack}, which has none of that name")
    order, cycle = waves(needs)
    if cycle:
        problems.append(f"circular dependency of stacks: {' -> '.join(cycle)} (each needs the next)")
    if problems:
        raise InvalidTemplate(problems, hint="CloudFormation could not deploy these stacks")
    return order


def export_conflicts(before: Mapping[str, Template], after: Mapping[str, Template]) -> list[ExportConflict]:
    """The exports that change or go while a deployed stack imports them; `before` is what is deployed."""
    conflicts = []
    for exporter, template in before.items():
        old, new = Names(exporter, template).exports(), Names(exporter, after.get(exporter, {})).exports()
        moved = _moved(template, after.get(exporter, {}))
        for export, value in old.items():
            if export not in new:
                change = "removed"
            elif canonical(new[export]) != canonical(value):
                change = "changed"
            elif any(found.target in moved for found in references(value)):
                change = "changed, for what it names is replaced"
            else:
                continue
            conflicts += [
                ExportConflict(shown(export), exporter, importer, change, freed)
                for importer, freed in _importers(export, exporter, before, after)
            ]
    return conflicts


def _importers(
    export: str, exporter: str, before: Mapping[str, Template], after: Mapping[str, Template]
) -> Iterator[tuple[str, bool]]:
    for importer, template in before.items():
        if importer != exporter and any(may_be(name, export) for name in Names(importer, template).imports()):
            still = any(may_be(name, export) for name in Names(importer, after.get(importer, {})).imports())
            yield importer, not still


def _moved(before: Template, after: Template) -> set[str]:
    """The resources whose ids will be others."""
    moving = {Kind.REPLACED, Kind.MAY_BE_REPLACED, Kind.REMOVED, Kind.MAY_BE_REMOVED}
    return {change.logical_id for change in compare(before, after) if change.kind in moving}


def _weak_references(stack: str, template: Template) -> Iterator[tuple[str, str | None]]:
    for argument in arguments(template, "Fn::GetStackOutput"):
        if isinstance(argument, Mapping) and not {"Region", "RoleArn"} & argument.keys():
            output = argument.get("OutputName")
            yield Names(stack, template).name(argument.get("StackName")), output if isinstance(output, str) else None


def _twice(exports: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    makers: dict[str, list[str]] = {}
    for stack, names in exports.items():
        for name in names:
            makers.setdefault(name, []).append(stack)
    for name, stacks in makers.items():
        if len(stacks) > 1 and UNKNOWN not in name:
            yield f"{shown(name)} is exported by {' and '.join(sorted(stacks))}"
