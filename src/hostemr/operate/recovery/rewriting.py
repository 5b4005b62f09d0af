"""A template with another pair in it: literals in the place of references, the pair taken out, the pair put in again.

Pure functions on templates. They serve to have CloudFormation let go of one pair and take in another under the same
logical ids, so that the template that the CDK writes stays the truth.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

from hostemr.errors import RefusedError

Template = Mapping[str, Any]


def without_imports(template: Template, values: Mapping[str, str]) -> dict[str, Any]:
    """The template with each Fn::ImportValue of `values` replaced by the value: the export is free then.

    Raises RefusedError where the template imports none of them: it is not a service stack's.
    """
    used: set[str] = set()

    def change(node: Any) -> Any:
        if isinstance(node, Mapping):
            if set(node) == {"Fn::ImportValue"} and node["Fn::ImportValue"] in values:
                used.add(node["Fn::ImportValue"])
                return values[node["Fn::ImportValue"]]
            return {key: change(value) for key, value in node.items()}
        return [change(value) for value in node] if isinstance(node, list) else node

    changed: dict[str, Any] = change(template)
    if not used:
        raise RefusedError(f"The service stack imports none of {', '.join(sorted(values))}.")
    return changed


def without_pair(template: Template, physical: Mapping[str, str], attributes: Mapping[str, str]) -> dict[str, Any]:
    """The template without the resources of `physical`, and what refers to them given literals instead.

    `physical` are the ids that a Ref becomes, by logical id; `attributes` what a GetAtt becomes, by
    `LogicalId.Attribute`. Raises RefusedError where a resource would be deleted rather than kept, or where something
    refers to an attribute that is not given.
    """
    lost = [name for name in physical if template["Resources"].get(name, {}).get("DeletionPolicy") != "Retain"]
    if lost:
        raise RefusedError(f"CloudFormation would delete {', '.join(sorted(lost))}: no DeletionPolicy Retain.")
    literal = _Literals(physical, attributes)
    kept = {name: one for name, one in template["Resources"].items() if name not in physical}
    changed: dict[str, Any] = literal.of({**template, "Resources": kept})
    if literal.unknown:
        message = f"The data stack refers to {', '.join(sorted(literal.unknown))}, for which no value is known."
        raise RefusedError(message, hint="this template is newer or older than this command; use the same version")
    for resource in changed["Resources"].values():
        if resource.get("DependsOn") == []:
            del resource["DependsOn"]
    return changed


class _Literals:
    """Puts values in the place of references; `unknown` are references that no value is known for."""

    def __init__(self, physical: Mapping[str, str], attributes: Mapping[str, str]) -> None:
        self._physical, self._attributes = physical, attributes
        self.unknown: set[str] = set()

    def of(self, node: Any) -> Any:
        """A part of a template, with literals in it."""
        if isinstance(node, list):
            return [self.of(value) for value in node]
        if not isinstance(node, Mapping):
            return node
        match list(node):
            case ["Ref"] if node["Ref"] in self._physical:
                return self._physical[node["Ref"]]
            case ["Fn::GetAtt"]:
                return self._attribute(node)
            case ["Fn::Sub"]:
                text = node["Fn::Sub"] if isinstance(node["Fn::Sub"], str) else node["Fn::Sub"][0]
                self.unknown |= {
                    f"${{{one}}}" for one in self._physical if f"${{{one}}}" in text or f"${{{one}." in text
                }
        return {
            key: _depends(value, self._physical) if key == "DependsOn" else self.of(value)
            for key, value in node.items()
        }

    def _attribute(self, node: Mapping[str, Any]) -> Any:
        target = node["Fn::GetAtt"]
        full = target if isinstance(target, str) else ".".join(target)
        if full.partition(".")[0] not in self._physical:
            return dict(node)
        if full not in self._attributes:
            self.unknown.add(full)
        return self._attributes.get(full, "")


def with_pair(reduced: Template, template: Template, names: Collection[str]) -> dict[str, Any]:
    """`reduced`, and in it the resources of those names as `template` has them: for an import, which adds only."""
    resources = {**reduced["Resources"], **{name: copy.deepcopy(template["Resources"][name]) for name in names}}
    return {**copy.deepcopy(dict(reduced)), "Resources": resources}


def _depends(value: Any, gone: Collection[str]) -> Any:
    names = [value] if isinstance(value, str) else value
    return [name for name in names if name not in gone] if isinstance(names, list) else value
