"""Whether a MySQL server answers on a port, and whether it is the one that its certificate names.

Only the first packets of the protocol are spoken: the server's greeting, and the request for TLS. No password is
needed. https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hostemr.errors import HostemrError, OutsideWorldError
from hostemr.operate.printable import printable

_PROTOCOL_10 = 10
_ERROR = 0xFF
_CLIENT_PROTOCOL_41, _CLIENT_SSL, _CLIENT_SECURE_CONNECTION = 0x200, 0x800, 0x8000
_LARGEST_PACKET = 2**24 - 1
_LARGEST_GREETING = 1024
_UTF8MB4 = 45
_NO_MYSQL = "What answers behind the tunnel is not a MySQL server."
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Identity:
    """The name that a server's certificate must have, and the file of the roots that may vouch for it."""

    host: str
    roots: Path


def await_database(
    address: tuple[str, int],
    seconds: float,
    *,
    identity: Identity | None = None,
    talk: Callable[[str], None],
    why_ended: Callable[[], HostemrError | None] = lambda: None,
) -> str:
    """The version of the server at `address`, once it answers; a paused Aurora needs up to half a minute.

    With an `identity` its certificate is checked too. Raises OutsideWorldError when nothing answers within `seconds`
    or the server refuses or is another, and what `why_ended` tells once the way there is closed.
    """
    until = time.monotonic() + seconds
    told = False
    while True:
        try:
            return greeting(address, max(until - time.monotonic(), _PAUSE_SECONDS), identity=identity)
        except OSError as error:
            if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
                reason = getattr(error, "verify_message", "") or error.reason or "TLS failed"
                message = f"The server behind the tunnel does not prove to be the database: {reason}."
                raise OutsideWorldError(message, hint="send it no password; is --ca the right bundle?") from error
            ended = why_ended()
            if ended:
                raise ended from error
            if time.monotonic() + _PAUSE_SECONDS >= until:
                message = f"The tunnel is open, but the database did not answer within {seconds:.0f} seconds."
                hint = "is it available (aws rds describe-db-clusters), and does its group let the tasks in? --wait"
                raise OutsideWorldError(message, hint=f"{hint} gives it more seconds") from error
            if not told:
                talk("waiting for the database; one that sleeps needs up to half a minute …")
                told = True
            time.sleep(_PAUSE_SECONDS)


def greeting(address: tuple[str, int], seconds: float, *, identity: Identity | None = None) -> str:
    """The server's version. Raises OSError where none answers, its kind ssl.SSLError where it is not `identity`."""
    with socket.create_connection(address, timeout=seconds) as connection:
        packet = _packet(connection, time.monotonic() + seconds)
        if packet[0] == _ERROR:
            text = printable(packet[3:].decode(errors="replace").lstrip("#"))
            raise OutsideWorldError(f"The database refuses connections: {text}")
        if packet[0] != _PROTOCOL_10 or 0 not in packet:
            raise OutsideWorldError(_NO_MYSQL)
        # MariaDB pretends to be 5.5.5 before it tells its own version, for the sake of old replicas.
        version = printable(packet[1 : packet.index(0)].decode(errors="replace").removeprefix("5.5.5-"))
        if identity is not None:
            _prove(connection, identity)
        return version


def _prove(connection: socket.socket, identity: Identity) -> None:
    asked = struct.pack(
        "<IIB23x", _CLIENT_PROTOCOL_41 | _CLIENT_SSL | _CLIENT_SECURE_CONNECTION, _LARGEST_PACKET, _UTF8MB4
    )
    connection.sendall(struct.pack("<I", len(asked) | 1 << 24) + asked)
    try:
        context = ssl.create_default_context(cafile=identity.roots)
    except OSError as error:
        message = f"{identity.roots} is not a bundle of certificates in PEM."
        raise OutsideWorldError(message, hint="take AWS's: see docs/084_reaching_in.md") from error
    with context.wrap_socket(connection, server_hostname=identity.host):
        pass


def _packet(connection: socket.socket, until: float) -> bytes:
    length = int.from_bytes(_exactly(connection, 4, until)[:3], "little")
    if length > _LARGEST_GREETING:
        # What speaks another protocol begins with letters, which are a length of megabytes here.
        raise OutsideWorldError(_NO_MYSQL)
    packet = _exactly(connection, length, until)
    if not packet:
        raise ConnectionError("an empty packet")
    return packet


def _exactly(connection: socket.socket, count: int, until: float) -> bytes:
    received = b""
    while len(received) < count:
        # For the whole: it may send a byte each minute.
        connection.settimeout(max(until - time.monotonic(), 0.001))
        part = connection.recv(count - len(received))
        if not part:
            raise ConnectionError("closed before the greeting")
        received += part
    return received
