"""A template's parameters: what was given, what stands by default, and what CloudFormation would refuse."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from hostemr.operate.template import Template, canonical


def given(template: Template, parameters: Mapping[str, str]) -> dict[str, Any]:
    """The value of each parameter that has one.

    Those of Parameter Store (`AWS::SSM::Parameter::Value<…>`) have none here: what is given is only the name of it.
    """
    values = {}
    for name, declared in _declared(template).items():
        kind = str(declared.get("Type", "String"))
        value = parameters.get(name, declared.get("Default"))
        if value is None or kind.startswith("AWS::SSM::Parameter::Value"):
            continue
        text = str(canonical(value))
        is_list = kind == "CommaDelimitedList" or kind.startswith("List<")
        values[name] = [part.strip() for part in text.split(",")] if is_list else text
    return values


def problems(templates: Collection[Template], parameters: Mapping[str, str]) -> Iterator[str]:
    """A line for each parameter that no template has, or that one of them would refuse."""
    known = {name for template in templates for name in _declared(template)}
    for name, value in parameters.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known)) or 'none'}"
            yield f"--parameter {name} is none of the template's parameters; {hint}"
            continue
        refusals = {_refusal(_declared(template).get(name, {}), value) for template in templates}
        for refusal in sorted(refusals - {""}):
            yield f"--parameter {name} is {value!r}; expected {refusal}"


def _refusal(declared: Mapping[str, Any], value: str) -> str:
    """What was expected in its place, "" if the value is allowed."""
    allowed = declared.get("AllowedValues")
    if isinstance(allowed, list) and value not in [str(canonical(one)) for one in allowed]:
        return "one of " + ", ".join(str(canonical(one)) for one in allowed)
    if declared.get("Type") != "Number":
        return ""
    try:
        number = Decimal(value)
    except InvalidOperation:
        return "a number"
    low, high = declared.get("MinValue"), declared.get("MaxValue")
    if not number.is_finite() or (low is not None and number < Decimal(str(low))):
        return f"{low} or more" if low is not None else "a number"
    return f"{high} or less" if high is not None and number > Decimal(str(high)) else ""


def _declared(template: Template) -> Mapping[str, Mapping[str, Any]]:
    section = template.get("Parameters")
    if not isinstance(section, Mapping):
        return {}
    return {name: one for name, one in section.items() if isinstance(one, Mapping)}
