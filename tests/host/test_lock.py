"""One verb at a time, and no lock that outlives its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hostemr.errors import RefusedError
from hostemr.host.lock import locked

HOLDER = (
    "import sys, time\nfrom pathlib import Path\nfrom hostemr.host.lock import locked\n"
    "with locked(Path(sys.argv[1]), 'backup'):\n    print('held', flush=True)\n    time.sleep(60)\n"
)


def test_the_second_is_refused_and_hears_of_the_first(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "state", "backup"),
        pytest.raises(RefusedError) as caught,
        locked(tmp_path / "state", "drill"),
    ):
        raise AssertionError("two at once")
    assert caught.value.exit_status == 4
    assert caught.value.message == (
        f"Another backup (process {os.getpid()}) is at work on this server, so drill did not start."
    )
    assert "try again" in caught.value.hint


def test_one_after_the_other_is_let_in_and_the_newest_is_named(tmp_path: Path) -> None:
    for verb in ("backup", "a verb with a long name", "drill"):
        with locked(tmp_path, verb), pytest.raises(RefusedError, match=f"Another {verb} "), locked(tmp_path, "x"):
            raise AssertionError("two at once")


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path, "backup"):
        raise ZeroDivisionError
    with locked(tmp_path, "drill"):
        assert '"drill"' in (tmp_path / "agent.lock").read_text()


def test_who_waits_is_let_in_when_the_first_has_ended(tmp_path: Path) -> None:
    first = locked(tmp_path, "backup")
    first.__enter__()
    threading.Timer(0.2, lambda: first.__exit__(None, None, None)).start()
    began = time.monotonic()
    with locked(tmp_path, "drill", wait_seconds=30):
        assert 0.1 < time.monotonic() - began < 10


def test_a_holder_whose_name_cannot_be_read_is_told_of_all_the_same(tmp_path: Path) -> None:
    for text in ("", "[]", "{}"):
        with locked(tmp_path, "backup"):
            (tmp_path / "agent.lock").write_text(text)
            with pytest.raises(RefusedError, match="Another process of the agent"), locked(tmp_path, "drill"):
                raise AssertionError("two at once")


@pytest.mark.real
def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(RefusedError, match=rf"backup \(process {process.pid}\)"), locked(tmp_path, "drill"):
            raise AssertionError("two at once")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with locked(tmp_path, "drill"):
        assert str(os.getpid()) in (tmp_path / "agent.lock").read_text()
