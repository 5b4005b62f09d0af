"""Programs that fail in every way, and secrets that they say aloud."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from hostemr.host.programs import ProgramFailed, Programs, without


def failure(*argv: str, **options: object) -> ProgramFailed:
    with pytest.raises(ProgramFailed) as caught:
        Programs().run(argv, **options)  # type: ignore[arg-type]
    assert caught.value.exit_status == 3
    return caught.value


def test_what_a_program_writes_is_answered() -> None:
    assert Programs().run(["printf", "a\\nb"]) == "a\nb"


def test_text_is_its_input_and_otherwise_there_is_none() -> None:
    assert Programs().run(["cat"], text="grüße\0") == "grüße\0"
    assert Programs().run(["cat"]) == ""


def test_bytes_that_are_no_text_do_not_end_the_agent() -> None:
    assert Programs().run(["printf", "a\\377b"]) == "a\ufffdb"


def test_output_may_go_to_a_file() -> None:
    with tempfile.TemporaryFile() as file:
        assert Programs().run(["printf", "a\\377b"], output=file) == ""
        file.seek(0)
        assert file.read() == b"a\xffb"


def test_a_failure_tells_the_command_its_status_and_its_last_words() -> None:
    error = failure("sh", "-c", "echo out; for n in 1 2 3 4; do echo line $n >&2; done; exit 7")
    assert error.status == 7
    assert error.message.endswith("failed with status 7: line 2 / line 3 / line 4")
    assert "line 1" in error.output


def test_a_program_that_complains_on_stdout_is_heard_too() -> None:
    assert failure("sh", "-c", "echo why; exit 1").message.endswith("failed with status 1: why")


def test_a_silent_failure_is_called_so() -> None:
    assert failure("false").message == "`false` failed with status 1: it said nothing"


def test_a_program_that_is_killed_has_a_negative_status() -> None:
    assert failure("sh", "-c", "kill -9 $$").status == -9


def test_a_program_that_is_not_there_is_named() -> None:
    error = failure("no-such-program")
    assert (error.message, error.status) == ("no-such-program is not installed.", None)


def test_a_file_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    assert failure(str(tmp_path / "text")).message == f"{tmp_path / 'text'} could not be started: Permission denied."


def test_a_program_that_hangs_is_stopped_and_heard() -> None:
    began = time.monotonic()
    error = failure("sh", "-c", "echo waiting for $SECRET >&2; exec sleep 60", secrets={"SECRET": "x"}, timeout=0.3)
    assert time.monotonic() - began < 10
    assert "took longer than 0 seconds and was stopped" in error.message
    assert error.output == "waiting for <SECRET>\n"
    assert error.status is None


def test_a_nul_in_a_secret_is_a_failure_that_does_not_show_it() -> None:
    error = failure("true", secrets={"SECRET": "before\0after"})
    assert error.message == "true could not be started: a NUL character stands in what it is given."
    assert "before" not in repr(error)


def test_a_secret_is_in_the_environment_and_in_no_error() -> None:
    assert Programs().run(["sh", "-c", "printf %s $SECRET"], secrets={"SECRET": "hunter2"}) == "hunter2"
    for stream in ("", ">&2"):
        error = failure(
            "sh", "-c", f"echo The password $SECRET is wrong {stream}; exit 1", secrets={"SECRET": "hunter2"}
        )
        assert "hunter2" not in error.message + error.output + repr(error) + str(error.args)
        assert "The password <SECRET> is wrong" in error.message


def test_a_secret_that_ends_in_a_blank_is_taken_out_at_the_end_of_what_was_said() -> None:
    error = failure("sh", "-c", 'printf "bad: %s" "$SECRET" >&2; exit 1', secrets={"SECRET": "hunter2 "})
    assert "hunter2" not in error.message


def test_nothing_is_left_over_of_a_secret_that_holds_another() -> None:
    secrets = {"A_SHORT": "abc", "LONG": "abcdef", "NONE": ""}
    assert without("abcdef abc", secrets) == "<LONG> <A_SHORT>"


def test_an_answer_that_is_a_secret_stands_in_no_error() -> None:
    error = failure("sh", "-c", "echo hunter2; kill -9 $$", answers_secret=True)
    assert error.message.endswith("failed with status -9: it said nothing")
    assert error.output == ""


def test_sbin_and_snaps_are_found_whatever_cron_says() -> None:
    path = Programs({"PATH": "/custom"}).environment["PATH"].split(":")
    assert path[0] == "/custom"
    assert {"/usr/sbin", "/sbin", "/snap/bin", "/usr/bin"} <= set(path)
    assert Programs({}).run(["sh", "-c", "echo $LC_ALL"]) == "C.UTF-8\n"


def test_a_program_without_an_environment_of_its_own_gets_the_agents() -> None:
    programs = Programs({"PATH": "/usr/bin:/bin", "ONE": "1", "TWO": "1"})
    answer = programs.run(["sh", "-c", "echo $ONE $TWO $THREE"], environment={"TWO": "2"}, secrets={"THREE": "3"})
    assert answer == "1 2 3\n"


class Told(KeyboardInterrupt):
    """As the agent's own handlers raise it."""


@pytest.fixture
def told_while_starting() -> Iterator[list[int]]:
    """A SIGTERM, whose handler raises, as soon as a program is there and Popen() is not through; the program's pid."""

    def handler(number: int, frame: FrameType | None) -> None:
        raise Told

    def profile(frame: FrameType, event: str, _: object) -> None:
        # The first thing that Popen() does after the fork.
        if event == "call" and frame.f_code.co_name == "_close_pipe_fds" and not started:
            started.append(frame.f_locals["self"].pid)
            os.kill(os.getpid(), signal.SIGTERM)

    started: list[int] = []
    before = signal.signal(signal.SIGTERM, handler)
    sys.setprofile(profile)
    yield started
    sys.setprofile(None)
    assert signal.signal(signal.SIGTERM, before) == handler, "the handler is there again"
    for pid in started:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("hung", [None, lambda: False], ids=["alone", "in a group of its own"])
def test_a_signal_while_a_program_is_starting_leaves_no_program_behind(
    told_while_starting: list[int], hung: Callable[[], bool] | None
) -> None:
    began = time.monotonic()
    with pytest.raises(Told):
        Programs().run(["sleep", "60"], hung=hung)
    assert time.monotonic() - began < 10
    assert not alive(*told_while_starting)


def test_a_signal_that_is_ignored_stays_so_while_programs_run() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert Programs().run(["sh", "-c", "kill -HUP $PPID; kill -HUP $$; echo through"]) == "through\n"
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
