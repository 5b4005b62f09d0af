"""Where a load may go: the URL that the operator names, and no other host unless they name it too."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from hostemr.errors import SettingsError

# What is escaped already stays as it is.
_KEPT = "/%:@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class Target:
    """`root` is scheme, host, port and path without a slash at its end; steps' paths follow it.

    `host` is as DNS has it: names in other letters begin with xn-- (RFC 5890).
    """

    root: str
    host: str
    allowed: frozenset[str]

    @property
    def loopback(self) -> bool:
        """Whether it is this very machine, so that nobody else can be harmed."""
        return is_loopback(self.host)

    def allows(self, url: str) -> bool:
        """Whether a request may go to `url`: an http(s) URL on a host that the operator named.

        Never from https to http, where cookies and forms would travel in the clear. Raises ValueError if it is no URL.
        """
        parts = urlsplit(url)
        schemes = {"https"} if self.root.startswith("https:") else {"http", "https"}
        return parts.scheme in schemes and (parts.hostname or "") in self.allowed and parts.port != 0


def parse_target(url: str, more_hosts: Iterable[str] = ()) -> Target:
    """The target of a load. Raises SettingsError if `url` is no http(s) URL, or has a name, password or query in it."""
    expected = "expected http:// or https:// with a host, such as https://openemr.example.org"
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode("ascii"), parts.port
    except ValueError as error:  # UnicodeError is one
        raise SettingsError([f"URL is {url!r}: {error}; {expected}"]) from error
    if parts.scheme not in {"http", "https"} or not host:
        raise SettingsError([f"URL is {url!r}; {expected}"])
    if parts.username is not None or parts.password is not None:
        # Not repeated here: it holds a password.
        raise SettingsError(["URL has a log-in in it; use --user, and HOSTEMR_LOAD_PASSWORD or --password-file"])
    if parts.query or parts.fragment:
        raise SettingsError([f"URL is {url!r}; expected it without ? and #; paths and queries belong in a scenario"])
    allowed = frozenset({host, *(one.lower() for one in more_hosts)})
    authority = (f"[{host}]" if ":" in host else host) + (f":{port}" if port is not None else "")
    return Target(f"{parts.scheme}://{authority}{quote(parts.path.rstrip('/'), safe=_KEPT)}", host, allowed)


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is loopback by itself (RFC 6761, 6.3; RFC 1122, 3.2.1.3); no look-up."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
