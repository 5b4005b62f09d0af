"""The agent as one file."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from hostemr.stacks.host_program import host_program


@pytest.fixture(scope="module")
def program() -> bytes:
    return host_program()


def run(program: bytes, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    file = folder / "hostemr.pyz"
    file.write_bytes(program)
    # -S as well: nothing of this environment's packages is there.
    command = [sys.executable, "-I", "-S", str(file), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_the_same_sources_make_the_same_bytes(program: bytes) -> None:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Pacific/Auckland"
    try:
        time.tzset()
        assert host_program() == program
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


def test_it_holds_the_agent_and_nothing_else(program: bytes) -> None:
    names = zipfile.ZipFile(io.BytesIO(program)).namelist()
    assert {"__main__.py", "hostemr/__init__.py", "hostemr/errors.py", "hostemr/host/setup.py"} <= set(names)
    assert "hostemr/host/installed/compose.yaml" in names
    assert [name for name in names if not name.startswith("hostemr/host/")] == [
        "__main__.py",
        "hostemr/__init__.py",
        "hostemr/errors.py",
    ]
    assert not [name for name in names if "__pycache__" in name]


def test_a_template_has_room_for_it(program: bytes) -> None:
    # A template may have 1 MB; the agent is in base64 there, beside everything else.
    assert len(program) * 4 / 3 < 400_000


def test_it_runs_without_anything_installed(program: bytes, tmp_path: Path) -> None:
    told = run(program, tmp_path, "--help")
    assert told.returncode == 0, told.stderr
    assert "setup" in told.stdout


def test_its_errors_are_one_line_each(program: bytes, tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text(json.dumps({"name": "clinic", "regoin": "us-east-1"}))
    told = run(program, tmp_path, "--config", "host.json", "setup")
    assert told.returncode == 2
    assert "regoin is unknown; did you mean region?" in told.stderr
    assert "Traceback" not in told.stderr
