"""A mail server that accepts everything and keeps nothing but counts, in a process of its own.

`python -m benchmarks.smtp_sink` prints two ports, a line each: SMTP's, and one that answers every
connection with a line of JSON, the fields of `Count`. The first is in its first argument, if any.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

REPOSITORY = Path(__file__).resolve().parent.parent
EXTENSIONS = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-SIZE 0\r\n250 ENHANCEDSTATUSCODES\r\n"
GREETING = b"220 sink ESMTP\r\n"
OK = b"250 2.0.0 OK\r\n"
GO_AHEAD = b"354 End with <CR><LF>.<CR><LF>\r\n"
GOODBYE = b"221 2.0.0 Bye\r\n"
UNKNOWN = b"502 5.5.1 Not implemented\r\n"
NO_RECIPIENT = b"503 5.5.1 No recipient\r\n"
END = b"\r\n.\r\n"
STOP_TIMEOUT_SECONDS = 10
POLL_SECONDS = 0.01


class NotArrivedError(Exception):
    """Fewer messages arrived than were waited for."""


@dataclass(slots=True)
class Count:
    """What has arrived. The times are this machine's monotonic clock; 0 is never.

    `recipients` counts each RCPT whose message was accepted, `distinct` each address among them once.
    """

    messages: int = 0
    recipients: int = 0
    distinct: int = 0
    octets: int = 0
    connections: int = 0
    first_at: float = 0.0
    last_at: float = 0.0


class _Sink:
    """What all connections count in."""

    def __init__(self) -> None:
        self.count = Count()
        self.addresses: set[bytes] = set()

    def accept(self, recipients: list[bytes], octets: int) -> None:
        count = self.count
        count.messages += 1
        count.recipients += len(recipients)
        count.octets += octets
        count.last_at = time.monotonic()
        count.first_at = count.first_at or count.last_at
        self.addresses.update(recipients)

    def line(self) -> bytes:
        self.count.distinct = len(self.addresses)
        return json.dumps(asdict(self.count)).encode() + b"\n"


class _Session(asyncio.Protocol):
    """One connection. Commands that came together are answered together (RFC 2920)."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._recipients: list[bytes] = []
        self._in_data = False
        self._searched = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        connection = cast("socket.socket", transport.get_extra_info("socket"))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sink.count.connections += 1
        self._transport.write(GREETING)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answers: list[bytes] = []
        while self._take_message(answers) if self._in_data else self._take_command(answers):
            pass
        if answers:
            self._transport.write(b"".join(answers))
        if answers and answers[-1] is GOODBYE:
            self._transport.close()

    def _take_command(self, answers: list[bytes]) -> bool:
        buffer = self._buffer
        end = buffer.find(b"\n")
        if end < 0:
            return False
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        verb = line[:4].upper()
        answer = OK
        if verb == b"RCPT":
            self._recipients.append(line[line.find(b"<") + 1 : line.find(b">")].lower())
        elif verb == b"DATA":
            self._in_data = bool(self._recipients)
            self._searched = 0
            answer = GO_AHEAD if self._in_data else NO_RECIPIENT
        elif verb in {b"MAIL", b"RSET"}:
            self._recipients = []
        elif verb == b"EHLO":
            answer = EXTENSIONS
        elif verb == b"QUIT":
            answer = GOODBYE
        elif verb not in {b"HELO", b"NOOP"}:
            answer = UNKNOWN
        answers.append(answer)
        return answer is not GOODBYE

    def _take_message(self, answers: list[bytes]) -> bool:
        buffer = self._buffer
        # The CRLF of DATA itself is part of the end of an empty message.
        if buffer.startswith(END[2:]):
            end, after = 0, len(END) - 2
        else:
            end = buffer.find(END, self._searched)
            if end < 0:
                self._searched = max(0, len(buffer) - len(END))
                return False
            after = end + len(END)
        del buffer[:after]
        self._sink.accept(self._recipients, end)
        self._recipients = []
        self._in_data = False
        answers.append(OK)
        return True


class _Counter(asyncio.Protocol):
    """Answers each connection with the counts, and closes it."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writer = cast("asyncio.Transport", transport)
        writer.write(self._sink.line())
        writer.close()


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    sink = _Sink()
    mail = await loop.create_server(lambda: _Session(sink), "127.0.0.1", port, backlog=1024)
    counts = await loop.create_server(lambda: _Counter(sink), "127.0.0.1", 0)
    for server in (mail, counts):
        print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(mail.serve_forever(), counts.serve_forever())


def _runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    """That of uvloop where there is one: the sink is not to be what is measured."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


def count_at(port: int) -> Count:
    """What the sink that counts at this port has got until now."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        answer = connection.makefile("rb").read()
    return Count(**json.loads(answer))


def wait_until_arrived(port: int, recipients: int, *, timeout_seconds: float) -> Count:
    """The counts, once so many recipients have got their message. Raises NotArrivedError."""
    deadline = time.monotonic() + timeout_seconds
    while (count := count_at(port)).recipients < recipients:
        if time.monotonic() > deadline:
            message = f"{count.recipients} of {recipients} recipients got their message in {timeout_seconds:.0f} s"
            raise NotArrivedError(message)
        time.sleep(POLL_SECONDS)
    return count


class SMTPSink:
    """`with SMTPSink() as sink:` listens at 127.0.0.1:`sink.port`."""

    def __init__(self, *, core: int | None = None) -> None:
        self._core = core
        self._process: subprocess.Popen[str] | None = None
        self.count_port = 0
        self.port = 0

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def count(self) -> Count:
        """What has arrived until now."""
        return count_at(self.count_port)

    def wait_for(self, recipients: int, *, timeout_seconds: float) -> Count:
        """The counts, once so many recipients have got their message. Raises NotArrivedError."""
        return wait_until_arrived(self.count_port, recipients, timeout_seconds=timeout_seconds)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.smtp_sink"],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.count_port = int(self._process.stdout.readline())
        if self._core is not None:
            os.sched_setaffinity(self._process.pid, {self._core})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


if __name__ == "__main__":
    _runner()(_serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
