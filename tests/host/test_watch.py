"""The figures that alarms hang on: where one cannot be told, silence is better than a comforting one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from hostemr.host.watch import watch
from tests.host.machine import START, Machine

WELL = b"HTTP/1.1 302 Found\r\nLocation: https://clinic\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    """A server without a database."""
    return Machine(tmp_path)


@contextmanager
def answering(body: bytes | None) -> Iterator[int]:
    """A web server on a port of its own, with one answer for all; None: it hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    if body is not None:
                        connection.recv(4096)
                        connection.sendall(body)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def running(machine: Machine, *services: str) -> None:
    for service in services:
        (machine.home / f"{service}.running").write_text("0")


def figures(machine: Machine, body: bytes | None = WELL) -> dict[str, float]:
    with answering(body) as port:
        found = watch(machine.server, port=port)
    return {name: value for name, (value, _) in found.items()}


def test_a_server_that_is_well_says_so(bare: Machine) -> None:
    running(bare, "mysql", "openemr", "web")
    bare.server.state.write("backup", {"taken": START.isoformat()})
    bare.server.state.write("drill", {"good_at": (START - timedelta(days=2)).isoformat()})
    bare.days(0.5)
    found = figures(bare)
    assert 0 < found.pop("DiskUsedPercent") <= 100
    assert found == {"BackupAgeHours": 12.0, "DrillAgeDays": 2.5, "Unhealthy": 0}
    assert dict(bare.metrics()).keys() == {"BackupAgeHours", "DrillAgeDays", "DiskUsedPercent", "Unhealthy"}


def test_a_server_that_never_had_a_backup_counts_from_its_launch(bare: Machine) -> None:
    bare.server.state.write("setup", {"first_at": START.isoformat()})
    bare.days(3)
    found = figures(bare)
    assert (found["BackupAgeHours"], found["DrillAgeDays"]) == (72.0, 3.0)


def test_a_failed_drill_counts_as_999_days_until_a_good_one(bare: Machine) -> None:
    bare.server.state.write("drill", {"ok": False, "at": START.isoformat()})
    bare.server.state.write("setup", {"first_at": (START - timedelta(days=20)).isoformat()})
    assert figures(bare)["DrillAgeDays"] == 999


@pytest.mark.parametrize(
    ("record", "content", "silent"),
    [
        ("backup", {"taken": START.isoformat()}, {"BackupAgeHours"}),
        ("drill", {"good_at": START.isoformat()}, {"DrillAgeDays"}),
        ("setup", {"first_at": START.isoformat()}, {"BackupAgeHours", "DrillAgeDays"}),
    ],
)
def test_what_a_wrong_clock_wrote_is_no_comfort(
    bare: Machine, record: str, content: dict[str, str], silent: set[str]
) -> None:
    bare.server.state.write(record, content)
    bare.now -= timedelta(minutes=4)
    assert silent <= figures(bare).keys(), "a clock that is a little wrong does no harm"
    bare.days(-1)
    assert not silent & figures(bare).keys()


@pytest.mark.parametrize("missing", ["mysql", "openemr", "web"])
def test_a_container_that_does_not_run_is_unhealthy(bare: Machine, missing: str) -> None:
    running(bare, *{"mysql", "openemr", "web"} - {missing})
    assert figures(bare)["Unhealthy"] == 1


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"what?\r\n",
        b"HTTP/1.1 " + b"x" * 70000 + b"\r\n",
    ],
)
def test_a_web_server_that_does_not_answer_well_is_unhealthy(bare: Machine, body: bytes | None) -> None:
    running(bare, "mysql", "openemr", "web")
    assert figures(bare, body)["Unhealthy"] == 1


def test_a_port_that_nobody_listens_on_is_unhealthy(bare: Machine, unused_port: Callable[[], int]) -> None:
    running(bare, "mysql", "openemr", "web")
    assert watch(bare.server, port=unused_port())["Unhealthy"] == (1, "Count")


@pytest.fixture
def unused_port() -> Callable[[], int]:
    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find


def test_a_docker_that_does_not_answer_is_unhealthy_and_told(bare: Machine) -> None:
    (bare.folder / "bin" / "docker").write_text("#!/bin/sh\necho Cannot connect to the Docker daemon >&2\nexit 1\n")
    assert figures(bare)["Unhealthy"] == 1
    assert "Cannot connect to the Docker daemon" in bare.told[0]


def test_an_aws_that_does_not_answer_is_told_and_no_error(bare: Machine) -> None:
    (bare.home / "aws-down").touch()
    assert "DiskUsedPercent" in figures(bare)
    assert any("CloudWatch did not get" in line for line in bare.told)
