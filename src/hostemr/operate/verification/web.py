"""One request at a time, redirects and cookies in the open: what a verification needs and a browser hides.

The standard library's client is enough. It keeps no connection, so that each answer stands for itself, and it asks
no proxy, so that the answer is the deployment's own.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urljoin, urlsplit

from hostemr.errors import OutsideWorldError
from hostemr.operate.printable import printable
from hostemr.operate.verification.address import Address

# AWS's common rules refuse requests without a User-Agent (NoUserAgent_HEADER).
USER_AGENT = "hostemr-verify"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# A CapabilityStatement is some hundred KB.
MOST_BYTES = 8 * 1024 * 1024
MOST_REDIRECTS = 5
# Of a redirect's target: all that a URL may hold, so that only what it may not is escaped.
_KEPT = "/%?:@!$&'()*+,;=~[]"


class NoAnswer(OutsideWorldError):
    """The deployment did not answer, or not in a way that can be read."""


class UntrustedCertificate(NoAnswer):
    """Nobody whom this machine trusts vouches for the certificate, or it is for another name."""


@dataclass(frozen=True)
class Reply:
    """What came back; `url` is what was asked."""

    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """A header's value; of several, the first."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self) -> str:
        """The body; what is no UTF-8 is replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty if it is none."""
        try:
            read = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return read if isinstance(read, dict) else {}

    def listed(self, name: str) -> list[Any]:
        """A list in the JSON object; empty if there is none."""
        read = self.json().get(name)
        return read if isinstance(read, list) else []

    @property
    def location(self) -> str | None:
        """Where a redirect leads, as a whole URL; what is no URL stays as it came."""
        value = self.header("Location")
        if value is None or not 300 <= self.status < 400:
            return None
        try:
            return urljoin(self.url, value)
        except ValueError:
            return value


def split(url: str) -> SplitResult:
    """The parts of a URL that a server names; empty where it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


class Cookies:
    """The cookies of one visit, by name."""

    def __init__(self) -> None:
        self.set_by_server: list[str] = []
        self._values: dict[str, str] = {}

    def take(self, reply: Reply) -> None:
        """Keep what a reply sets."""
        for line in reply.all("Set-Cookie"):
            self.set_by_server.append(line)
            name, _, value = line.split(";", 1)[0].partition("=")
            self._values[name.strip()] = value.strip()

    @property
    def header(self) -> str:
        """The `Cookie` header's value; may be empty."""
        return "; ".join(f"{name}={value}" for name, value in self._values.items())


@dataclass(frozen=True)
class Handshake:
    """A TLS connection whose certificate was verified; `certificate` as `ssl.SSLSocket.getpeercert` gives it."""

    version: str
    certificate: Mapping[str, Any]


class Web:
    """Asks one deployment. Raises NoAnswer when nothing readable comes back within `timeout` seconds."""

    def __init__(self, address: Address, context: ssl.SSLContext, *, timeout: float) -> None:
        self.address = address
        self.timeout = timeout
        self._context = context

    def get(self, path: str, **options: Any) -> Reply:
        """`ask` with GET."""
        return self.ask("GET", path, **options)

    def ask(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        data: object = None,
        headers: Mapping[str, str] | None = None,
        bearer: str | None = None,
        basic: tuple[str, str] | None = None,
        cookies: Cookies | None = None,
        user_agent: str | None = USER_AGENT,
    ) -> Reply:
        """One request below the deployment's prefix. `form` is sent as a form, `data` as JSON."""
        sent = {"Accept-Encoding": "identity", "Accept": "*/*", **(headers or {})}
        if user_agent is not None:
            sent["User-Agent"] = user_agent
        body = b""
        if form is not None:
            body = urlencode(form).encode()
            sent |= _FORM
        elif data is not None:
            body = json.dumps(data).encode()
            sent["Content-Type"] = "application/json"
        if bearer is not None:
            sent["Authorization"] = f"Bearer {bearer}"
        if basic is not None:
            sent["Authorization"] = "Basic " + base64.b64encode(":".join(basic).encode()).decode()
        if cookies is not None and cookies.header:
            sent["Cookie"] = cookies.header
        reply = self._exchange(self.address, method, self.address.prefix + path, body, sent)
        if cookies is not None:
            cookies.take(reply)
        return reply

    def plain(self, port: int, path: str, *, form: Mapping[str, str] | None = None) -> Reply:
        """GET over HTTP without TLS at the same host, or POST of a form."""
        plain = Address("http", self.address.host, port, "", (self.address.connect[0], port))
        sent = {"User-Agent": USER_AGENT}
        if form is None:
            return self._exchange(plain, "GET", path, b"", sent)
        return self._exchange(plain, "POST", path, urlencode(form).encode(), sent | _FORM)

    def follow(self, path: str, cookies: Cookies) -> Reply:
        """GET, and redirects as long as they stay at this deployment; the last reply may be one that leaves it."""
        reply = self.get(path, cookies=cookies)
        for _ in range(MOST_REDIRECTS):
            location = reply.location
            if location is None or not location.startswith(f"{self.address.origin}/"):
                return reply
            parts = urlsplit(location)
            target = quote(parts.path + (f"?{parts.query}" if parts.query else ""), safe=_KEPT)
            if not f"{parts.path}/".startswith(f"{self.address.prefix}/"):
                return reply
            reply = self.get(target.removeprefix(self.address.prefix), cookies=cookies)
        raise NoAnswer(f"GET {path} leads from redirect to redirect, more than {MOST_REDIRECTS} times.")

    def handshake(self) -> Handshake:
        """Connect and verify, without a request."""
        connection = _Connection(self.address, self._context, self.timeout)
        with _explained(self.address), _in_time(connection):
            connection.connect()
            tls = connection.sock
            if not isinstance(tls, ssl.SSLSocket):
                raise NoAnswer(f"{self.address.origin} is not over TLS.")
            return Handshake(version=tls.version() or "", certificate=tls.getpeercert() or {})

    def _exchange(self, address: Address, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        connection = _Connection(address, self._context if address.secure else None, self.timeout)
        with _explained(address), _in_time(connection):
            connection.request(method, target or "/", body or None, {"Host": address.authority, **headers})
            answer = connection.getresponse()
            content = _whole(answer)
            return Reply(address.origin + target, answer.status, tuple(answer.getheaders()), content)


def _whole(answer: http.client.HTTPResponse) -> bytes:
    content = bytearray()
    while piece := answer.read1(65536):
        content += piece
        if len(content) > MOST_BYTES:
            raise NoAnswer(f"The answer is over {MOST_BYTES // 1024 // 1024} MB.")
    return bytes(content)


class _Connection(http.client.HTTPConnection):
    """A connection that hangs up when its time is over.

    A socket's timeout is per piece: a server that drips a handshake, headers or a body, or says 100 Continue for ever,
    would hold us for hours.
    """

    def __init__(self, address: Address, context: ssl.SSLContext | None, timeout: float) -> None:
        super().__init__(address.host, address.port, timeout=timeout)
        self._address = address
        self._verified_by = context
        self._until = time.monotonic() + timeout
        self._watch: threading.Timer | None = None
        self.late = False

    def connect(self) -> None:
        self.sock = socket.create_connection(self._address.connect, self.timeout)
        if self._verified_by is not None:
            self.sock = self._verified_by.wrap_socket(
                self.sock, server_hostname=self._address.host, do_handshake_on_connect=False
            )
        self._watch = threading.Timer(max(0.0, self._until - time.monotonic()), self._hang_up, (self.sock,))
        self._watch.daemon = True
        self._watch.start()
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()

    def end(self) -> None:
        """Close it, and watch it no more; `close` is also called by the library before the body is read."""
        if self._watch is not None:
            self._watch.cancel()
        self.close()

    def _hang_up(self, open_socket: socket.socket) -> None:
        self.late = True
        # The plain socket's own, since TLS's would touch what the reading thread uses. It may be closed by now.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(open_socket, socket.SHUT_RDWR)


@contextmanager
def _in_time(connection: _Connection) -> Iterator[None]:
    """Whatever the end of a connection looks like that was late, it is a TimeoutError."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if connection.late:
            raise TimeoutError from error
        raise
    finally:
        connection.end()
    if connection.late:
        raise TimeoutError


@contextmanager
def _explained(address: Address) -> Iterator[None]:
    """Turn what the socket and TLS say into one line for a person."""
    host, port = address.connect
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        message = f"The certificate of {address.host} is not trusted: {error.verify_message}"
        raise UntrustedCertificate(message) from error
    except ssl.SSLError as error:
        raise NoAnswer(f"{where} does not speak TLS as it should: {error.reason or error}") from error
    except socket.gaierror as error:
        raise NoAnswer(f"The name {host} is not known.", hint="is it written right, and in DNS yet?") from error
    except TimeoutError as error:
        raise NoAnswer(
            f"{where} did not answer in time.",
            hint="is this machine's address in security_group_ip_range? --timeout waits longer",
        ) from error
    except (OSError, http.client.HTTPException) as error:
        # It may repeat what the server sent.
        reason = printable(getattr(error, "strerror", None) or str(error) or type(error).__name__, 200)
        raise NoAnswer(f"{where} gave no answer: {reason}") from error
    except ValueError as error:
        # The library's words would repeat the header, which may be a session.
        raise NoAnswer(f"{where} set a cookie that cannot be sent back.") from error
