"""What a simulated user sends and gets: the port that the engine knows, without any HTTP library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hostemr.operate.printable import printable


@dataclass(frozen=True, slots=True)
class File:
    """One file of a multipart form (RFC 7578)."""

    field: str
    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """A request, ready to go; every placeholder is filled in."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    file: File | None = None
    basic: tuple[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """The last answer, after redirects; `size` counts the bodies of all of them, unpacked.

    `body` is what is looked at, and may be cut off where an answer is very long.
    """

    status: int
    body: bytes
    size: int
    url: str


class NoAnswer(Exception):
    """No HTTP answer came. `kind` groups the errors: timeout, connection refused, connection lost, TLS and so on."""

    def __init__(self, kind: str, detail: str = "") -> None:
        # Parts of it are the server's words.
        detail = printable(detail, 300)
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind
        self.detail = detail


class Browser(Protocol):
    """One user's own cookies and connections."""

    async def send(self, request: Request) -> Answer:
        """Send it and follow redirects. Raises NoAnswer."""

    async def close(self) -> None:
        """Drop the cookies and close the connections."""


Browsers = Callable[[], Browser]
"""Makes a new browser, without cookies."""
