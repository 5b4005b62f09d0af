"""The SMTP sender: a message of its own for each recipient, through any mail server (RFC 5321).

aiosmtplib connects, starts TLS and logs in. The mail transactions are written here, on the streams
of that connection: aiosmtplib reads one reply for each command that it writes, so it cannot group
commands (RFC 2920), and it cannot tell whether the end of a message had been handed over when a
connection broke, which decides between `retry` and `ambiguous`.

No reply is waited for as long as RFC 5321, 4.5.3.2 advises (ten minutes after the final dot): a
worker's lease would end first, and its whole chunk would be sent again. What RFC 1047 fears from
short waits, the same message twice, is told apart here as `ambiguous`, and its Message-ID stays.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from pathlib import Path
from typing import Literal, cast

import aiosmtplib

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.registration.delivery.message import compose
from hostemr.registration.delivery.sender import Letter, Outcome, Quota, Recipient, Throttled

Security = Literal["starttls", "tls", "none"]
Blame = Literal["recipient", "anyone", "everyone"]

IDLE_SECONDS = 30.0
QUIT_SECONDS = 5.0
REPLY_LINES = 100
LAST_BYTES = 16_384
"""Of a message, so many bytes are written with its final dot, once there is room for them."""

STAGES = ("MAIL", "RCPT", "DATA")
THROTTLING = {421, 450, 451, 452, 454}
NOT_THE_RECIPIENT = {421, 452, 454}
AUTHENTICATION = {530, 534, 535, 538}
"""RFC 4954, 6: what is wrong is the login, whichever command is answered so."""
DESTINATION_SUBJECTS = {"1", "2", "4"}
"""RFC 3463, 3: address, mailbox and network. The others are of the system, the policy or the content."""
CHANCE_OF_RETRY = 1
CHANCE_OF_FAILURE = 4
"""So many recipients of one call may all be refused for now, or for good, without it being about us."""
NO_REPLY = (OSError, EOFError, ValueError, asyncio.LimitOverrunError)
"""The connection broke (a timeout is an OSError), or what came is not SMTP."""

_REPLY = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?\r?\n", re.DOTALL)
_ENHANCED = re.compile(r"[245]\.(\d{1,3})\.\d{1,3}\b")
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


@dataclass(frozen=True, slots=True)
class _Reply:
    code: int
    text: str

    @property
    def line(self) -> str:
        return f"{self.code} {self.text}".strip()[:255]

    @property
    def subject(self) -> str | None:
        found = _ENHANCED.match(self.text)
        return found[1] if found else None


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of a recipient, and whom it tells about: this one, perhaps everyone, or surely everyone."""

    outcome: Outcome
    blame: Blame = "recipient"
    code: int | None = None


class _ConnectionLost(Exception):
    """The connection broke or makes no sense; of this message nothing was handed over."""


class _Connection:
    """A connection that is logged in. Only while `usable` may it carry a further message."""

    def __init__(self, transport: asyncio.Transport, *, pipelining: bool, size: bool) -> None:
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(self._reader, loop=loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self._transport = transport
        self._writer = asyncio.StreamWriter(transport, protocol, self._reader, loop)
        self._pipelining = pipelining
        self._size = size
        self._usable = True
        self.delivered = 0
        self.idle_since = 0.0

    @property
    def usable(self) -> bool:
        return self._usable and not self._transport.is_closing() and not self._reader.at_eof()

    async def deliver(self, sender: str, recipient: str, data: bytes, message_id: str, seconds: float) -> _Answer:
        """One mail transaction, over within `seconds`.

        Raises _ConnectionLost where the message's text was not begun, so that it may be tried on
        another connection at once. Cancelled, it leaves a connection that is not usable.
        """
        self._usable = False
        begun = handed_over = False
        try:
            async with asyncio.timeout(seconds):
                refused = await self._envelope(sender, recipient, len(data))
                if refused is None:
                    begun = True
                    stuffed = re.sub(rb"(?m)^\.", b"..", data)
                    await self._write(stuffed[:-LAST_BYTES])
                    self._check_open()
                    handed_over = True
                    await self._write(stuffed[-LAST_BYTES:] + b".\r\n")
                    refused = self._accepted(reply := await self._reply())
        except NO_REPLY as error:
            timed_out = isinstance(error, TimeoutError)
            what = f"no reply within {seconds:.0f} seconds" if timed_out else "the connection was lost"
            if handed_over:
                return _Answer(Outcome("ambiguous", message_id, f"{what} after the message was sent"))
            if begun or timed_out:
                return _Answer(Outcome("retry", error=f"{what} before the message was sent"), "anyone")
            raise _ConnectionLost(what) from error
        if refused is not None:
            return refused
        self._usable = True
        self.delivered += 1
        return _Answer(Outcome("sent", reply.text[:128].strip() or message_id))

    async def quit(self) -> None:
        """End the session as RFC 5321, 4.1.1.10 asks, whether or not the server still listens."""
        with suppress(*NO_REPLY):
            async with asyncio.timeout(QUIT_SECONDS):
                await self._write(b"QUIT\r\n")
                await self._reply()
        self.abandon()

    def leave(self) -> None:
        """Say QUIT without waiting for the answer."""
        with suppress(OSError):
            self._writer.write(b"QUIT\r\n")
        self._writer.close()

    def abandon(self) -> None:
        """Close it at once."""
        self._usable = False
        self._transport.abort()

    async def _envelope(self, sender: str, recipient: str, size: int) -> _Answer | None:
        """MAIL, RCPT and DATA; None where the server now waits for the message."""
        size_option = f" SIZE={size}" if self._size else ""
        replies = await self._ask(
            f"MAIL FROM:<{sender}>{size_option}\r\n".encode("ascii"),
            f"RCPT TO:<{recipient}>\r\n".encode("ascii"),
            b"DATA\r\n",
        )
        answers = zip(STAGES, replies, strict=False)
        refused = next((_judge(stage, reply) for stage, reply in answers if not _granted(stage, reply)), None)
        if refused is None:
            return None
        if refused.code == 421:
            if self.delivered:
                raise _ConnectionLost(refused.outcome.error)
            return refused
        waiting_for_data = replies[-1].code == 354
        if not (waiting_for_data and _granted("RCPT", replies[1])):
            await self._reset(waiting_for_data=waiting_for_data)
        # Otherwise MAIL alone was refused; to end the data here could send an empty message.
        return refused

    async def _ask(self, *commands: bytes) -> Sequence[_Reply]:
        """The replies to MAIL, RCPT and DATA, sent in one write where PIPELINING is offered (RFC 2920, 3.1).

        Fewer than there are commands where one was refused and no more were sent, or answered.
        """
        replies: list[_Reply] = []
        if self._pipelining:
            await self._write(b"".join(commands))
        for stage, command in zip(STAGES, commands, strict=True):
            try:
                if not self._pipelining:
                    await self._write(command)
                reply = await self._reply()
            except NO_REPLY:
                if all(map(_granted, STAGES, replies)):
                    raise
                break
            replies.append(reply)
            if reply.code == 421 or not (self._pipelining or _granted(stage, reply)):
                break
        return replies

    def _accepted(self, reply: _Reply) -> _Answer | None:
        if 200 <= reply.code < 300:
            return None
        self._usable = reply.code != 421
        return _judge("message", reply)

    async def _reset(self, *, waiting_for_data: bool) -> None:
        """Forget the transaction. DATA granted without a recipient is ended at once (RFC 2920, 3.1)."""
        with suppress(*NO_REPLY):
            if waiting_for_data:
                await self._write(b".\r\n")
                await self._reply()
            await self._write(b"RSET\r\n")
            self._usable = (await self._reply()).code == 250

    def _check_open(self) -> None:
        if self._transport.is_closing() or self._reader.at_eof():
            raise ConnectionResetError

    async def _write(self, data: bytes) -> None:
        if data:
            self._writer.write(data)
            await self._writer.drain()

    async def _reply(self) -> _Reply:
        """One reply (RFC 5321, 4.2.1). Raises EOFError, OSError or ValueError where there is none."""
        texts = []
        for _ in range(REPLY_LINES):
            found = _REPLY.fullmatch(await self._reader.readuntil(b"\n"))
            if found is None:
                break
            texts.append((found[3] or b"").decode("ascii", "replace").replace("\ufffd", "?"))
            if found[2] != b"-":
                text = " ".join("".join(c if c.isprintable() else " " for c in " ".join(texts)).split())
                return _Reply(int(found[1]), text)
        raise ValueError("not an SMTP reply")


class _Pool:
    """Connections that are logged in; at most `limit` exist at a time."""

    def __init__(self, connect: Callable[[], Awaitable[_Connection]], *, limit: int, idle_seconds: float) -> None:
        self._connect = connect
        self._idle_seconds = idle_seconds
        self._idle: list[_Connection] = []
        self._timer: asyncio.TimerHandle | None = None
        self.slots = asyncio.Semaphore(limit)

    async def take(self) -> _Connection:
        """One that was used before, or a new one. To be called with one of `slots` held."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.abandon()
        return await self._connect()

    def give_back(self, connection: _Connection) -> None:
        """Keep it where it is still usable."""
        if not connection.usable:
            connection.abandon()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._timer is None:
            self._timer = loop.call_later(self._idle_seconds, self._close_idle)

    async def close(self) -> None:
        """End all that are not in use."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.quit() for connection in idle))

    def _close_idle(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time() - self._idle_seconds
        for connection in [connection for connection in self._idle if connection.idle_since <= before]:
            self._idle.remove(connection)
            connection.leave()
        oldest = min((connection.idle_since for connection in self._idle), default=None)
        self._timer = None if oldest is None else loop.call_at(oldest + self._idle_seconds, self._close_idle)


@dataclass(slots=True)
class _Call:
    """One call of `send`: who is waiting, what is known, and what keeps the others from being tried."""

    letter: Letter
    waiting: deque[tuple[int, Recipient]]
    until: float
    answers: dict[int, _Answer] = field(default_factory=dict)
    refused: bool = False
    trouble: OutsideWorldError | None = None

    @property
    def going_on(self) -> bool:
        """Whether to try another recipient. A connection that cannot be made does not keep the others from it."""
        return bool(self.waiting) and not self.refused and asyncio.get_running_loop().time() < self.until

    def note(self, index: int, answer: _Answer) -> None:
        """Keep an answer; one that would be everybody's ends the call."""
        self.answers[index] = answer
        self.refused = self.refused or (answer.blame == "everyone" and (answer.code or 0) >= 500)


class SMTPSender:
    """Sends over up to `connections` connections, which are kept open from one chunk to the next.

    No connection and no transaction takes longer than `timeout_seconds`, and none is begun once a
    call has lasted so long: a call ends within three times that.

    What a refusal says about one recipient and what it says about us is told apart by the command
    that was refused and by the enhanced status code (RFC 3463). Nobody fails for a refusal that is
    about us: a call of which nothing was sent raises OutsideWorldError instead.
    """

    def __init__(
        self,
        server: SMTPServer,
        *,
        mail_from: str,
        base_url: str,
        connections: int = 4,
        timeout_seconds: float = 30.0,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._server = server
        self._tls = server.tls() if server.security != "none" else None
        self._mail_from = _mailbox(mail_from)
        self._base_url = base_url
        self._connections = connections
        self._timeout = timeout_seconds
        self._clock = clock
        self._local_name: str | None = None
        self._pool = _Pool(self._connect, limit=connections, idle_seconds=idle_seconds)

    @property
    def reports_feedback(self) -> bool:
        """Bounces come back as mail, which nothing here reads."""
        return False

    async def quota(self) -> Quota:
        """SMTP has no word for it."""
        return Quota()

    async def close(self) -> None:
        """Say goodbye to the server."""
        await self._pool.close()

    async def send(self, letter: Letter, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        """A transaction for each recipient, several at a time."""
        until = asyncio.get_running_loop().time() + self._timeout
        call = _Call(letter, deque(enumerate(recipients)), until)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._connections, len(recipients))):
                group.create_task(self._work(call))
        if not any(answer.blame == "recipient" for answer in call.answers.values()):
            if call.trouble is not None and len(call.answers) < len(recipients):
                raise call.trouble
            self._check_refusals(list(call.answers.values()))
        reason = call.trouble.message[:255] if call.trouble else "not tried this time"
        untried = _Answer(Outcome("retry", error=reason, cause="throttled"))
        return [call.answers.get(index, untried).outcome for index in range(len(recipients))]

    async def _work(self, call: _Call) -> None:
        connection: _Connection | None = None
        async with self._pool.slots:
            try:
                while call.going_on:
                    connection = connection or await self._pool.take()
                    if not call.waiting:
                        break
                    index, recipient = call.waiting.popleft()
                    try:
                        call.note(index, await self._deliver(connection, call.letter, recipient))
                    except _ConnectionLost as lost:
                        if connection.delivered:
                            # It was left over from earlier, and of this message nothing was said on it.
                            call.waiting.appendleft((index, recipient))
                        else:
                            call.note(index, _Answer(Outcome("retry", error=str(lost)), "anyone"))
                    if not connection.usable:
                        connection.abandon()
                        connection = None
            except OutsideWorldError as error:
                call.trouble = error
            finally:
                if connection is not None:
                    self._pool.give_back(connection)

    async def _deliver(self, connection: _Connection, letter: Letter, recipient: Recipient) -> _Answer:
        try:
            mailbox = _mailbox(recipient.email)
        except (ValueError, IndexError, MessageError):
            return _Answer(Outcome("failed", error="the address cannot be written in an SMTP command"))
        message = compose(letter, recipient, sender=self._mail_from, base_url=self._base_url, now=self._clock())
        # Bare CR or LF would let a server see an end that is none (RFC 5321, 4.1.1.4).
        data = re.sub(rb"\r\n|\r|\n", b"\r\n", message.as_bytes())
        return await connection.deliver(self._mail_from, mailbox, data, str(message["Message-ID"]), self._timeout)

    def _check_refusals(self, answers: Sequence[_Answer]) -> None:
        """Raises Throttled or OutsideWorldError where nothing was sent and that tells about us."""
        failed = any(answer.outcome.state == "failed" for answer in answers)
        chance = CHANCE_OF_FAILURE if failed else CHANCE_OF_RETRY
        if len(answers) <= chance and not any(answer.blame == "everyone" for answer in answers):
            return
        blamed = next((answer for answer in answers if answer.blame == "everyone"), answers[0])
        reason = _ADDRESS.sub("(address)", blamed.outcome.error or "")
        if all(answer.code in THROTTLING for answer in answers):
            raise Throttled(f"The mail server {self._server.host} takes no more for now: {reason}.")
        raise OutsideWorldError(
            f"The mail server {self._server.host} takes no mail from {self._mail_from}: {reason}.",
            hint="see whether it lets HOSTEMR_SMTP_USERNAME send as HOSTEMR_MAIL_FROM",
        )

    async def _connect(self) -> _Connection:
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=self._local_name,
            timeout=self._timeout,
            use_tls=server.security == "tls",
            start_tls=False,
            tls_context=self._tls,
        )
        try:
            async with asyncio.timeout(self._timeout):
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
        self._local_name = client.local_hostname
        return _Connection(
            cast("asyncio.Transport", client.transport),
            pipelining=client.supports_extension("pipelining"),
            size=client.supports_extension("size"),
        )


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
        line = _ADDRESS.sub("(address)", " ".join(f"{error.code} {error.message}".split()))[:255]
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


def _granted(stage: str, reply: _Reply) -> bool:
    return reply.code == 354 if stage == "DATA" else 200 <= reply.code < 300


def _judge(stage: str, reply: _Reply) -> _Answer:
    """What a refusal means, and of whom. Raises ValueError where it is no refusal and no consent either.

    At MAIL the server knows of no recipient yet. Later the enhanced status code tells, where there is one;
    without one, RCPT is about the recipient as far as others are accepted.
    """
    if reply.code < 400:
        raise ValueError("not the reply to this command")
    ours = stage == "MAIL" or reply.code in AUTHENTICATION or reply.code == 421
    if ours and reply.code >= 500:
        return _Answer(Outcome("retry", error=reply.line, cause="account"), "everyone", reply.code)
    theirs = reply.subject in DESTINATION_SUBJECTS and not ours
    blame: Blame = "everyone" if ours else "recipient" if theirs else "anyone"
    if reply.code >= 500:
        return _Answer(Outcome("failed", error=reply.line), blame, reply.code)
    throttled = ours or (reply.code in NOT_THE_RECIPIENT and not theirs)
    return _Answer(Outcome("retry", error=reply.line, cause="throttled" if throttled else None), blame, reply.code)


def _mailbox(address: str) -> str:
    """The address as it stands in MAIL and RCPT (RFC 5321, 4.1.2). Raises ValueError, IndexError or MessageError."""
    mailbox = Address(addr_spec=address).addr_spec
    if not mailbox.isascii() or not mailbox.isprintable():
        raise ValueError("expected printable ASCII")
    return mailbox


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
