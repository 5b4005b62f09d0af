"""Other programs, run so that their failures are told in one line and their secrets are told to nobody."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

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
            if hung is not None:
                done = _watched(words, given, timeout, hung)
            else:
                done = subprocess.run(  # noqa: S603, the agent's own commands
                    words,
                    env=given,
                    input=None if text is None else text.encode(),
                    stdin=subprocess.DEVNULL if text is None else None,
                    stdout=output or subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    timeout=timeout,
                    check=False,
                )
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


def _watched(
    words: list[str], environment: Mapping[str, str], timeout: float, hung: Callable[[], bool]
) -> subprocess.CompletedProcess[bytes]:
    """Run a program in a group of its own, which is killed when it hangs."""
    until = time.monotonic() + timeout
    with subprocess.Popen(  # noqa: S603, the agent's own commands
        words,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    ) as process:
        try:
            while True:
                try:
                    out, err = process.communicate(timeout=_LOOKS_EVERY)
                except subprocess.TimeoutExpired:
                    if hung():
                        os.killpg(process.pid, signal.SIGKILL)
                    elif time.monotonic() > until:
                        os.killpg(process.pid, signal.SIGKILL)
                        raise subprocess.TimeoutExpired(words, timeout, stderr=process.communicate()[1]) from None
                else:
                    return subprocess.CompletedProcess(words, process.returncode, out, err)
        except BaseException:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            raise


def without(text: str, secrets: Mapping[str, str] | None) -> str:
    """The text with every secret's value replaced by its name."""
    # The longest first: of a secret that holds another one, nothing may be left over.
    for name, value in sorted((secrets or {}).items(), key=lambda each: -len(each[1])):
        if value:
            text = text.replace(value, f"<{name}>")
    return text
