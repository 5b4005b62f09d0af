"""Reads headers where they lie: building an object for them at each request costs more than looking."""

from __future__ import annotations

from starlette.types import Scope


def header(scope: Scope, name: bytes) -> str:
    """The first value of a header, named in lower case; empty where there is none."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Every value of a header, in the order of the request."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
