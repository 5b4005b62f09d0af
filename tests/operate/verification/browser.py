"""A real Chromium without a window, driven by the DevTools protocol over a pipe: no port, no further package.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import time
from pathlib import Path
from typing import Any, Self

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--remote-debugging-pipe",
    # The stand-ins' certificates are their own.
    "--ignore-certificate-errors",
    "--window-size=900,600",
)


def installed() -> str | None:
    """Where Chromium is."""
    return shutil.which("chromium")


class ProtocolError(Exception):
    """Chromium refused a command, as it does while a page gives way to the next."""


class Chromium:
    """`with Chromium(folder) as browser:` is one empty page; everything it keeps is in the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._unread = b""
        self._session: str | None = None

    def __enter__(self) -> Self:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # Away from 3 and 4, which Chromium reads and writes.
        high_in, high_out = (fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 10) for one in (theirs_in, theirs_out))
        program = str(installed())
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._pid = os.posix_spawn(
            program,
            [program, *FLAGS, f"--user-data-dir={self._folder}", "about:blank"],
            {**os.environ, "HOME": str(self._folder)},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, nowhere, 1),
                (os.POSIX_SPAWN_DUP2, nowhere, 2),
                (os.POSIX_SPAWN_DUP2, high_in, 3),
                (os.POSIX_SPAWN_DUP2, high_out, 4),
            ],
            setpgroup=0,
        )
        for one in (theirs_in, theirs_out, high_in, high_out, nowhere):
            os.close(one)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._in)
        os.close(self._out)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 30
        while True:
            answer = self._message(deadline)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise ProtocolError(answer["error"])
                result: dict[str, Any] = answer["result"]
                return result

    def visit(self, url: str) -> None:
        """Go to a page."""
        told = self.call("Page.navigate", url=url)
        assert "errorText" not in told, told["errorText"]

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def until(self, script: str, seconds: float = 20) -> Any:
        """The value of an expression once it is true on a page that is whole."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(ProtocolError):
                if value := self.run(f"document.readyState === 'complete' && ({script})"):
                    return value
            time.sleep(0.05)
        raise AssertionError(f"never true: {script}; at {self.run('location.href')}: {self.text}")

    @property
    def text(self) -> str:
        """What the page reads."""
        return str(self.run("document.body.innerText"))

    def picture(self, file: Path) -> None:
        """A screenshot in PNG."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def _message(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._in], [], [], max(deadline - time.monotonic(), 0))
            piece = os.read(self._in, 1 << 16) if ready else b""
            assert piece, "Chromium said nothing more"
            self._unread += piece
        line, self._unread = self._unread.split(b"\0", 1)
        read: dict[str, Any] = json.loads(line)
        return read
