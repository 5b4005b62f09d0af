"""Fetches one small file by HTTPS: verified against the system's CAs, without following redirects."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPException, HTTPSConnection
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 5
"""How long one step of a fetch may take: connecting, or the next bytes."""

Connect = Callable[[str], HTTPSConnection]


class NotFetched(Exception):
    """The file could not be had; the text says why."""


def connect_with_tls(host: str) -> HTTPSConnection:
    """A connection to `host`, a name with or without a port, that verifies its certificate."""
    return HTTPSConnection(host, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())


def fetch_file(url: str, connect: Connect, most_bytes: int) -> bytes:
    """The file at an https URL. Raises NotFetched for all but a 200 of at most `most_bytes`."""
    parts = urlsplit(url)
    try:
        with closing(connect(parts.netloc)) as connection:
            connection.request("GET", parts.path, headers={"Accept": "*/*", "User-Agent": "hostemr"})
            with connection.getresponse() as response:
                body = response.read(most_bytes + 1)
    except (OSError, HTTPException, ValueError) as error:
        raise NotFetched(f"{type(error).__name__}: {error}") from error
    if response.status != 200:
        raise NotFetched(f"HTTP status {response.status}")
    if len(body) > most_bytes:
        raise NotFetched(f"more than {most_bytes} bytes")
    return body
