"""Which actions of IAM can be given for single resources, from the grammar that cfn-lint ships."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources as files
from typing import Any


def can_be_bounded(action: str) -> bool:
    """Whether the action, such as `ecs:UpdateService`, knows resource types; False for one that is not known."""
    service, _, name = action.lower().partition(":")
    known = _grammar().get(service, {}).get("Actions", {}).get(name, {})
    return bool(known.get("Resources"))


@cache
def _grammar() -> dict[str, Any]:
    text = files.files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text(encoding="utf-8")
    grammar: dict[str, Any] = json.loads(text)
    return grammar
