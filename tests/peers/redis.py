"""A private Redis server, TLS only and with one user, as ElastiCache serves Valkey."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers.loopback import free_port
from tests.peers.mariadb import find_program

START_TIMEOUT_SECONDS = 20
# Debian's redis-tools has the server under this name; what it does depends on the name it is called by. The package
# redis-server would start a server of its own.
_PROGRAM = "redis-check-rdb"


def installed() -> bool:
    """Whether this machine has the Redis server."""
    return find_program(_PROGRAM) is not None


class PrivateRedis:
    """`with PrivateRedis(…) as cache:` starts it on `cache.port` of 127.0.0.1."""

    def __init__(self, *, certificate: Path, key: Path, authority: Path, user: str, password: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hostemr-redis-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = [
            "port 0",
            f"tls-port {self.port}",
            "bind 127.0.0.1",
            f"tls-cert-file {certificate}",
            f"tls-key-file {key}",
            f"tls-ca-cert-file {authority}",
            "tls-auth-clients no",
            "user default off",
            f'user {user} on ">{password}" ~* &* +@all',
            'save ""',
            f"dir {self.folder}",
        ]

    def __enter__(self) -> Self:
        program = find_program(_PROGRAM)
        assert program is not None, "redis-tools is not installed"
        settings = self.folder / "redis.conf"
        settings.write_text("\n".join(self._settings) + "\n")
        log = (self.folder / "log").open("wb")
        with log:
            self._process = subprocess.Popen(
                ["redis-server", str(settings)], executable=program, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    message = f"redis-server did not start:\n{(self.folder / 'log').read_text()}"
                    raise RuntimeError(message) from None
                time.sleep(0.05)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=20)
        shutil.rmtree(self.folder, ignore_errors=True)
