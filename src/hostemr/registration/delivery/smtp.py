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
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from functools import lru_cache

from hostemr.errors import OutsideWorldError
from hostemr.registration.delivery.message import Composer, message_id
from hostemr.registration.delivery.sender import Letter, Outcome, Quota, Recipient, Throttled
from hostemr.registration.delivery.smtp_connection import Connection, ConnectionLost
from hostemr.registration.delivery.smtp_pool import Pool
from hostemr.registration.delivery.smtp_replies import Answer
from hostemr.registration.delivery.smtp_server import SMTPServer, open_connection, without_addresses

IDLE_SECONDS = 30.0
THROTTLING = {421, 450, 451, 452, 454}
CHANCE_OF_RETRY = 1
CHANCE_OF_FAILURE = 4
"""So many recipients of one call may all be refused for now, or for good, without it being about us."""

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
"""A dot-atom at a domain (RFC 5322, 3.4.1), as nearly all are: it needs none of the library's parsing."""


@dataclass(slots=True)
class _Call:
    """One call of `send`: who is waiting, what is known, and what keeps the others from being tried."""

    letter: Letter
    waiting: deque[tuple[int, Recipient]]
    until: float
    answers: dict[int, Answer] = field(default_factory=dict)
    refused: bool = False
    trouble: OutsideWorldError | None = None

    @property
    def going_on(self) -> bool:
        """Whether to try another recipient. A connection that cannot be made does not keep the others from it."""
        return bool(self.waiting) and not self.refused and asyncio.get_running_loop().time() < self.until

    def note(self, index: int, answer: Answer) -> None:
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
        self._composer = lru_cache(8)(lambda letter: Composer(letter, sender=self._mail_from, base_url=base_url))
        self._mail_from = _mailbox(mail_from)
        self._connections = connections
        self._timeout = timeout_seconds
        self._clock = clock
        self._local_name: str | None = None
        self._pool = Pool(self._connect, limit=connections, idle_seconds=idle_seconds)

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
        untried = Answer(Outcome("retry", error=reason, cause="throttled"))
        return [call.answers.get(index, untried).outcome for index in range(len(recipients))]

    async def _work(self, call: _Call) -> None:
        connection: Connection | None = None
        async with self._pool.slots:
            try:
                while call.going_on:
                    connection = connection or await self._pool.take()
                    if not call.waiting:
                        break
                    index, recipient = call.waiting.popleft()
                    try:
                        call.note(index, await self._deliver(connection, call.letter, recipient))
                    except ConnectionLost as lost:
                        if connection.delivered:
                            # It was left over from earlier, and of this message nothing was said on it.
                            call.waiting.appendleft((index, recipient))
                        else:
                            call.note(index, Answer(Outcome("retry", error=str(lost)), "anyone"))
                    if not connection.usable:
                        connection.abandon()
                        connection = None
            except OutsideWorldError as error:
                call.trouble = error
            finally:
                if connection is not None:
                    self._pool.give_back(connection)

    async def _deliver(self, connection: Connection, letter: Letter, recipient: Recipient) -> Answer:
        try:
            mailbox = _mailbox(recipient.email)
        except (ValueError, IndexError, MessageError):
            return Answer(Outcome("failed", error="the address cannot be written in an SMTP command"))
        composed = self._composer(letter).compose(recipient, self._clock())
        # Bare CR or LF would let a server see an end that is none (RFC 5321, 4.1.1.4).
        data = re.sub(rb"\r\n|\r|\n", b"\r\n", composed)
        name = message_id(letter, recipient, self._mail_from)
        return await connection.deliver(self._mail_from, mailbox, data, name, self._timeout)

    def _check_refusals(self, answers: Sequence[Answer]) -> None:
        """Raises Throttled or OutsideWorldError where nothing was sent and that tells about us."""
        failed = any(answer.outcome.state == "failed" for answer in answers)
        chance = CHANCE_OF_FAILURE if failed else CHANCE_OF_RETRY
        if len(answers) <= chance and not any(answer.blame == "everyone" for answer in answers):
            return
        blamed = next((answer for answer in answers if answer.blame == "everyone"), answers[0])
        reason = without_addresses(blamed.outcome.error or "")
        if all(answer.code in THROTTLING for answer in answers):
            raise Throttled(f"The mail server {self._server.host} takes no more for now: {reason}.")
        raise OutsideWorldError(
            f"The mail server {self._server.host} takes no mail from {self._mail_from}: {reason}.",
            hint="see whether it lets HOSTEMR_SMTP_USERNAME send as HOSTEMR_MAIL_FROM",
        )

    async def _connect(self) -> Connection:
        connection, self._local_name = await open_connection(
            self._server, self._tls, local_name=self._local_name, seconds=self._timeout
        )
        return connection


def _mailbox(address: str) -> str:
    """The address as it stands in MAIL and RCPT (RFC 5321, 4.1.2). Raises ValueError, IndexError or MessageError."""
    if _PLAIN_ADDRESS.fullmatch(address):
        return address
    mailbox = Address(addr_spec=address).addr_spec
    if not mailbox.isascii() or not mailbox.isprintable():
        raise ValueError("expected printable ASCII")
    return mailbox
