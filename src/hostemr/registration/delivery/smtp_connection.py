"""One connection to a mail server that is logged in, and the mail transactions on it (RFC 5321, RFC 2920)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress

from hostemr.registration.delivery.sender import Outcome
from hostemr.registration.delivery.smtp_replies import STAGES, Answer, Reply, granted, judge

QUIT_SECONDS = 5.0
REPLY_LINES = 100
LAST_BYTES = 16_384
"""Of a message, so many bytes are written with its final dot, once there is room for them."""

NO_REPLY = (OSError, EOFError, ValueError, asyncio.LimitOverrunError)
"""The connection broke (a timeout is an OSError), or what came is not SMTP."""

_REPLY = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?\r?\n", re.DOTALL)


class ConnectionLost(Exception):
    """The connection broke or makes no sense; of this message nothing was handed over."""


class Connection:
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
        """Whether it may carry a further message."""
        return self._usable and not self._transport.is_closing() and not self._reader.at_eof()

    async def deliver(self, sender: str, recipient: str, data: bytes, message_id: str, seconds: float) -> Answer:
        """One mail transaction, over within `seconds`.

        Raises ConnectionLost where the message's text was not begun, so that it may be tried on
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
                return Answer(Outcome("ambiguous", message_id, f"{what} after the message was sent"))
            if begun or timed_out:
                return Answer(Outcome("retry", error=f"{what} before the message was sent"), "anyone")
            raise ConnectionLost(what) from error
        if refused is not None:
            return refused
        self._usable = True
        self.delivered += 1
        return Answer(Outcome("sent", reply.text[:128].strip() or message_id))

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

    async def _envelope(self, sender: str, recipient: str, size: int) -> Answer | None:
        """MAIL, RCPT and DATA; None where the server now waits for the message."""
        size_option = f" SIZE={size}" if self._size else ""
        replies = await self._ask(
            f"MAIL FROM:<{sender}>{size_option}\r\n".encode("ascii"),
            f"RCPT TO:<{recipient}>\r\n".encode("ascii"),
            b"DATA\r\n",
        )
        answers = zip(STAGES, replies, strict=False)
        refused = next((judge(stage, reply) for stage, reply in answers if not granted(stage, reply)), None)
        if refused is None:
            return None
        if refused.code == 421:
            if self.delivered:
                raise ConnectionLost(refused.outcome.error)
            return refused
        waiting_for_data = replies[-1].code == 354
        if not (waiting_for_data and granted("RCPT", replies[1])):
            await self._reset(waiting_for_data=waiting_for_data)
        # Otherwise MAIL alone was refused; to end the data here could send an empty message.
        return refused

    async def _ask(self, *commands: bytes) -> Sequence[Reply]:
        """The replies to MAIL, RCPT and DATA, sent in one write where PIPELINING is offered (RFC 2920, 3.1).

        Fewer than there are commands where one was refused and no more were sent, or answered.
        """
        replies: list[Reply] = []
        if self._pipelining:
            await self._write(b"".join(commands))
        for stage, command in zip(STAGES, commands, strict=True):
            try:
                if not self._pipelining:
                    await self._write(command)
                reply = await self._reply()
            except NO_REPLY:
                if all(map(granted, STAGES, replies)):
                    raise
                break
            replies.append(reply)
            if reply.code == 421 or not (self._pipelining or granted(stage, reply)):
                break
        return replies

    def _accepted(self, reply: Reply) -> Answer | None:
        if 200 <= reply.code < 300:
            return None
        self._usable = reply.code != 421
        return judge("message", reply)

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

    async def _reply(self) -> Reply:
        """One reply (RFC 5321, 4.2.1). Raises EOFError, OSError or ValueError where there is none."""
        texts = []
        for _ in range(REPLY_LINES):
            found = _REPLY.fullmatch(await self._reader.readuntil(b"\n"))
            if found is None:
                break
            texts.append((found[3] or b"").decode("ascii", "replace").replace("\ufffd", "?"))
            if found[2] != b"-":
                text = " ".join("".join(c if c.isprintable() else " " for c in " ".join(texts)).split())
                return Reply(int(found[1]), text)
        raise ValueError("not an SMTP reply")
