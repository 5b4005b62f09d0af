"""Stands in for Tomcat: `server.py PORT HOME LOG` answers for OpenMRS' health and its installer until SIGTERM.

By a bare socket: it starts with almost every test, and Python's own server takes longer to import than to serve.
"""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

PORT, HOME, LOG = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])


def answer(path: bytes) -> bytes:
    """200 once the file `started` is there, and the installer's page with or without errors, as core's filters say."""
    if path == b"/openmrs/health/started":
        return _response(b"200 OK" if (HOME / "started").exists() else b"503 Service Unavailable", b"")
    return _response(b"200 OK", b'{"hasErrors": true}' if (HOME / "errors").exists() else b'{"hasErrors": false}')


def _response(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body)


def end(*_: object) -> None:
    """As Tomcat does, which takes its time."""
    with LOG.open("a") as log:
        log.write("tomcat ended\n")
    sys.exit()


with socket.create_server(("127.0.0.1", PORT)) as server:
    signal.signal(signal.SIGTERM, end)
    (HOME / "listening").touch()
    while True:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(5)
            try:
                words = connection.recv(65536).split()
                if len(words) > 1:
                    connection.sendall(answer(words[1]))
            except OSError:
                # Who asks may be killed before it has its answer.
                continue
