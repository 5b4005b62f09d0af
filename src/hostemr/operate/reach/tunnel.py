"""A port of this machine that leads through a task to the database, for as long as it is held open.

https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-sessions-start.html
"""

from __future__ import annotations

import collections
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import IO, Any

from botocore import exceptions

from hostemr.errors import HostemrError, OutsideWorldError
from hostemr.operate.aws import Aws, error_code, translated
from hostemr.operate.printable import printable
from hostemr.operate.reach.plugin import Session, SessionPlugin
from hostemr.operate.reach.ports import owner

DOCUMENT = "AWS-StartPortForwardingSessionToRemoteHost"
OPEN_SECONDS = 60
CLOSE_SECONDS = 5
_OPENED = re.compile(r"Port (?P<port>\d+) opened")


@dataclass(frozen=True)
class Route:
    """From a port here, through a container there, to a host that it reaches. Port 0 lets the system choose."""

    target: str
    host: str
    remote_port: int
    local_port: int

    def request(self) -> dict[str, Any]:
        """The request of StartSession."""
        parameters = {
            "host": [self.host],
            "portNumber": [str(self.remote_port)],
            "localPortNumber": [str(self.local_port)],
        }
        return {"Target": self.target, "DocumentName": DOCUMENT, "Parameters": parameters}


class Tunnel:
    """An open one; `port` is the local port."""

    def __init__(self, session_id: str, process: subprocess.Popen[str], output: IO[str]) -> None:
        self.session_id = session_id
        self.port = 0
        self._process = process
        self._said: collections.deque[str] = collections.deque(maxlen=8)
        self._opened = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(output,), daemon=True)
        self._reader.start()

    def why_ended(self) -> HostemrError | None:
        """Why it is open no more, in the plugin's words; None while it is."""
        return None if self._process.poll() is None else self._ended()

    def wait(self) -> HostemrError:
        """Holds it open until it ends by itself; answers why."""
        self._process.wait()
        return self._ended()

    def await_open(self, seconds: float, local_port: int) -> None:
        """Until the plugin listens. Raises OutsideWorldError when it ends before, or takes longer."""
        told = self._opened.wait(seconds)
        if self.port:
            return
        taken = owner(local_port) if local_port else ""
        if taken:
            raise OutsideWorldError(f"The tunnel did not open: port {local_port} is taken by {taken}.")
        why = self._last_words() if told else f"it is not open after {seconds:.0f} seconds"
        hint = "look at the task's health; sessions need ssmmessages, and your network a WebSocket to AWS on port 443"
        raise OutsideWorldError(f"The tunnel did not open: {why}", hint=hint)

    def close(self) -> None:
        """Ends the plugin, which tells AWS; kills it when it does not end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(CLOSE_SECONDS)

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                if line.strip():
                    self._said.append(line.strip())
                found = _OPENED.search(line)
                if found:
                    self.port = int(found["port"])
                    self._opened.set()
        # It will open no more, so nobody need wait for that.
        self._opened.set()

    def _ended(self) -> HostemrError:
        # It may have said something that is not read yet.
        self._reader.join(CLOSE_SECONDS)
        hint = "sessions end after 20 minutes without traffic, and when the task is replaced; give the command again"
        return OutsideWorldError(f"The tunnel has closed: {self._last_words()}", hint=hint)

    def _last_words(self) -> str:
        said = [line for line in self._said if not _OPENED.search(line) and not line.startswith("Waiting for")]
        return printable(said[-1], 300) if said else "session-manager-plugin said nothing"


@contextmanager
def open_tunnel(
    aws: Aws, plugin: SessionPlugin, route: Route, *, profile: str | None = None, talk: Callable[[str], None]
) -> Iterator[Tunnel]:
    """The tunnel, open inside of the block. Whatever ends the block, the plugin and AWS's session end with it.

    Raises OutsideWorldError where AWS refuses the session or it does not open.
    """
    request = route.request()
    session = begin(aws, request)
    tunnel = None
    try:
        arguments, environment = plugin.command(aws, session, request, profile)
        tunnel = Tunnel(session.session_id, *_started(arguments, environment))
        tunnel.await_open(OPEN_SECONDS, route.local_port)
        yield tunnel
    finally:
        if tunnel is not None:
            tunnel.close()
        end(aws, session, talk)


def begin(aws: Aws, request: Mapping[str, Any]) -> Session:
    """Asks AWS for a session. Raises OutsideWorldError where it refuses, or the target is not connected."""
    with translated("starting the session"):
        try:
            reply = aws.client("ssm").start_session(**request)
        except exceptions.ClientError as error:
            if error_code(error) == "TargetNotConnected":
                message = "The task is not connected to Session Manager."
                hint = "a task that has just begun needs a minute; else its agent does not reach ssmmessages"
                raise OutsideWorldError(message, hint=hint) from error
            raise
    return Session(reply["SessionId"], reply["StreamUrl"], reply["TokenValue"])


def end(aws: Aws, session: Session, talk: Callable[[str], None]) -> None:
    """Tells AWS that the session is over; where that fails the work is done all the same, and AWS ends it when idle."""
    try:
        with translated("ending the session"):
            try:
                aws.client("ssm").terminate_session(SessionId=session.session_id)
            except exceptions.ClientError as error:
                # The plugin was quicker.
                if error_code(error) != "DoesNotExistException":
                    raise
    except HostemrError as error:
        talk(f"warning: {error.message} AWS ends {session.session_id} by itself, after 20 minutes without traffic.")


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, a closed terminal and SIGTERM interrupt as ctrl-C does, so that nothing stays open behind us."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001, signal's signature
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _started(arguments: list[str], environment: Mapping[str, str]) -> tuple[subprocess.Popen[str], IO[str]]:
    """The plugin in a process group of its own: ctrl-C in a client is the client's, and does not cut its connection."""
    try:
        process = subprocess.Popen(  # noqa: S603
            arguments,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise OutsideWorldError(f"{arguments[0]} cannot be started: {error.strerror}.") from error
    if process.stdout is None:
        raise TypeError("a pipe was asked for")
    return process, process.stdout
