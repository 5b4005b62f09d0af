"""The whole templates of two variants, kept under tests/snapshots/: a change of either is seen.

`UPDATE_SNAPSHOTS=1 python -m pytest tests/stacks/test_express_plus_snapshot.py` writes them anew, to be read first.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.stacks.express_plus import VARIANTS, synthesize
from tests.stacks.test_samples import SNAPSHOTS, scrubbed

FOLDER = SNAPSHOTS / "express-plus"
KEPT = ("OpenEMR-Express-Plus", "OpenEMR-Express-Plus-Recovery-Dev")
"""Between them they have every resource. The program is a stand-in: it has tests of its own."""


@pytest.mark.parametrize("name", KEPT)
def test_the_template_is_the_one_that_was_looked_at(name: str) -> None:
    text = json.dumps(scrubbed(synthesize(VARIANTS[name]).template), indent=1, sort_keys=True) + "\n"
    file = FOLDER / f"{name}.json"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_no_snapshot_is_left_over() -> None:
    assert {Path(one).stem for one in FOLDER.iterdir()} == set(KEPT)
