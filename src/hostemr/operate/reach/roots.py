"""Amazon's roots, which vouch for database servers: how to fetch them."""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Callable
from pathlib import Path

from hostemr.deployment.database_roots import bundle_url
from hostemr.errors import OutsideWorldError

_TIMEOUT_SECONDS = 30
# Of 2026 it has 170 KB.
_LARGEST = 8 * 1024 * 1024
_MARK = b"-----BEGIN CERTIFICATE-----"


def download(url: str) -> bytes:
    """What a URL answers. Raises OSError or HTTPException."""
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as reply:  # noqa: S310, our own https addresses
        body: bytes = reply.read(_LARGEST)
        return body


def fetch_roots(region: str, folder: Path, *, download: Callable[[str], bytes] = download) -> Path:
    """The bundle of a region, in a new file in `folder`. Raises OutsideWorldError where it cannot be fetched."""
    url = bundle_url(region)
    hint = f"fetch it yourself from {url}, and give --ca FILE"
    try:
        bundle = download(url)
    except (OSError, http.client.HTTPException) as error:
        raise OutsideWorldError(f"Amazon's roots for databases were not fetched: {error}", hint=hint) from error
    if _MARK not in bundle:
        raise OutsideWorldError(f"What {url} answered is not a bundle of certificates.", hint=hint)
    file = folder / "roots.pem"
    file.write_bytes(bundle)
    return file
