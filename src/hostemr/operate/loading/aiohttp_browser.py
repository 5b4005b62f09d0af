"""The browser over aiohttp: the only module that knows it.

Measured on one core against a plain server: aiohttp sent 3,100 requests per second of processor time, httpx 60,
because it builds much for each client and request. A load test must not measure its own client.
"""

from __future__ import annotations

import base64
import ssl
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import yarl

from hostemr.operate.loading.browser import Answer, Browsers, NoAnswer, Request
from hostemr.operate.loading.target import Target

CONNECTIONS_PER_USER = 6
"""What browsers open to one host over HTTP/1.1."""
MOST_REDIRECTS = 10
MOST_KEPT = 8 * 1024 * 1024
"""Of an answer; more is counted and dropped, for a packed or endless one would fill the memory."""
SEE_OTHER = frozenset({301, 302, 303})
KEEP_METHOD = frozenset({307, 308})
AGENT = "hostemr-load (load test by the operator of this host)"
"""Tells whoever reads the logs what this was."""


def browsers(target: Target, *, timeout_seconds: float, context: ssl.SSLContext) -> Browsers:
    """Makes browsers for `target`; a request with its redirects must end within `timeout_seconds`."""
    return lambda: AiohttpBrowser(target, timeout_seconds, context)


class AiohttpBrowser:
    """One user's cookies and connections."""

    def __init__(self, target: Target, timeout_seconds: float, context: ssl.SSLContext) -> None:
        self._target = target
        self._timeout_seconds = timeout_seconds
        # `unsafe` keeps cookies of plain addresses too: a load balancer's or server's, before it has a name.
        jar = aiohttp.CookieJar(unsafe=True, quote_cookie=False)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_PER_USER, ssl=context),
            cookie_jar=jar,
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            headers={"User-Agent": AGENT},
        )

    async def send(self, request: Request) -> Answer:
        """Send it and follow redirects to hosts that the operator named. Raises NoAnswer."""
        try:
            return await self._follow(request)
        except TimeoutError as error:
            raise NoAnswer("timeout", f"no whole answer within {self._timeout_seconds:g} s") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise NoAnswer("TLS", f"the certificate is not trusted: {error.certificate_error}") from error
        except aiohttp.ClientConnectorSSLError as error:
            raise NoAnswer("TLS", str(error)) from error
        except aiohttp.ClientConnectorDNSError as error:
            raise NoAnswer("unknown host", f"{error.host} is not in the DNS") from error
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, ConnectionRefusedError)
            raise NoAnswer("connection refused" if refused else "no connection", str(error.os_error)) from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError) as error:
            raise NoAnswer("connection lost", str(error) or type(error).__name__) from error
        except aiohttp.InvalidURL as error:
            raise NoAnswer("no URL to go to", str(error)) from error
        except aiohttp.ClientError as error:
            raise NoAnswer("no HTTP answer", str(error)) from error
        except ValueError as error:
            # As a line's end in a header that was filled in from an answer. Its text may hold the value.
            raise NoAnswer("cannot be sent", "a header or an address holds what HTTP forbids") from error

    async def _follow(self, request: Request) -> Answer:
        url, method, size = request.url, request.method, 0
        content: dict[str, Any] = {"data": _body(request), "json": request.json}
        for _ in range(MOST_REDIRECTS + 1):
            headers = dict(request.headers)
            if request.basic and _origin(url) == _origin(request.url):
                joined = ":".join(request.basic).encode()
                headers["Authorization"] = f"Basic {base64.b64encode(joined).decode()}"
            async with self._session.request(
                method, yarl.URL(url, encoded=True), headers=headers, allow_redirects=False, **content
            ) as answer:
                body = bytearray()
                async for piece in answer.content.iter_any():
                    size += len(piece)
                    body += piece[: MOST_KEPT - len(body)]
                place = answer.headers.get("Location")
                if place is None or answer.status not in SEE_OTHER | KEEP_METHOD:
                    return Answer(answer.status, bytes(body), size, url)
            try:
                url = urljoin(url, place)
                allowed = self._target.allows(url)
            except ValueError as error:
                raise NoAnswer("no URL to go to", f"a redirect to {place}") from error
            if not allowed:
                raise NoAnswer("redirect to another host", f"to {url.partition('?')[0]}; --allow-host would follow it")
            if answer.status in SEE_OTHER and method != "HEAD":
                # What browsers do (RFC 9110, 15.4): the form was taken, its answer is elsewhere.
                method, content = "GET", {}
            elif isinstance(content.get("data"), aiohttp.FormData):
                content["data"] = _body(request)
        raise NoAnswer("too many redirects", f"more than {MOST_REDIRECTS}")

    async def close(self) -> None:
        """Drop the cookies and close the connections."""
        await self._session.close()


def _origin(url: str) -> tuple[str, str]:
    """Where a password may go: elsewhere it is somebody else's."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _body(request: Request) -> aiohttp.FormData | dict[str, str] | None:
    if request.file is None:
        return dict(request.form) or None
    form = aiohttp.FormData()
    for name, value in request.form.items():
        form.add_field(name, value)
    file = request.file
    form.add_field(file.field, file.content, filename=file.filename, content_type=file.content_type)
    return form
