"""The certificates with which Amazon SNS signs, fetched from it and kept in memory."""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPException, HTTPSConnection
from typing import Protocol
from urllib.parse import urlsplit

import structlog
from cryptography import x509

from hostemr.errors import OutsideWorldError

TIMEOUT_SECONDS = 5
"""How long one step of a fetch may take: connecting, or the next bytes."""
LONGEST_FETCH_SECONDS = 10
"""SNS itself waits for some 15 seconds (sns/latest/dg/SendMessageToHttp.prepare.html)."""
MOST_BYTES = 65_536
MOST_KEPT = 16
MOST_FETCHES = 4

Connect = Callable[[str], HTTPSConnection]


class CertificateUnavailable(OutsideWorldError):
    """A certificate could not be had: a 503, after which SNS tries again."""

    http_status = 503
    wire_name = "ServiceUnavailableException"


class CertificateSource(Protocol):
    """Where certificates come from."""

    async def get(self, url: str) -> x509.Certificate:
        """The certificate at a URL that was found to be one of SNS's. Raises CertificateUnavailable."""
        ...


def connect_with_tls(host: str) -> HTTPSConnection:
    """A connection to port 443 that verifies the server's certificate against the system's CAs."""
    return HTTPSConnection(host, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())


class FetchedCertificates:
    """Fetches by HTTPS without following redirects, and keeps the MOST_KEPT last used.

    Requests that need the same certificate at the same time wait for one fetch. At most
    MOST_FETCHES run: whoever knows the topic can name certificates that are not there, and is not
    to occupy every thread with asking for them. What is not there is not kept, so that the
    certificates in use are not driven out by it.
    """

    def __init__(self, connect: Connect = connect_with_tls) -> None:
        self._connect = connect
        self._kept: OrderedDict[str, x509.Certificate] = OrderedDict()
        self._fetches: dict[str, asyncio.Task[x509.Certificate]] = {}
        self._log = structlog.get_logger("hostemr.feedback")

    async def get(self, url: str) -> x509.Certificate:
        """The certificate at `url`. Raises CertificateUnavailable."""
        if url in self._kept:
            self._kept.move_to_end(url)
            return self._kept[url]
        try:
            async with asyncio.timeout(LONGEST_FETCH_SECONDS):
                # One caller that goes away leaves the fetch to the others.
                return await asyncio.shield(self._fetch_of(url))
        except TimeoutError:
            message = f"A certificate of Amazon SNS did not arrive within {LONGEST_FETCH_SECONDS} seconds."
            raise CertificateUnavailable(message) from None

    def _fetch_of(self, url: str) -> asyncio.Task[x509.Certificate]:
        fetch = self._fetches.get(url)
        if fetch is None:
            if len(self._fetches) >= MOST_FETCHES:
                message = f"{MOST_FETCHES} certificates of Amazon SNS are being fetched already."
                raise CertificateUnavailable(message)
            fetch = self._fetches[url] = asyncio.create_task(asyncio.to_thread(fetch_certificate, url, self._connect))
            fetch.add_done_callback(lambda done: self._finish(url, done))
        return fetch

    def _finish(self, url: str, fetch: asyncio.Task[x509.Certificate]) -> None:
        del self._fetches[url]
        # Asking for the exception also marks it as seen where no caller is left to be told.
        if fetch.cancelled() or fetch.exception() is not None:
            return
        self._log.info("certificate of SNS fetched", url=url)
        self._kept[url] = fetch.result()
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)


def fetch_certificate(url: str, connect: Connect) -> x509.Certificate:
    """Fetch the PEM certificate at an https URL. Raises CertificateUnavailable for all but a small 200."""
    parts = urlsplit(url)
    try:
        with closing(connect(parts.netloc)) as connection:
            connection.request("GET", parts.path, headers={"Accept": "*/*", "User-Agent": "hostemr"})
            with connection.getresponse() as response:
                body = response.read(MOST_BYTES + 1)
        if response.status != 200:
            raise _unavailable(f"HTTP status {response.status}")
        if len(body) > MOST_BYTES:
            raise _unavailable(f"more than {MOST_BYTES} bytes")
        return x509.load_pem_x509_certificate(body)
    except (OSError, HTTPException, ValueError) as error:
        raise _unavailable(f"{type(error).__name__}: {error}") from error


def _unavailable(detail: str) -> CertificateUnavailable:
    return CertificateUnavailable("A certificate of Amazon SNS could not be fetched.", hint=detail)
