"""Where a deployment answers, from what an operator typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from hostemr.errors import SettingsError

# What people copy from the browser: the page after the root of the application.
PAGES = re.compile(r"/(?:openmrs|interface|index\.php|portal)(?:/|$)")
PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Address:
    """One deployment: `prefix` is the path that it lives below, empty for the root.

    `connect` is the host and port that connections go to; the name in the certificate is `host` all the same.
    """

    scheme: str
    host: str
    port: int
    prefix: str
    connect: tuple[str, int]

    @property
    def secure(self) -> bool:
        """Whether it is reached over TLS."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Host and port as in the `Host` header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.authority}"

    @property
    def base(self) -> str:
        """The origin and the prefix, without a slash at the end."""
        return self.origin + self.prefix


def parse_address(text: str, connect_to: str | None = None) -> Address:
    """Read a URL, or a bare name such as a load balancer's, which means https.

    `connect_to` is HOST or HOST:PORT: where to connect while the name in `text` is the one that is asked for and
    checked, as before DNS is switched. Raises SettingsError with every problem.
    """
    problems: list[str] = []
    parts, port = _split(text if "://" in text else f"https://{text}", f"URL is {text!r}", problems)
    if parts is not None:
        if parts.scheme not in PORTS:
            problems.append(f"URL is {text!r}; expected https://HOST[:PORT][/PATH]")
        if parts.username is not None or parts.password is not None:
            # Not repeated: it may hold a password.
            problems = ["URL holds a user name or a password; leave it out, and use --user"]
        elif parts.query or parts.fragment:
            problems.append(f"URL is {text!r}; leave out what follows ? or #")
    connect = None
    if connect_to is not None:
        target, target_port = _split(f"//{connect_to}", f"--connect-to is {connect_to!r}", problems)
        if target is not None:
            connect = (_ascii(str(target.hostname)), target_port)
    if problems or parts is None:
        raise SettingsError(problems, hint="for example: hostemr verify https://emr.example.org")
    port = port or PORTS[parts.scheme]
    host = _ascii(str(parts.hostname))
    # What is escaped already stays as it is.
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~")
    path = PAGES.split(path, maxsplit=1)[0]
    reaches = (connect[0], connect[1] or port) if connect else (host, port)
    return Address(scheme=parts.scheme, host=host, port=port, prefix=path.rstrip("/"), connect=reaches)


def _ascii(host: str) -> str:
    """The name as DNS and certificates have it."""
    return host if ":" in host else host.encode("idna").decode("ascii")


def _split(text: str, named: str, problems: list[str]) -> tuple[SplitResult | None, int]:
    """The parts of a URL with a host, and its port or 0."""
    try:
        parts = urlsplit(text)
        port = parts.port or 0
        _ascii(parts.hostname or "")
        if parts.port == 0:
            raise ValueError("port 0")
    except ValueError:  # UnicodeError is one
        problems.append(f"{named}; expected a host, and a port from 1 to 65535 if there is one")
        return None, 0
    if not parts.hostname or any(character.isspace() for character in text):
        problems.append(f"{named}; expected a host")
        return None, 0
    return parts, port
