"""A real `hostemr serve` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

UNLIMITED = {
    "HOSTEMR_RATE_LIMIT_CLIENT": "100000000/minute",
    "HOSTEMR_RATE_LIMIT_DOMAIN": "100000000/minute",
    "HOSTEMR_RATE_LIMIT_GLOBAL": "100000000/minute",
    "HOSTEMR_RATE_LIMIT_USAGE": "100000000/minute",
    "HOSTEMR_RATE_LIMIT_UNSUBSCRIBE": "100000000/minute",
}


def clean_environment(**variables: str) -> dict[str, str]:
    """This process's environment without any setting of hostemr, and with `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOSTEMR_")}
    return {**kept, **variables}


def hostemr(
    *arguments: str, folder: Path, given: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end in `folder`; `given` is its standard input."""
    return subprocess.run(
        [sys.executable, "-m", "hostemr", *arguments],
        input=given,
        cwd=folder,
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class ServerProcess:
    """`with ServerProcess(url, folder) as server:`; `server.url` answers. Logs go to `folder/server.log`."""

    def __init__(self, database_url: str | None, folder: Path, *arguments: str, **variables: str) -> None:
        self._command = [
            *(sys.executable, "-m", "hostemr", "serve", "--json", "--port", "0"),
            *(("--database", database_url) if database_url else ()),
            *arguments,
        ]
        self._folder = folder
        self._environment = clean_environment(**{**UNLIMITED, **variables})
        self.url = ""
        self.urls: dict[str, str] = {}
        self.process: subprocess.Popen[str] | None = None

    @property
    def log(self) -> str:
        return (self._folder / "server.log").read_text()

    def start(self) -> None:
        """Start it and wait until it says where it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the server did not start:\n{self.log}"
        self.urls = json.loads(line)
        self.url = self.urls["url"]

    def stop(self) -> int:
        """Ctrl-C; answers the exit status."""
        return self._end(signal.SIGINT)

    def kill(self) -> int:
        return self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
        status = self.process.wait(timeout=30)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.stop()
