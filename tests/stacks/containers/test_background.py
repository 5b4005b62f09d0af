"""The companion that runs background services: in one task at a time, whatever becomes of a run."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.peers.openemr_image import Image, kill_session
from tests.stacks.containers.shells import SHELLS, use_shell

SERVICES = """<?php
$say = fn (string $what) => file_put_contents(getenv('STAND_IN_LOG'), "$what " . microtime(true) . "\\n", FILE_APPEND);
$say('begin');
usleep((int) (1e6 * (float) (getenv('SERVICES_TAKE') ?: 0.2)));
$say('end');
exit((int) getenv('SERVICES_STATUS'));
"""


@pytest.fixture
def served(installed: Image) -> Image:
    image = installed
    (image.openemr / "library/ajax").mkdir(parents=True)
    (image.openemr / "library/ajax/execute_background_services.php").write_text(SERVICES)
    image.environment["BACKGROUND_INTERVAL_SECONDS"] = "0.1"
    return image


@contextmanager
def companions(image: Image, number: int, **more: str) -> Iterator[list[subprocess.Popen[str]]]:
    processes = [image.start("background", **more) for _ in range(number)]
    try:
        yield processes
    finally:
        for process in processes:
            kill_session(process.pid)
            process.communicate(timeout=10)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def words(image: Image) -> list[str]:
    return [line.split()[0] for line in image.log_file.read_text().splitlines()]


@pytest.mark.parametrize("shell", SHELLS)
def test_two_companions_never_run_the_services_at_once(shell: str, served: Image) -> None:
    use_shell(served, shell)
    with companions(served, 2):
        wait_for(lambda: words(served).count("end") >= 6)
    seen = words(served)
    assert set(zip(seen[::2], seen[1::2], strict=False)) == {("begin", "end")}, seen


def test_the_others_take_over_when_the_running_one_is_killed(served: Image) -> None:
    with companions(served, 2, SERVICES_TAKE="1"):
        wait_for(lambda: "begin" in words(served))
    # Killed in the middle of a run: the database lets its lock go by itself.
    served.log()
    with companions(served, 1):
        wait_for(lambda: "end" in words(served))


def test_a_failing_run_is_one_line_and_the_next_round_comes(served: Image) -> None:
    with companions(served, 1, SERVICES_STATUS="3") as (process,):
        wait_for(lambda: words(served).count("end") >= 3)
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=10)[0]
    lines = [line for line in output.splitlines() if "status 3" in line]
    assert len(lines) >= 2
    assert len(output.splitlines()) == 1 + len(lines)


def test_a_hanging_run_is_ended_and_the_next_round_comes(served: Image) -> None:
    with companions(served, 1, SERVICES_TAKE="60", BACKGROUND_LIMIT_SECONDS="1") as (process,):
        wait_for(lambda: words(served).count("begin") >= 2)
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=10)[0]
    assert "status 124" in output or "status 143" in output
    assert "end" not in words(served)


@pytest.mark.parametrize("take", ["0", "60"])
@pytest.mark.parametrize("shell", SHELLS)
def test_sigterm_ends_it_at_once_idle_or_busy(shell: str, take: str, served: Image) -> None:
    use_shell(served, shell)
    with companions(served, 1, SERVICES_TAKE=take, BACKGROUND_INTERVAL_SECONDS="60") as (process,):
        wait_for(lambda: ("end" if take == "0" else "begin") in words(served))
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)
        assert time.monotonic() - started < 2


def test_the_newer_command_is_used_where_it_exists(served: Image) -> None:
    (served.openemr / "bin").mkdir()
    (served.openemr / "bin/console").write_text(
        "<?php file_put_contents(getenv('STAND_IN_LOG'), implode(' ', array_slice($argv, 1)) . \"\\n\", FILE_APPEND);"
    )
    with companions(served, 1):
        wait_for(lambda: len(words(served)) >= 2)
    assert set(served.log()) == {"background:services run"}


def test_it_follows_a_rotation(served: Image) -> None:
    name = served.environment["MYSQL_DATABASE"]
    with companions(served, 1) as (process,):
        wait_for(lambda: "end" in words(served))
        status, output = served.run(
            "setup", SETUP_MODE="credentials", NEXT_MYSQL_USER=f"{name}_b", NEXT_MYSQL_PASS="rotated" * 4
        )
        assert status == 0, output
        served.log()
        wait_for(lambda: words(served).count("end") >= 2)
        process.send_signal(signal.SIGTERM)
        assert "no database session" not in process.communicate(timeout=10)[0]


def test_without_configuration_it_waits_and_says_why(served: Image) -> None:
    served.sqlconf.unlink()
    with companions(served, 1) as (process,):
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert "not configured (absent)" in process.communicate(timeout=10)[0]
    assert words(served) == []
