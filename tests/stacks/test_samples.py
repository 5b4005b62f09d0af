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

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"
LONG = 2000


@pytest.mark.parametrize(
    ("application", "sample"), [(application, sample) for application in SAMPLES for sample in SAMPLES[application]]
)
def test_the_templates_of_a_sample_are_the_ones_that_were_looked_at(application: str, sample: str) -> None:
    check_snapshots(application, sample, synthesize(SAMPLES[application][sample], application).stacks)


def check_snapshots(deployment: str, sample: str, stacks: Mapping[str, Any]) -> None:
    """That the sample's templates, by the names of their stacks, are those kept; writes them where that is asked."""
    folder = SNAPSHOTS / deployment
    texts = {
        f"{sample}-{name.removeprefix(deployment + '-')}.json": json.dumps(scrubbed(one), indent=1, sort_keys=True)
        for name, one in stacks.items()
    }
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text + "\n", encoding="utf-8")
    for name, text in texts.items():
        assert text + "\n" == (folder / name).read_text(encoding="utf-8")
    assert {path.name for path in folder.glob(f"{sample}-*")} == set(texts)


def test_no_snapshot_is_left_over() -> None:
    for application, samples in SAMPLES.items():
        for path in (SNAPSHOTS / application).iterdir():
            assert path.name.rpartition("-")[0] in samples, path


def scrubbed(value: Any) -> Any:
    """Scripts, handlers and certificates have tests of their own: here only that they are the same ones."""
    if isinstance(value, Mapping):
        return {
            key: _short(inner) if key == "DatabaseRoots" else scrubbed(inner)
            for key, inner in value.items()
            if key != "cdk_nag"
        }
    if isinstance(value, list):
        return [scrubbed(inner) for inner in value]
    if isinstance(value, str) and len(value) > LONG:
        return f"({value.strip().splitlines()[0][:60]} …)"
    return value


def _short(value: Any) -> str:
    return f"({len(value)} regions, sha256 {hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]})"
