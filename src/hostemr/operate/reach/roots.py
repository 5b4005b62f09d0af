"""Amazon's roots, which vouch for database servers: where each partition publishes them, and how to fetch them.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.SSL.html
"""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Callable
from pathlib import Path

from hostemr.errors import OutsideWorldError

_PARTITIONS = {
    "us-gov-": "https://truststore.pki.us-gov-west-1.rds.amazonaws.com/global/global-bundle.pem",
    "cn-": "https://rds-truststore.s3.cn-north-1.amazonaws.com.cn/global/global-bundle.pem",
}
_ELSEWHERE = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
_TIMEOUT_SECONDS = 30
# Of 2026 it has 170 KB.
_LARGEST = 8 * 1024 * 1024
_MARK = b"-----BEGIN CERTIFICATE-----"


def bundle_url(region: str) -> str:
    """Where the bundle of a region's partition is."""
    return next((url for prefix, url in _PARTITIONS.items() if region.startswith(prefix)), _ELSEWHERE)


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
