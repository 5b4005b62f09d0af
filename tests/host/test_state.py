"""Records that are whole or absent, whatever happens to the process or the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hostemr.host.space import free
from hostemr.host.state import State


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    assert state.read("backup") is None
    record = {"taken": "2026-11-22", "rows": {"tabelle ü": 3}, "none": None, "list": [1, 2.5]}
    state.write("backup", record)
    assert state.read("backup") == record
    assert State(tmp_path / "state").read("backup") == record
    assert state.read("drill") is None


def test_only_root_may_look(tmp_path: Path) -> None:
    State(tmp_path / "state").write("backup", {})
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_record_that_is_forgotten_twice_is_gone(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.write("backup", {})
    state.forget("backup")
    state.forget("backup")
    assert state.read("backup") is None


@pytest.mark.parametrize("body", [b"", b'{"taken": "20', b"\0" * 4096, b"\xff\xfe"])
def test_a_damaged_record_is_set_aside_and_can_be_written_again(tmp_path: Path, body: bytes) -> None:
    state = State(tmp_path)
    (tmp_path / "backup.json").write_bytes(body)
    assert state.read("backup") is None
    assert (tmp_path / "backup.damaged").read_bytes() == body
    state.write("backup", {"taken": "now"})
    assert state.read("backup") == {"taken": "now"}


def test_json_of_another_kind_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "backup.json").write_text("[1]")
    assert State(tmp_path).read("backup") is None


def test_what_cannot_be_written_leaves_the_record_as_it_was(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.write("backup", {"a": 1})
    with pytest.raises(TypeError):
        state.write("backup", {"a": object()})
    assert state.read("backup") == {"a": 1}


@pytest.mark.real
def test_a_full_disk_leaves_the_record_as_it_was(small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(256 * 1024)
    state = State(disk / "state")
    state.write("backup", {"a": 1})
    (disk / "filler").write_bytes(bytes(free(disk)))
    with pytest.raises(OSError, match="No space left"):
        state.write("backup", {"a": "x" * 20_000})
    assert state.read("backup") == {"a": 1}
    (disk / "filler").unlink()
    state.write("backup", {"a": 2})
    assert state.read("backup") == {"a": 2}


@pytest.mark.real
def test_a_writer_that_is_killed_leaves_a_whole_record(tmp_path: Path) -> None:
    script = (
        "import itertools, sys\nfrom pathlib import Path\nfrom hostemr.host.state import State\n"
        "for n in itertools.count():\n    State(Path(sys.argv[1])).write('backup', {'n': n, 'text': 'x' * 100_000})\n"
    )
    state = State(tmp_path)
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
        state.forget("backup")
        while state.read("backup") is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        record = state.read("backup")
        assert record is not None
        assert record["text"] == "x" * 100_000
    assert not (tmp_path / "backup.damaged").exists()
