"""Other programs, run so that their failures are told in one line and their secrets are told to nobody."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any, Self

from hostemr.errors import OutsideWorldError

SECOND = 1.0
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

# cron's PATH has neither snaps nor sbin, and what it has differs between releases.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"
_LAST_LINES = 3
_LOOKS_EVERY = 2 * SECOND


class ProgramFailed(OutsideWorldError):
    """A program could not be started, ended with another status than 0, or took too long.

    `status` is its exit status, None where it has none; `output` the end of what it said, without secrets.
    """

    def __init__(self, message: str, *, status: int | None, output: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.output = output


class Programs:
    """Runs programs with the agent's environment.

    `secrets` of a call are environment variables; wherever their values appear in what the program said, they are
    taken out before anybody reads it. Secrets never stand in `argv`, which every user of the machine can read.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        given = dict(os.environ if environment is None else environment)
        given["PATH"] = ":".join(filter(None, (given.get("PATH"), _PATH)))
        given.setdefault("LC_ALL", "C.UTF-8")
        self.environment: Mapping[str, str] = given

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        secrets: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        text: str | None = None,
        timeout: float = 10 * MINUTE,
        output: IO[bytes] | None = None,
        answers_secret: bool = False,
        hung: Callable[[], bool] | None = None,
    ) -> str:
        """What the program wrote to stdout, or nothing where it goes to the file `output`.

        `text` is its stdin (none otherwise), `timeout` in seconds. With `answers_secret` no error shows its stdout.
        `hung` is asked every few seconds whether the program only seems to be at work; it and all it has started are
        killed then. Raises ProgramFailed.
        """
        words = [str(word) for word in argv]
        try:
            given = {**self.environment, **(environment or {}), **(secrets or {})}
            data = None if text is None else text.encode()
            done = _ran(words, given, data, output or subprocess.PIPE, timeout=timeout, hung=hung)
        except FileNotFoundError as error:
            raise ProgramFailed(f"{words[0]} is not installed.", status=None, output="") from error
        except OSError as error:
            message = f"{words[0]} could not be started: {error.strerror or error}."
            raise ProgramFailed(message, status=None, output="") from error
        except ValueError as error:
            # A NUL in an argument or in a secret; which one, the system does not say.
            message = f"{words[0]} could not be started: a NUL character stands in what it is given."
            raise ProgramFailed(message, status=None, output="") from error
        except subprocess.TimeoutExpired as error:
            message = f"`{without(shlex.join(words), secrets)}` took longer than {timeout:.0f} seconds and was stopped."
            said = without((error.stderr or b"").decode(errors="replace"), secrets)
            raise ProgramFailed(message, status=None, output=said) from error
        if done.returncode == 0:
            return (done.stdout or b"").decode(errors="replace")
        said = without((done.stderr or b"").decode(errors="replace"), secrets).strip()
        if not said and not answers_secret:
            said = without((done.stdout or b"").decode(errors="replace"), secrets).strip()
        last = " / ".join(line.strip() for line in said.splitlines()[-_LAST_LINES:]) or "it said nothing"
        message = f"`{without(shlex.join(words), secrets)}` failed with status {done.returncode}: {last}"
        raise ProgramFailed(message, status=done.returncode, output=said)


def _ran(
    words: list[str],
    environment: Mapping[str, str],
    given: bytes | None,
    output: IO[bytes] | int,
    *,
    timeout: float,
    hung: Callable[[], bool] | None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end, and whatever comes, leave none behind; with `hung`, in a group of its own."""
    with _Postponed() as signals:
        process = subprocess.Popen(  # noqa: S603, the agent's own commands
            words,
            env=environment,
            stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
            stdout=output,
            stderr=subprocess.PIPE,
            process_group=None if hung is None else 0,
        )
        with process:
            try:
                signals.take_effect()
                out, err = _heard(process, given, timeout, hung)
            except BaseException:
                if process.poll() is None:
                    _kill(process, hung)
                raise
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def _heard(
    process: subprocess.Popen[bytes], given: bytes | None, timeout: float, hung: Callable[[], bool] | None
) -> tuple[bytes, bytes]:
    """What the program wrote until its end. Raises TimeoutExpired."""
    if hung is None:
        return process.communicate(given, timeout=timeout)
    until = time.monotonic() + timeout
    while True:
        try:
            return process.communicate(given, timeout=_LOOKS_EVERY)
        except subprocess.TimeoutExpired:
            # The first call has taken it, and the next ones refuse any.
            given = None
            if hung():
                _kill(process, hung)
            elif time.monotonic() > until:
                _kill(process, hung)
                raise subprocess.TimeoutExpired(process.args, timeout, stderr=process.communicate()[1]) from None


def _kill(process: subprocess.Popen[bytes], hung: Callable[[], bool] | None) -> None:
    if hung is None:
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)


class _Postponed:
    """While the block runs, a signal that has a handler waits until `take_effect`, or until the block's end.

    A handler that raises while Popen() is at work would leave a program that nobody knows of, and that goes on with
    the backup beside the agent's next run. A mask would do less: the program inherits it, and could not be ended.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._came: list[int] = []

    def __enter__(self) -> Self:
        # Other threads are never interrupted, and may not set a handler.
        if threading.current_thread() is threading.main_thread():
            try:
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                    if callable(signal.getsignal(number)):
                        self._handlers[number] = signal.signal(number, self._note)
            except BaseException:
                self.take_effect()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self.take_effect()

    def take_effect(self) -> None:
        """Give each signal its handler back; raises what the handler of one that has come raises."""
        while self._handlers:
            number, handler = self._handlers.popitem()
            # The handler of another one may have decided that this one is ignored from now on.
            if signal.getsignal(number) == self._note:
                signal.signal(number, handler)
        while self._came:
            signal.raise_signal(self._came.pop(0))

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002, the signature of a handler
        self._came.append(number)


def without(text: str, secrets: Mapping[str, str] | None) -> str:
    """The text with every secret's value replaced by its name."""
    # The longest first: of a secret that holds another one, nothing may be left over.
    for name, value in sorted((secrets or {}).items(), key=lambda each: -len(each[1])):
        if value:
            text = text.replace(value, f"<{name}>")
    return text
