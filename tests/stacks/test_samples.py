"""The whole templates of the sample deployments, kept under tests/snapshots/: a change of any of them is seen.

`UPDATE_SNAPSHOTS=1 python -m pytest tests/stacks/test_samples.py` writes them anew, to be read before they are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.configurations import SAMPLES
from tests.stacks.synthesis import synthesize

SNAPSHOTS = Path(__file__).parents[1] / "snapshots" / "openemr"
LONG = 2000


@pytest.mark.parametrize("stack", ["data", "service"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_template_of_a_sample_is_the_one_that_was_looked_at(sample: str, stack: str) -> None:
    template = getattr(synthesize(SAMPLES[sample]).templates, stack)
    text = json.dumps(_scrubbed(template), indent=1, sort_keys=True) + "\n"
    kept = SNAPSHOTS / f"{sample}-{stack}.json"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8")


def test_no_snapshot_is_left_over() -> None:
    names = {f"{sample}-{stack}.json" for sample in SAMPLES for stack in ("data", "service")}
    assert {path.name for path in SNAPSHOTS.iterdir()} == names


def _scrubbed(value: Any) -> Any:
    """Scripts, handlers and certificates have tests of their own: here only that they are the same ones."""
    if isinstance(value, Mapping):
        return {
            key: _short(inner) if key == "DatabaseRoots" else _scrubbed(inner)
            for key, inner in value.items()
            if key != "cdk_nag"
        }
    if isinstance(value, list):
        return [_scrubbed(inner) for inner in value]
    if isinstance(value, str) and len(value) > LONG:
        return f"({value.strip().splitlines()[0][:60]} …)"
    return value


def _short(value: Any) -> str:
    return f"({len(value)} regions, sha256 {hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]})"
