"""Exports and imports of stacks: their names as far as they are known, and which of them can be the same.

The rules are those of the CloudFormation Template Reference, "Fn::ImportValue" and "Fn::GetStackOutput". All
templates are taken to be deployed to one account and region.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hostemr.operate.prices.evaluation import Evaluation
from hostemr.operate.references import arguments
from hostemr.operate.template import Template
from hostemr.operate.texts import UNKNOWN, StackTexts

_ANYWHERE = {f"AWS::{name}": f"<{name}>" for name in ("AccountId", "Partition", "Region", "URLSuffix")}
"""The same in every stack, so any text serves for comparison."""


class Names:
    """The names that one stack exports and imports, with UNKNOWN for what only the deployed stack knows."""

    def __init__(self, stack: str, template: Template, parameters: Mapping[str, str] | None = None) -> None:
        self._template = template
        self._texts = StackTexts(stack, Evaluation(template, parameters or {}, _ANYWHERE["AWS::Region"]), _ANYWHERE)

    def name(self, value: Any) -> str:
        """One name."""
        return self._texts.text(value)

    def exports(self) -> dict[str, Any]:
        """The values that the stack exports, by name."""
        found = {}
        for output in (self._template.get("Outputs") or {}).values():
            export = output.get("Export") if isinstance(output, Mapping) else None
            if isinstance(export, Mapping) and "Name" in export:
                found[self.name(export["Name"])] = output.get("Value")
        return found

    def imports(self) -> list[str]:
        """The names that the stack imports, each once."""
        return list(dict.fromkeys(self.name(argument) for argument in arguments(self._template, "Fn::ImportValue")))


class Exports:
    """What the outputs of several stacks lead to."""

    def __init__(self, templates: Mapping[str, Template], parameters: Mapping[str, str] | None = None) -> None:
        self._templates = templates
        self._names = {stack: Names(stack, template, parameters) for stack, template in templates.items()}
        self._exports = [(name, (stack, value)) for stack in templates for name, value in self._of(stack)]

    def imported(self, stack: str, argument: Any) -> tuple[str, Any] | None:
        """The stack and the value behind the argument of an Fn::ImportValue.

        None where no template exports it, and where several could be meant, for a name that is not wholly known.
        """
        wanted = self._names[stack].name(argument)
        found = [output for name, output in self._exports if name == wanted]
        if not found and wanted.strip(UNKNOWN):
            found = [output for name, output in self._exports if may_be(wanted, name)]
        return found[0] if len(found) == 1 else None

    def read(self, stack: str, argument: Any) -> tuple[str, Any] | None:
        """The same for the argument of an Fn::GetStackOutput."""
        if not isinstance(argument, Mapping):
            return None
        exporter = self._names[stack].name(argument.get("StackName"))
        output = ((self._templates.get(exporter) or {}).get("Outputs") or {}).get(str(argument.get("OutputName")))
        return (exporter, output.get("Value")) if isinstance(output, Mapping) else None

    def missing(self) -> dict[str, list[str]]:
        """The names that are imported and that no template exports, with the stacks that import them."""
        found: dict[str, list[str]] = {}
        for stack, names in self._names.items():
            for wanted in names.imports():
                if not any(may_be(wanted, name) for name, _ in self._exports):
                    found.setdefault(wanted, []).append(stack)
        return found

    def behind(self, stack: str, value: Any) -> list[tuple[str, Any]]:
        """The value with its stack, and all values of other stacks' outputs that it takes, at any distance."""
        found = [(stack, value)]
        for where, part in found:  # grows while it is read
            outputs = [
                *(self.imported(where, argument) for argument in arguments(part, "Fn::ImportValue")),
                *(self.read(where, argument) for argument in arguments(part, "Fn::GetStackOutput")),
            ]
            found += [one for one in outputs if one is not None and one not in found]
        return found

    def _of(self, stack: str) -> Iterator[tuple[str, Any]]:
        yield from self._names[stack].exports().items()


def may_be(one: str, other: str) -> bool:
    """Whether two names can be the same."""
    if UNKNOWN not in one + other:
        return one == other
    return _fits(one, other) or _fits(other, one)


def shown(name: str, mark: str = "…") -> str:
    """A name for a person, with a mark for what is not known."""
    return name.replace(UNKNOWN, mark)


def _fits(pattern: str, name: str) -> bool:
    return re.fullmatch(".+".join(re.escape(part) for part in pattern.split(UNKNOWN)), name, re.DOTALL) is not None
