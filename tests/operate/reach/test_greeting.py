"""What a server says first decides. Real servers greet in test_tunnel_commands."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hostemr.errors import OutsideWorldError
from hostemr.operate.reach.greeting import Identity, await_database, greeting

_GREETING = b"\x0a8.0.42\x00" + bytes(60)


@contextmanager
def _server(*answers: bytes) -> Iterator[tuple[str, int]]:
    """Gives each connection the next answer, and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                with listener.accept()[0] as connection:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield "127.0.0.1", listener.getsockname()[1]
        thread.join()


def _packet(payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + b"\0" + payload


def test_the_version_is_what_it_says() -> None:
    with _server(_packet(_GREETING)) as address:
        assert greeting(address, 5) == "8.0.42"


def test_a_version_cannot_steer_the_terminal() -> None:
    with _server(_packet(b"\x0a8\x1b[2J\x00" + bytes(60))) as address:
        assert greeting(address, 5) == "8\\x1b[2J"


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (_packet(b"SSH-2.0-OpenSSH_9.6"), "not a MySQL server"),
        (_packet(b"\xff\x10\x04Too many connections"), "refuses connections: Too many connections"),
        (_packet(b"\xff\x10\x04\x1b[2J"), r"refuses connections: \\x1b\[2J"),
        (_packet(b"\x0a8.0.42 without an end"), "not a MySQL server"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "not a MySQL server"),
    ],
)
def test_what_is_no_database_or_takes_nobody_is_told(answer: bytes, line: str) -> None:
    with _server(answer) as address, pytest.raises(OutsideWorldError, match=line):
        greeting(address, 5)


def test_a_database_that_wakes_up_is_waited_for_and_that_is_said_once() -> None:
    said: list[str] = []
    with _server(b"", b"\x05", _packet(_GREETING)) as address:
        assert await_database(address, 30, talk=said.append) == "8.0.42"
    assert len(said) == 1


def test_why_the_way_there_has_closed_comes_before_what_the_database_does_not_say() -> None:
    closed = OutsideWorldError("The tunnel has closed: idle")
    with _server(b"") as address, pytest.raises(OutsideWorldError, match="has closed: idle"):
        await_database(address, 30, talk=lambda _: None, why_ended=lambda: closed)


def test_roots_that_are_none_are_told(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text("nothing")
    with _server(_packet(_GREETING)) as address, pytest.raises(OutsideWorldError, match="not a bundle of certificates"):
        greeting(address, 5, identity=Identity("db", tmp_path / "roots.pem"))
