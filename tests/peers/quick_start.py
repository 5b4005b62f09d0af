"""Programs of ours that stand in for others, started as quickly as Python can."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType


def script(module: ModuleType) -> str:
    """A shell script that runs a module as a program: compiled, and without what `site` finds; it needs neither."""
    assert module.__file__ is not None
    compiled = Path((module.__spec__ and module.__spec__.cached) or module.__file__)
    # Not there where PYTHONDONTWRITEBYTECODE is set.
    program = compiled if compiled.exists() else Path(module.__file__)
    return f'#!/bin/sh\nexec {sys.executable} -I -S {program} "$@"\n'
