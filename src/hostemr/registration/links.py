"""The addresses of the service that stand in mail."""

from __future__ import annotations

from typing import Literal

Category = Literal["security", "news"]
CATEGORIES: tuple[Category, ...] = ("security", "news")

UNSUBSCRIBE_PLACEHOLDER = "https://unsubscribe.invalid/"
"""Stands in a rendered broadcast where each recipient's own link goes (RFC 2606 keeps .invalid free)."""


def unsubscribe_url(base_url: str, token: str, category: str | None = None) -> str:
    """Where this subscriber, and nobody else, stops mail of one category, or all of it."""
    return f"{base_url}/unsubscribe/{token}" + (f"/{category}" if category else "")


def subscribe_url(base_url: str, token: str) -> str:
    """Where this subscriber asks for mail again."""
    return f"{base_url}/subscribe/{token}"
