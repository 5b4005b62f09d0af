"""Stands in for Tomcat: `server.py PORT HOME LOG` answers for OpenMRS' health and its installer until SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, HOME, LOG = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])


class Answers(BaseHTTPRequestHandler):
    """200 once the file `started` is there, and the installer's page with or without errors."""

    def do_GET(self) -> None:
        """Answer as core's StartupFilter and InitializationFilter do."""
        body = b""
        if self.path == "/openmrs/health/started":
            status = 200 if (HOME / "started").exists() else 503
        else:
            status = 200
            body = b'{"hasErrors": true}' if (HOME / "errors").exists() else b'{"hasErrors": false}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


server = ThreadingHTTPServer(("127.0.0.1", PORT), Answers)


def end(*_: object) -> None:
    """As Tomcat does, which takes its time."""
    with LOG.open("a") as log:
        log.write("tomcat ended\n")
    threading.Thread(target=server.shutdown).start()


signal.signal(signal.SIGTERM, end)
(HOME / "listening").touch()
server.serve_forever()
