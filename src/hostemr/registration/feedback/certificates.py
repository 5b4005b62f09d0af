"""The certificates with which Amazon SNS signs, fetched from it and kept in memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Protocol

import structlog
from cryptography import x509

from hostemr.errors import OutsideWorldError
from hostemr.registration.https_file import Connect, NotFetched, connect_with_tls, fetch_file

LONGEST_FETCH_SECONDS = 10
"""SNS itself waits for some 15 seconds (sns/latest/dg/SendMessageToHttp.prepare.html)."""
MOST_BYTES = 65_536
MOST_KEPT = 16
MOST_FETCHES = 4


class CertificateUnavailable(OutsideWorldError):
    """A certificate could not be had: a 503, after which SNS tries again."""

    http_status = 503
    wire_name = "ServiceUnavailableException"


class CertificateSource(Protocol):
    """Where certificates come from."""

    async def get(self, url: str) -> x509.Certificate:
        """The certificate at a URL that was found to be one of SNS's. Raises CertificateUnavailable."""
        ...


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
    try:
        return x509.load_pem_x509_certificate(fetch_file(url, connect, MOST_BYTES))
    except NotFetched as error:
        raise _unavailable(str(error)) from error
    except ValueError as error:
        raise _unavailable(f"ValueError: {error}") from error


def _unavailable(detail: str) -> CertificateUnavailable:
    return CertificateUnavailable("A certificate of Amazon SNS could not be fetched.", hint=detail)
