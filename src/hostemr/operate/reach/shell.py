"""A command, or a shell, in a container: the session, the terminal, and the command's exit status.

ECS Exec does not tell how a command ended. So a command is started by the container's /bin/sh, which says before and
after it a word that nothing else says; what stands between is its output.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ExecuteCommand.html
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore import exceptions

from hostemr.errors import OutsideWorldError
from hostemr.operate.aws import Aws, error_code, translated
from hostemr.operate.printable import printable
from hostemr.operate.reach.plugin import Session, SessionPlugin
from hostemr.operate.reach.tasks import Place
from hostemr.operate.reach.tunnel import end

SHELL = "/bin/sh"
_CHUNK = 65536


@dataclass(frozen=True)
class Marked:
    """A command between two words that only its shell knows.

    `with_input` leaves the terminal's input to it; without, it finds its input empty, for a pty has no end of file.
    """

    command: Sequence[str]
    with_input: bool
    word: str = field(default_factory=lambda: f"hostemr-{secrets.token_hex(8)}")

    def line(self) -> str:
        """The command line for ECS, whose agent splits it as a shell does."""
        script = 'w=$1; shift; echo "$w begins"; "$@"' + ("" if self.with_input else " </dev/null")
        return shlex.join([SHELL, "-c", f'{script}; echo "$w ends $?"', "sh", self.word, *self.command])


class StatusReader:
    """Takes the words out of what a session says; `status` is the command's, once it has ended."""

    def __init__(self, word: str) -> None:
        self.before = b""
        self.began = False
        self.status: int | None = None
        self._word = word.encode()
        self._begins = re.compile(re.escape(self._word) + rb" begins\r?\n")
        self._ends = re.compile(re.escape(self._word) + rb" ends (\d{1,3})\r?\n")
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """What of the output is certain now. The plugin's own words, before and after it, are left out."""
        if self.status is not None:
            return b""
        self._held += chunk
        if not self.began:
            found = self._begins.search(self._held)
            if not found:
                return b""
            self.before, self._held, self.began = self._held[: found.start()], self._held[found.end() :], True
        ended = self._ends.search(self._held)
        if ended:
            self.status = int(ended[1])
            return self._held[: ended.start()]
        return self._certain()

    def rest(self) -> bytes:
        """What was held back, where the session ended before the command."""
        return self._held

    def _certain(self) -> bytes:
        """All but an ending that may grow into the last words; a list of processes has the word alone."""
        last = self._word + b" ends "
        at = self._held.find(last)
        if at < 0:
            grown = (length for length in range(len(last) - 1, 0, -1) if self._held.endswith(last[:length]))
            at = len(self._held) - next(grown, 0)
        certain, self._held = self._held[:at], self._held[at:]
        return certain


def run_command(
    aws: Aws,
    plugin: SessionPlugin,
    place: Place,
    marked: Marked,
    *,
    profile: str | None = None,
    write: Callable[[bytes], object],
    talk: Callable[[str], None],
) -> int:
    """Runs it, gives its output to `write` as it comes, and answers its exit status.

    Raises OutsideWorldError where it did not begin, or the session ended before it did.
    """
    reader = StatusReader(marked.word)
    with _session(aws, place, marked.line(), talk) as session:
        arguments, environment = plugin.command(aws, session, _request(place), profile)
        # The plugin ends the session when its input ends, so without a terminal it is given one that stays open.
        reading, writing = os.pipe()
        try:
            given = None if marked.with_input else reading
            with (
                terminal_signals_left_to_the_plugin(),
                subprocess.Popen(arguments, env=environment, stdin=given, stdout=subprocess.PIPE) as process,  # noqa: S603
            ):
                if process.stdout is None:
                    raise TypeError("a pipe was asked for")
                try:
                    while chunk := os.read(process.stdout.fileno(), _CHUNK):
                        write(reader.feed(chunk))
                except BaseException:
                    # As when whoever read the output has enough: a command that is silent would hold us.
                    process.terminate()
                    raise
        finally:
            os.close(reading)
            os.close(writing)
        if reader.status is None:
            raise _not_ended(reader, place)
    return reader.status


def run_shell(
    aws: Aws,
    plugin: SessionPlugin,
    place: Place,
    command: str = SHELL,
    *,
    profile: str | None = None,
    talk: Callable[[str], None],
) -> None:
    """Hands the terminal to a shell, or to another program that wants one, until it ends."""
    with _session(aws, place, command, talk) as session:
        arguments, environment = plugin.command(aws, session, _request(place), profile)
        with (
            terminal_signals_left_to_the_plugin(),
            subprocess.Popen(arguments, env=environment) as process,  # noqa: S603
        ):
            status = process.wait()
        if status:
            raise OutsideWorldError(f"session-manager-plugin ended with status {status}.")


@contextmanager
def terminal_signals_left_to_the_plugin() -> Iterator[None]:
    """Inside, ctrl-C and ctrl-Z do nothing to us: the plugin gets them too, and sends them to the container.

    Not SIG_IGN, which the plugin would inherit.
    """
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGQUIT", "SIGTSTP") if hasattr(signal, name)]
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _session(aws: Aws, place: Place, command: str, talk: Callable[[str], None]) -> Iterator[Session]:
    """A session in the container; one whose end is not in order is ended at AWS."""
    with translated("starting the session"):
        try:
            reply = aws.client("ecs").execute_command(
                cluster=place.cluster, task=place.task, container=place.container, command=command, interactive=True
            )
        except exceptions.ClientError as error:
            if error_code(error) == "TargetNotConnectedException":
                message = f"The agent in {place.container} is not connected."
                hint = (
                    "a task that has just begun needs a minute; else it lacks ssmmessages, by its role or its network"
                )
                raise OutsideWorldError(message, hint=hint) from error
            raise
    told = reply["session"]
    session = Session(told["sessionId"], told["streamUrl"], told["tokenValue"])
    try:
        yield session
    except BaseException:
        end(aws, session, talk)
        raise


def _request(place: Place) -> dict[str, Any]:
    return {"Target": place.target}


def _not_ended(reader: StatusReader, place: Place) -> OutsideWorldError:
    if reader.began:
        hint = "look in the container whether it still runs"
        return OutsideWorldError("The session ended before the command did: its status is not known.", hint=hint)
    said = printable(" ".join(reader.rest().decode(errors="replace").split()), 600)
    message = f"The command did not begin in {place.container}: {said or 'the session ended at once'}"
    return OutsideWorldError(message, hint=f"it is started by {SHELL}, which the container must have")
