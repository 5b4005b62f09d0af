"""The hash that binds an approval to what is sent."""

from __future__ import annotations

import hashlib
import json


def content_sha256(title: str, text: str, html: str | None) -> str:
    """SHA-256, in hexadecimal, of everything that a broadcast's reader gets."""
    return hashlib.sha256(json.dumps([title, text, html], ensure_ascii=False).encode()).hexdigest()
