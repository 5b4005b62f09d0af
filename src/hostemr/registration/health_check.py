"""Whether the server or the worker on this machine is alive, asked from beside it.

A container asks twice a minute, with a quarter of a processor: so this loads neither the settings' library nor the
database's, which would take a second of it. It reads the four variables that it needs by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.registration.defaults import HOST, PORT, WORKER_LEASE_SECONDS
from hostemr.registration.heartbeat import heartbeat_file, silent_seconds

TIMEOUT_SECONDS = 4
"""Less than the 5 seconds that ECS gives a check (AmazonECS/latest/APIReference/API_HealthCheck.html)."""
LONGEST_SILENCE_SECONDS = 120
_ASKED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}  # noqa: S104, where a server listens


@dataclass(frozen=True, slots=True)
class Place:
    """Where the service of these settings answers on this machine."""

    host: str
    port: int
    secure: bool

    @property
    def url(self) -> str:
        """The address that is asked."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}/healthz"


def place_of(environ: Mapping[str, str]) -> Place:
    """Where `hostemr serve` answers in this environment. Raises SettingsError for a port that is none."""
    host = environ.get("HOSTEMR_HOST") or HOST
    port = _number(environ, "HOSTEMR_PORT", PORT)
    return Place(_ASKED_AT.get(host, host), port, secure=(environ.get("HOSTEMR_TLS") or "off") != "off")


def longest_silence(environ: Mapping[str, str]) -> int:
    """After how many seconds a worker counts as dead. Its loops may wait for their turn for half a lease."""
    return max(LONGEST_SILENCE_SECONDS, 2 * _number(environ, "HOSTEMR_WORKER_LEASE_SECONDS", WORKER_LEASE_SECONDS))


def check_server(place: Place) -> str:
    """What was found, in words. Raises OutsideWorldError where `/healthz` does not answer with 200."""
    try:
        with closing(_connection(place)) as connection:
            connection.request("GET", "/healthz", headers={"User-Agent": "hostemr"})
            with connection.getresponse() as response:
                response.read()
    except (OSError, HTTPException) as error:
        message = f"Nothing answers at {place.url}."
        raise OutsideWorldError(message, hint=str(error) or type(error).__name__) from error
    if response.status != 200:
        message = f"{place.url} answers with HTTP status {response.status}."
        raise OutsideWorldError(message)
    return f"{place.url} answers"


def check_worker(longest: int, file: Path | None = None) -> str:
    """What was found, in words. Raises OutsideWorldError where no worker was heard of for `longest` seconds."""
    silent = silent_seconds(file or heartbeat_file())
    if silent is None:
        message = "No worker of this user runs on this machine."
        raise OutsideWorldError(message, hint="`hostemr worker` starts one")
    if silent > longest:
        message = f"The worker was not heard of for {silent:.0f} seconds; expected {longest} at most."
        raise OutsideWorldError(message, hint="it hangs or was killed: start it again")
    return f"the worker was heard of {silent:.0f} seconds ago"


def _connection(place: Place) -> HTTPConnection:
    if not place.secure:
        return HTTPConnection(place.host, place.port, timeout=TIMEOUT_SECONDS)
    import ssl

    # The certificate is of the server's own making, and known to nobody; nothing is told that anybody may not know.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(place.host, place.port, timeout=TIMEOUT_SECONDS, context=context)


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise SettingsError([f"{name} is {text!r}: expected a whole number"])
    return int(text)
