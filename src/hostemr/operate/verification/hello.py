"""Whether a server still takes TLS 1.0 or 1.1, which RFC 8996 forbids.

A ClientHello by hand (RFC 5246, 7.4.1.2), since many builds of OpenSSL no longer send one below TLS 1.2. The server
gives itself away with its first record: a ServerHello, or an alert.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import time

from hostemr.operate.verification.address import Address

TLS_1_0 = 0x0301
TLS_1_1 = 0x0302
_NAMES = {TLS_1_0: "TLS 1.0", TLS_1_1: "TLS 1.1"}
# ECDHE and RSA with AES in CBC mode and SHA-1: what servers of that time had in common.
_CIPHERS = (0xC009, 0xC00A, 0xC013, 0xC014, 0x0033, 0x0039, 0x002F, 0x0035, 0x000A)
_CURVES = (0x0017, 0x0018, 0x0019, 0x001D)
_HANDSHAKE = 22
_SERVER_HELLO = 2


def name(version: int) -> str:
    """A version as people write it."""
    return _NAMES[version]


def accepts(address: Address, version: int, *, timeout: float) -> bool:
    """Whether the server goes on with this version. Raises OSError when it cannot be reached at all."""
    until = time.monotonic() + timeout
    with socket.create_connection(address.connect, timeout) as connection:
        try:
            connection.sendall(_client_hello(address.host, version))
            head = _exactly(connection, 5, until)
            if len(head) < 5 or head[0] != _HANDSHAKE:
                return False
            message = _exactly(connection, 6, until)
        except (ConnectionError, TimeoutError):
            # It hung up, or says nothing: either way it does not go on.
            return False
    return len(message) == 6 and message[0] == _SERVER_HELLO and message[4:6] == struct.pack("!H", version)


def _exactly(connection: socket.socket, size: int, until: float) -> bytes:
    read = b""
    while len(read) < size:
        # It may send a byte each minute.
        connection.settimeout(max(until - time.monotonic(), 0.001))
        piece = connection.recv(size - len(read))
        if not piece:
            break
        read += piece
    return read


def _client_hello(host: str, version: int) -> bytes:
    ciphers = b"".join(struct.pack("!H", cipher) for cipher in _CIPHERS)
    extensions = _server_name(host)
    extensions += _extension(10, _sized(b"".join(struct.pack("!H", curve) for curve in _CURVES)))
    extensions += _extension(11, b"\x01\x00")
    body = struct.pack("!H", version) + os.urandom(32) + b"\x00" + _sized(ciphers) + b"\x01\x00" + _sized(extensions)
    hello = b"\x01" + struct.pack("!I", len(body))[1:] + body
    # The record says 1.0 whatever is offered within, as clients of the time did.
    return bytes([_HANDSHAKE]) + struct.pack("!HH", TLS_1_0, len(hello)) + hello


def _server_name(host: str) -> bytes:
    """RFC 6066, 3; it has no form for addresses."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _extension(0, _sized(b"\x00" + _sized(host.encode("idna"))))
    return b""


def _extension(number: int, content: bytes) -> bytes:
    return struct.pack("!H", number) + _sized(content)


def _sized(content: bytes) -> bytes:
    return struct.pack("!H", len(content)) + content
