"""Where the browser brings the authorization code: a server on this machine's loopback (RFC 8252, 7.3).

It is called localhost and not 127.0.0.1. AWS's common firewall rules refuse a query with a URL that holds an IPv4
address (GenericRFI_QUERYARGUMENTS), and `redirect_uri` is such a query.
https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
"""

from __future__ import annotations

import errno
import hmac
import html
import queue
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from hostemr.errors import SettingsError
from hostemr.operate.verification.outcome import Failed

PATH = "/callback"
# Long enough for a browser to fetch the last page before the server goes.
FAREWELL_SECONDS = 3.0
# To find a port that is free on both addresses.
_ATTEMPTS = 5

_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center;
  font: 1.05rem/1.5 system-ui, sans-serif; background: Canvas; color: CanvasText; }
main { max-width: 32rem; padding: 2rem; text-align: center; }
.mark { width: 4.5rem; height: 4.5rem; margin: 0 auto 1rem; border-radius: 50%; display: grid;
  place-items: center; font-size: 2.4rem; color: #fff; background: #1a7f4b; }
.mark.no { background: #b3261e; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; }
p { margin: .5rem 0; }
"""


@dataclass(frozen=True)
class _Arrival:
    """What the browser brought, judged."""

    code: str = field(default="", repr=False)
    failure: str = ""


class Callback:
    """`with Callback(port) as callback:` gives `redirect_uri`, and `wait` for the code. Port 0 takes a free one.

    Raises SettingsError when the port is taken.
    """

    def __init__(self, port: int = 0) -> None:
        self._arrivals: queue.Queue[_Arrival] = queue.Queue()
        self._state: str | None = None
        self._over = threading.Event()
        self._seen = threading.Event()
        self._servers = _servers(port, self)
        self.port: int = self._servers[0].server_address[1]
        self.redirect_uri = f"http://localhost:{self.port}{PATH}"

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._over.is_set():
            self._seen.wait(FAREWELL_SECONDS)
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def expect(self, state: str) -> None:
        """Take an answer with this state, and fail on any other."""
        self._state = state

    def wait(self, seconds: float) -> str:
        """The code. Raises Failed when there is an error instead, or nothing in time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                # In short pieces, so that Ctrl-C is heard everywhere.
                arrival = self._arrivals.get(timeout=min(left, 0.5))
            except queue.Empty:
                continue
            if arrival.failure:
                raise Failed(arrival.failure)
            return arrival.code
        raise Failed(
            f"the browser did not come back within {seconds:.0f} seconds",
            remedy="log in and choose Authorize; the browser has to be on this machine, since it is led to localhost",
        )

    def answer(self, target: str) -> tuple[int, str, str]:
        """Judge a request; answers status, Location or nothing, and page."""
        parts = urlsplit(target)
        if parts.path == PATH and not self._over.is_set() and self._state is not None:
            arrival = _judge({key: values[-1] for key, values in parse_qs(parts.query).items()}, self._state)
            self._over.set()
            self._arrivals.put(arrival)
            # On, to a page without the code: that one would stay in the address bar and the history.
            return 303, "/failed" if arrival.failure else "/done", ""
        if parts.path == "/done":
            return 200, "", _page("✓", "You can close this window", "hostemr has what it needs and goes on checking.")
        if parts.path == "/failed":
            told = "OpenEMR did not authorize hostemr. The command line says why."
            return 200, "", _page("✗", "That did not work", told, good=False)
        return 404, "", _page("?", "Nothing here", "This address only waits for OpenEMR's answer.", good=False)

    def farewell(self) -> None:
        """The last page was fetched."""
        self._seen.set()


def _judge(given: dict[str, str], state: str) -> _Arrival:
    if not hmac.compare_digest(given.get("state", "").encode(), state.encode()):
        return _Arrival(failure="the answer's state is not the one that was sent; it may be forged")
    if "error" in given:
        return _Arrival(failure=f"OpenEMR answered {': '.join([given['error'], *_description(given)])[:300]}")
    if not given.get("code"):
        return _Arrival(failure="the answer holds no code")
    return _Arrival(code=given["code"])


def _description(given: dict[str, str]) -> list[str]:
    return [given["error_description"]] if given.get("error_description") else []


def _page(mark: str, title: str, text: str, *, good: bool = True) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>hostemr: {html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f'<main><div class="mark{"" if good else " no"}" aria-hidden="true">{mark}</div>'
        f"<h1>{html.escape(title)}</h1><p>{html.escape(text)}</p></main></html>"
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, callback: Callback) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.callback = callback
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    server_version = "hostemr"
    sys_version = ""
    timeout = 10

    def do_GET(self) -> None:
        callback = self.server.callback  # type: ignore[attr-defined]
        # Names that lead here without being ours would be another site's (DNS rebinding).
        if (self.headers.get("Host") or "").rsplit(":", 1)[0] not in {"localhost", "127.0.0.1", "[::1]"}:
            self.send_error(400)
            return
        status, location, page = callback.answer(self.path)
        body = page.encode()
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        if status == 200:
            callback.farewell()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, the library's name
        """Nothing: the address holds the code."""


def _servers(port: int, callback: Callback) -> list[_Server]:
    """On both loopback addresses, since browsers differ in which `localhost` is; IPv6 only where there is any.

    Where somebody else has the port on the one of them, the browser could bring the code there.
    """
    attempts = 1 if port else _ATTEMPTS
    while True:
        attempts -= 1
        try:
            first = _Server("127.0.0.1", port, callback)
            try:
                return [first, _Server("::1", first.server_address[1], callback)]
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    return [first]
                first.server_close()
                raise
        except OSError as error:
            if attempts:
                continue
            raise SettingsError(
                [f"port {port} of this machine cannot be used: {error.strerror or error}"],
                hint="--callback-port names another; a client that is known from before keeps its own",
            ) from error
