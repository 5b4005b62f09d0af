"""What a template's intrinsic functions come to, as far as it can be known before there is a stack.

The rules are those of the CloudFormation Template Reference, "Intrinsic function reference". What only AWS knows
(an ARN, a value in Parameter Store, an import) becomes Unknown, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hostemr.operate.prices.parameters import given
from hostemr.operate.references import placeholders, substitution
from hostemr.operate.template import Template, canonical, intrinsic


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that cannot be known; `target` is the resource that it belongs to, where it belongs to one."""

    reason: str
    target: str | None = None


_NOTHING = Unknown("AWS::NoValue")
"""Stands for Ref: AWS::NoValue until the property that holds it is left out."""


class Evaluation:
    """One template with one set of parameters, in one region."""

    def __init__(self, template: Template, parameters: Mapping[str, str], region: str) -> None:
        self._template = template
        self._values = given(template, parameters)
        self._declared: Mapping[str, Any] = template.get("Parameters") or {}
        self._conditions: dict[str, bool | Unknown] = {}
        self._pseudo = {"AWS::Region": region, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::If": self._if,
            "Fn::FindInMap": self._find_in_map,
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::GetAtt": self._get_att,
            "Fn::Length": self._length,
            "Condition": self.condition,
            "Fn::Equals": self._equals,
            "Fn::Not": self._not,
            "Fn::And": lambda argument: self._several(argument, decisive=False),
            "Fn::Or": lambda argument: self._several(argument, decisive=True),
        }

    def value(self, value: Any) -> Any:
        """The value with every function worked out; members that are AWS::NoValue are left out."""
        function = intrinsic(value)
        if function is not None:
            work = self._functions.get(function)
            return work(value[function]) if work else Unknown(f"only AWS knows what {function} gives")
        if isinstance(value, Mapping):
            worked = {str(key): self.value(member) for key, member in value.items()}
            return {key: member for key, member in worked.items() if member is not _NOTHING}
        if isinstance(value, list):
            members = [self.value(member) for member in value]
            return [member for member in members if member is not _NOTHING]
        return value

    def condition(self, name: Any) -> bool | Unknown:
        """Whether a condition of the template holds."""
        if not isinstance(name, str):
            return Unknown("a condition is named by a text")
        if name not in self._conditions:
            written = (self._template.get("Conditions") or {}).get(name)
            # Stands until the answer is known, so that conditions that name each other come to an end.
            self._conditions[name] = Unknown(f"condition {name} is not defined, or rests on itself")
            if isinstance(written, Mapping):
                found = self._truth(written)
                self._conditions[name] = Unknown(f"condition {name}: {found.reason}") if _unknown(found) else found
        return self._conditions[name]

    def _truth(self, written: Any) -> Any:
        if isinstance(written, Mapping) and len(written) == 1:
            name, argument = next(iter(written.items()))
            if name in self._functions:
                return self._functions[name](argument)
        return Unknown("it is no condition function")

    def _ref(self, name: Any) -> Any:
        if not isinstance(name, str):
            return Unknown("Ref takes a name")
        if name == "AWS::NoValue":
            return _NOTHING
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._declared:
            return self._values.get(name, self._missing(name))
        return Unknown(f"only the stack knows {name}", name)

    def _missing(self, name: str) -> Unknown:
        if "AWS::SSM::Parameter::Value" in str(self._declared[name]):
            return Unknown(f"only Parameter Store knows {name}")
        return Unknown(f"parameter {name} has no default; give --parameter {name}=VALUE")

    def _get_att(self, argument: Any) -> Unknown:
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        target = parts[0] if isinstance(parts, list) and parts and isinstance(parts[0], str) else None
        return Unknown(f"only the stack knows {target}", target)

    def _if(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) != 3:
            return Unknown("Fn::If takes a condition and two values")
        holds = self.condition(argument[0])
        if isinstance(holds, Unknown):
            return holds
        return self.value(argument[1] if holds else argument[2])

    def _find_in_map(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) < 3:
            return Unknown("Fn::FindInMap takes a map and two keys")
        keys = [self.value(key) for key in argument[:3]]
        unknown = next((key for key in keys if isinstance(key, Unknown)), None)
        if unknown:
            return unknown
        found: Any = self._template.get("Mappings")
        for key in keys:
            found = found.get(str(key)) if isinstance(found, Mapping) else None
        if found is None and len(argument) > 3 and isinstance(argument[3], Mapping):
            return self.value(argument[3].get("DefaultValue"))
        return Unknown(f"the map has nothing at {'.'.join(map(str, keys))}") if found is None else found

    def _sub(self, argument: Any) -> Any:
        text, local = substitution(argument)
        for name in dict.fromkeys(placeholders(text)):
            if name in local:
                worked = self.value(local[name])
            elif "." in name:
                worked = self._get_att(name)
            else:
                worked = self._ref(name)
            if isinstance(worked, Unknown):
                return worked
            text = text.replace(f"${{{name}}}", str(canonical(worked)))
        return text.replace("${!", "${")

    def _join(self, argument: Any) -> Any:
        worked = self.value(argument[1]) if isinstance(argument, list) and len(argument) == 2 else None
        if not isinstance(worked, list):
            return worked if isinstance(worked, Unknown) else Unknown("Fn::Join takes a text and a list")
        unknown = next((part for part in worked if isinstance(part, Unknown)), None)
        return unknown or str(argument[0]).join(str(canonical(part)) for part in worked)

    def _select(self, argument: Any) -> Any:
        worked = [self.value(part) for part in argument] if isinstance(argument, list) else []
        if len(worked) != 2 or not isinstance(worked[1], list):
            return next((part for part in worked if isinstance(part, Unknown)), Unknown("Fn::Select takes a list"))
        index = str(canonical(worked[0]))
        if not index.isdigit() or int(index) >= len(worked[1]):
            return Unknown("Fn::Select points outside of its list")
        return worked[1][int(index)]

    def _split(self, argument: Any) -> Any:
        text = self.value(argument[1]) if isinstance(argument, list) and len(argument) == 2 else None
        if isinstance(text, str) and argument[0]:
            return text.split(str(argument[0]))
        return text if isinstance(text, Unknown) else Unknown("Fn::Split takes a text")

    def _length(self, argument: Any) -> Any:
        worked = self.value(argument)
        return len(worked) if isinstance(worked, list) else Unknown("Fn::Length takes a list that is known")

    def _equals(self, argument: Any) -> Any:
        worked = [self.value(part) for part in argument] if isinstance(argument, list) else []
        if len(worked) != 2:
            return Unknown("Fn::Equals takes two values")
        unknown = next((part for part in worked if isinstance(part, Unknown)), None)
        return unknown or canonical(worked[0]) == canonical(worked[1])

    def _not(self, argument: Any) -> Any:
        found = self._truth(argument[0]) if isinstance(argument, list) and argument else Unknown("Fn::Not is empty")
        return found if isinstance(found, Unknown) else not found

    def _several(self, argument: Any, *, decisive: bool) -> Any:
        """Fn::And is decided by one that is false, Fn::Or by one that is true, whatever the others are."""
        found = [self._truth(part) for part in argument] if isinstance(argument, list) else []
        if any(part is decisive for part in found):
            return decisive
        return next((part for part in found if isinstance(part, Unknown)), not decisive)


def _unknown(value: Any) -> bool:
    return isinstance(value, Unknown)
