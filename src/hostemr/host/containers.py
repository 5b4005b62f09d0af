"""The server's containers, through Docker and its compose plug-in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hostemr.errors import OutsideWorldError
from hostemr.host.programs import HOUR, MINUTE, ProgramFailed, Programs

COMPOSE_FILE = Path("/etc/hostemr/compose.yaml")
DATABASE = "mysql"
"""The compose service of the database; the seed's name for it, which OpenEMR's own settings hold."""

_ONE_OFF = "hostemr-one-off"
_REMOVED = re.compile(r"no such container|removal of container \S+ is already in progress", re.IGNORECASE)
_STOP_SECONDS = 120
"""What MariaDB may take to write its buffer pool before Docker kills it."""


class Containers:
    """Starts, stops and enters the services of the compose file; runs images on their own."""

    def __init__(self, programs: Programs, compose_file: Path = COMPOSE_FILE) -> None:
        self._programs = programs
        self._compose = ["docker", "compose", "--project-name", "openemr", "--file", str(compose_file)]

    def up(self, *services: str, timeout: float = 15 * MINUTE, anew: bool = False) -> None:
        """Start services, all without names, and wait until each is healthy. Raises ProgramFailed.

        `anew` replaces those that run: one that somebody started meanwhile has other data mounted.
        """
        seconds = str(int(timeout))
        command = [*self._compose, "up", "--detach", "--wait", "--wait-timeout", seconds]
        command += ["--force-recreate"] if anew else []
        command += services
        # Beyond the wait for health there may be an image to pull.
        self._programs.run(command, timeout=timeout + 15 * MINUTE)

    def stop(self) -> None:
        """Stop and remove all containers, so that the next start mounts what `current` then leads to.

        Volumes stay. Raises ProgramFailed.
        """
        command = [*self._compose, "down", "--timeout", str(_STOP_SECONDS)]
        self._programs.run(command, timeout=2 * _STOP_SECONDS + MINUTE)

    def healthy(self) -> frozenset[str]:
        """The services that run and are well, as far as Docker can tell. Raises ProgramFailed."""
        told = self._programs.run([*self._compose, "ps", "--format", "json"], timeout=MINUTE).strip()
        # Since 2.21 the plug-in writes an object a line, before that one list.
        found = json.loads(told) if told.startswith("[") else [json.loads(line) for line in told.splitlines()]
        return frozenset(
            one["Service"] for one in found if one["State"] == "running" and one.get("Health") in {"healthy", "", None}
        )

    def exec(
        self,
        service: str,
        argv: Sequence[str | Path],
        *,
        text: str | None = None,
        timeout: float = HOUR,
        output: IO[bytes] | None = None,
    ) -> str:
        """Run a program inside a running service as its root; answers its stdout. Raises ProgramFailed."""
        command = [*self._compose, "exec", "-T", "--user", "0:0", service, *argv]
        return self._programs.run(command, text=text, timeout=timeout, output=output)

    def one_off(
        self, image: str, argv: Sequence[str | Path], *, folders: Sequence[Path], timeout: float = 6 * HOUR
    ) -> str:
        """Run a program of an image to its end, as root, without a network; `folders` have the same paths inside.

        What an earlier one left behind is removed first, and it is ended where it takes longer than `timeout` seconds.
        Raises ProgramFailed.
        """
        # Named, since Docker's client can be killed, or given up on, while the container goes on.
        self._remove(_ONE_OFF)
        command = ["docker", "run", "--rm", "--name", _ONE_OFF, *_alone(image, argv, folders)]
        try:
            return self._programs.run(command, timeout=timeout)
        except BaseException:
            self._remove(_ONE_OFF)
            raise

    @contextmanager
    def background(
        self, name: str, image: str, argv: Sequence[str | Path], *, folders: Sequence[Path]
    ) -> Iterator[Background]:
        """Run a program of an image as a container of this name while the block runs.

        What an earlier run of that name left behind is removed first; whatever happens, nothing is left behind.
        """
        self._remove(name)
        command = ["docker", "run", "--rm", "--name", name, *_alone(image, argv, folders)]
        with tempfile.TemporaryFile() as talk:
            process = subprocess.Popen(  # noqa: S603, the agent's own command
                [str(word) for word in command],
                env=dict(self._programs.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=talk,
            )
            try:
                yield Background(self._programs, name, process, talk)
            finally:
                try:
                    # A client that ended by itself took its container along; one that was killed did not.
                    if process.poll() is None or process.returncode < 0:
                        self._remove(name)
                    process.wait(timeout=_STOP_SECONDS)
                finally:
                    process.kill()
                    process.wait()

    def _remove(self, name: str) -> None:
        try:
            self._programs.run(["docker", "rm", "--force", name], timeout=2 * MINUTE)
        except ProgramFailed as error:
            # With --rm, Docker removes it too, and says so to whoever comes second.
            if not _REMOVED.search(error.output):
                raise


class Background:
    """A container that runs in the background."""

    def __init__(self, programs: Programs, name: str, process: subprocess.Popen[bytes], talk: IO[bytes]) -> None:
        self._programs = programs
        self._name = name
        self._process = process
        self._talk = talk

    def exec(self, argv: Sequence[str | Path], *, text: str | None = None, timeout: float = 6 * HOUR) -> str:
        """Run a program inside; answers its stdout. Raises ProgramFailed."""
        interactive = [] if text is None else ["--interactive"]
        return self._programs.run(["docker", "exec", *interactive, self._name, *argv], text=text, timeout=timeout)

    @property
    def ended(self) -> bool:
        """Whether its program has ended."""
        return self._process.poll() is not None

    def ends_within(self, seconds: float) -> bool:
        """Whether its program has ended, or does so within some seconds."""
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def said(self) -> str:
        """The last line that it, or Docker about it, wrote to stderr."""
        # The position belongs to the program that writes, too; the end is where it writes on.
        self._talk.seek(max(0, self._talk.seek(0, os.SEEK_END) - 4096))
        lines = self._talk.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""

    def wait(self, timeout: float) -> int:
        """Its exit status, once it has ended. Raises OutsideWorldError after `timeout` seconds."""
        until = time.monotonic() + timeout
        while (status := self._process.poll()) is None:
            if time.monotonic() >= until:
                raise OutsideWorldError(f"The container {self._name} did not end within {timeout:.0f} seconds.")
            time.sleep(0.05)
        return status


def _alone(image: str, argv: Sequence[str | Path], folders: Sequence[Path]) -> list[str]:
    program, *rest = map(str, argv)
    mounts = [word for folder in folders for word in ("--volume", f"{folder}:{folder}")]
    return ["--network", "none", "--user", "0:0", *mounts, "--entrypoint", program, image, *rest]
