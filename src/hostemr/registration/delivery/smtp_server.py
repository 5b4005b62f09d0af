"""The mail server: where it is, how it is connected to, and why it could not be."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import aiosmtplib

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.registration.delivery.sender import Throttled
from hostemr.registration.delivery.smtp_connection import Connection

Security = Literal["starttls", "tls", "none"]

_ADDRESS = re.compile(r"[^\s<>]+@[^\s<>]+")


@dataclass(frozen=True, slots=True)
class SMTPServer:
    """Where mail is handed in. Raises SettingsError where a password would leave the machine in clear."""

    host: str
    port: int = 587
    security: Security = "starttls"
    ca_file: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.security == "none" and self.password is not None and not _loopback(self.host):
            problem = f"smtp_security is none, so smtp_password would reach {self.host} readable by anyone on the way"
            raise SettingsError([problem], hint="set smtp_security to starttls or tls, or unset smtp_password")

    def tls(self) -> ssl.SSLContext:
        """Verifies the certificate and the host name. Raises SettingsError where the CA file cannot be used."""
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:
            problem = f"smtp_ca_file {self.ca_file} cannot be used: {error}"
            raise SettingsError([problem], hint="expected a readable file of PEM certificates") from None


def without_addresses(text: str) -> str:
    """A reply's text for a message that others read."""
    return _ADDRESS.sub("(address)", text)


async def open_connection(
    server: SMTPServer, tls: ssl.SSLContext | None, *, local_name: str | None, seconds: float
) -> tuple[Connection, str | None]:
    """A connection that is logged in; and the name by which we greeted, to be used again.

    Raises OutsideWorldError with what to look at, or Throttled.
    """
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        local_hostname=local_name,
        timeout=seconds,
        use_tls=server.security == "tls",
        start_tls=False,
        tls_context=tls,
    )
    try:
        async with asyncio.timeout(seconds):
            await client.connect()
            await client.ehlo()
            if server.security == "starttls":
                await _start_tls(server, client)
            if server.username is not None:
                await _log_in(server, client)
            if client.transport is None:
                raise ConnectionResetError("closed at once")
    except BaseException as error:
        if client.transport is not None:
            # `close` alone would wait for the server's part of closing TLS.
            cast("asyncio.Transport", client.transport).abort()
        client.close()
        if isinstance(error, aiosmtplib.SMTPException | OSError | ValueError):
            raise _why_not_connected(server, error) from error
        raise
    connection = Connection(
        cast("asyncio.Transport", client.transport),
        pipelining=client.supports_extension("pipelining"),
        size=client.supports_extension("size"),
    )
    return connection, client.local_hostname


async def _start_tls(server: SMTPServer, client: aiosmtplib.SMTP) -> None:
    """Encrypted from here on. aiosmtplib drops what came in clear; so EHLO is said anew (RFC 3207, 4.2)."""
    if not client.supports_extension("starttls"):
        raise OutsideWorldError(
            f"The mail server {server.host}:{server.port} does not offer STARTTLS, and mail is not sent in clear.",
            hint="set HOSTEMR_SMTP_SECURITY to tls where it expects TLS from the start",
        )
    await client.starttls()
    await client.ehlo()


async def _log_in(server: SMTPServer, client: aiosmtplib.SMTP) -> None:
    """RFC 4954. The server's words are not repeated, for some repeat what they were given."""
    where = f"{server.host}:{server.port}"
    if not client.supports_extension("auth"):
        message = f"The mail server {where} does not let anybody log in."
        raise OutsideWorldError(
            message, hint="see HOSTEMR_SMTP_SECURITY and HOSTEMR_SMTP_PORT, or unset HOSTEMR_SMTP_USERNAME"
        )
    try:
        await client.login(server.username or "", server.password or "")
    except aiosmtplib.SMTPAuthenticationError as error:
        if error.code < 500:
            raise Throttled(
                f"The mail server {where} puts off the login of HOSTEMR_SMTP_USERNAME ({error.code})."
            ) from None
        raise OutsideWorldError(
            f"The mail server {where} refuses the login of HOSTEMR_SMTP_USERNAME ({error.code}).",
            hint="see HOSTEMR_SMTP_USERNAME and HOSTEMR_SMTP_PASSWORD",
        ) from None


def _why_not_connected(server: SMTPServer, error: Exception) -> OutsideWorldError:
    where = f"mail server {server.host}:{server.port}"
    cause = error.__cause__ or error
    if isinstance(error, aiosmtplib.SMTPResponseException):
        line = without_addresses(" ".join(f"{error.code} {error.message}".split()))[:255]
        if 400 <= error.code < 500:
            return Throttled(f"The {where} takes no connection for now: {line}.")
        return OutsideWorldError(
            f"The {where} refuses us: {line}.", hint="see HOSTEMR_SMTP_PORT and HOSTEMR_SMTP_SECURITY"
        )
    if isinstance(cause, ssl.SSLCertVerificationError):
        return OutsideWorldError(
            f"The certificate of the {where} is not accepted: {cause.verify_message}",
            hint="set HOSTEMR_SMTP_CA_FILE to the CA that signed it, HOSTEMR_SMTP_HOST to a name that stands in it",
        )
    if isinstance(cause, ssl.SSLError):
        message = f"The {where} speaks no TLS that is understood here: {cause.reason}."
        return OutsideWorldError(message, hint="see HOSTEMR_SMTP_SECURITY: starttls is usual at port 587, tls at 465")
    if isinstance(cause, socket.gaierror | UnicodeError):
        return OutsideWorldError(f"The {where} is not found.", hint="see HOSTEMR_SMTP_HOST")
    if isinstance(cause, TimeoutError):
        what = "does not answer in time"
    elif isinstance(cause, aiosmtplib.SMTPServerDisconnected):
        what = "closes the connection"
    else:
        number = getattr(cause, "errno", None)
        what = f"cannot be reached: {os.strerror(number) if number else cause}"
    hint = "see whether it runs, and HOSTEMR_SMTP_HOST, HOSTEMR_SMTP_PORT and HOSTEMR_SMTP_SECURITY"
    return OutsideWorldError(f"The {where} {what}.", hint=hint)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
