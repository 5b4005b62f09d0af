"""Texts of a template as far as they are known before there is a stack; a mark stands for the rest.

The rules are those of the CloudFormation Template Reference: "Ref", "Fn::Sub", "Fn::Join".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hostemr.operate.prices.evaluation import Evaluation, Unknown
from hostemr.operate.references import filled, substitution
from hostemr.operate.template import canonical, intrinsic

UNKNOWN = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands in a text for what only CloudFormation will know, of any length."""


def unknown(_: Any) -> str:
    """UNKNOWN, whatever is asked."""
    return UNKNOWN


def text_of(value: Any, variable: Callable[[str], str], other: Callable[[Any], str] = unknown) -> str:
    """The value as text. `variable` answers for a name in Ref or Fn::Sub, `other` for a call of any other function."""
    function = intrinsic(value)
    if function is None:
        written = canonical(value)
        return written if isinstance(written, str) else UNKNOWN
    argument = value[function]
    if function == "Ref" and isinstance(argument, str):
        return "" if argument == "AWS::NoValue" else variable(argument)
    if function == "Fn::Sub":
        written, local = substitution(argument)
        return filled(written, lambda name: text_of(local.get(name, {"Ref": name}), variable, other))
    if function == "Fn::Join" and isinstance(argument, list) and len(argument) == 2 and isinstance(argument[1], list):
        return str(argument[0]).join(text_of(part, variable, other) for part in argument[1])
    return other(value)


class StackTexts:
    """The texts of one stack's template, with the parameters of its evaluation.

    `fixed` are names that have a value here; others that only the stack knows are UNKNOWN.
    """

    def __init__(self, stack: str, evaluation: Evaluation, fixed: Mapping[str, str] | None = None) -> None:
        self._evaluation = evaluation
        self._fixed = {"AWS::StackName": stack, **(fixed or {})}

    def text(self, value: Any) -> str:
        """The value as text."""
        return text_of(value, lambda name: self._fixed.get(name) or self._worked({"Ref": name}), self._worked)

    def _worked(self, value: Any) -> str:
        worked = self._evaluation.value(value)
        written = None if isinstance(worked, Unknown) else canonical(worked)
        return written if isinstance(written, str) else UNKNOWN
