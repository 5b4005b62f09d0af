"""What is vendored is what its makers released, and nothing else is loaded from anywhere."""

from __future__ import annotations

import hashlib
import re
from importlib import resources

STATIC = resources.files("hostemr.registration") / "static"
# dist/htmx.min.js of the package htmx.org 2.0.11 (0BSD).
HTMX = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"


def test_htmx_is_the_released_file() -> None:
    assert hashlib.sha256((STATIC / "htmx.min.js").read_bytes()).hexdigest() == HTMX


def test_our_own_styles_and_scripts_load_nothing_from_elsewhere() -> None:
    for file in STATIC.iterdir():
        if file.name.endswith((".css", ".js")) and file.name != "htmx.min.js":
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"https?://|//[a-z0-9.-]+\.[a-z]{2,}/|@import|\beval\(|innerHTML", text), file.name
