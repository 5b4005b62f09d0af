"""SMTP: what every kind of reply and every kind of loss means, who is spoken to, and how few connections it takes."""

from __future__ import annotations

import asyncio
import email
import logging
import re
import socket
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.registration.delivery.message import Composer
from hostemr.registration.delivery.sender import Outcome, Quota, Recipient, Sender, Throttled
from hostemr.registration.delivery.smtp import SMTPSender
from hostemr.registration.delivery.smtp_server import SMTPServer
from tests.peers.certificates import self_signed
from tests.peers.loopback import free_port
from tests.peers.smtp import PrivateExim, SMTPPeer
from tests.registration.delivery.sender_contract import (
    BASE_URL,
    MAIL_FROM,
    TEXTS,
    letter,
    lines,
    link,
    part,
    recipients,
)

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LOGIN = ("board", "correct horse")
Loop = Callable[[], asyncio.AbstractEventLoop]
BIG = "Zeile mit Umlaut äöü\n" * 100_000


@pytest.fixture(scope="module")
def shared_peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SMTPPeer]:
    with SMTPPeer(tmp_path_factory.mktemp("smtp")) as peer:
        yield peer


@pytest.fixture
def peer(shared_peer: SMTPPeer) -> SMTPPeer:
    shared_peer.forget()
    return shared_peer


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"), x509.DNSName("localhost"))


@asynccontextmanager
async def sending(port: int, host: str = "127.0.0.1", **options: Any) -> AsyncIterator[SMTPSender]:
    mine = {"mail_from", "connections", "timeout_seconds", "idle_seconds"}
    server = SMTPServer(host, port, **{"security": "none", **{k: v for k, v in options.items() if k not in mine}})
    kept = {name: value for name, value in options.items() if name in mine}
    sender = SMTPSender(server, **{"mail_from": MAIL_FROM, **kept}, base_url=BASE_URL, clock=lambda: NOW)
    try:
        yield sender
    finally:
        await sender.close()


def people(*locals_: str) -> list[Recipient]:
    return [Recipient(n, f"{name}@example.org", f"{n:032x}") for n, name in enumerate(locals_, 1)]


def states(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.state for outcome in outcomes]


def fits_the_port(sender: SMTPSender) -> Sender:
    return sender


async def test_fifty_get_it_once_each(peer: SMTPPeer) -> None:
    async with sending(peer.port, connections=4) as sender:
        outcomes = await sender.send(letter(), recipients(50))
        assert await sender.quota() == Quota()
        assert not sender.reports_feedback
    assert states(outcomes) == ["sent"] * 50
    assert sorted(peer.recipients) == sorted(recipient.email for recipient in recipients(50))
    assert {entry["sender"] for entry in peer.accepted} == {MAIL_FROM}
    messages = {message["To"]: message for message in (email.message_from_bytes(m, policy=SMTP) for m in peer.messages)}
    for recipient, outcome in zip(recipients(50), outcomes, strict=True):
        message = messages[recipient.email]
        assert message["Message-ID"] == f"<55cd33ef-f6dd-4d28-925d-d652da3d70b2.{recipient.number}@open-emr.org>"
        assert re.sub(r"\s", "", message["List-Unsubscribe"]) == f"<{link(recipient)}>"
        assert outcome.provider_id is not None
        assert outcome.provider_id.startswith("2.0.0 OK: queued as ")
    assert peer.connections == 4


@pytest.mark.parametrize("pipelining", [True, False])
async def test_the_outcomes(tmp_path: Path, pipelining: bool) -> None:
    asked = [
        *("a", "tempfail", "b", "permfail", "greylisted", "policy", "unexplained", "c", "closing", "d"),
        *("data-tempfail", "data-permfail", "e", "dot-tempfail", "dot-permfail", "f", "drop-after-dot", "g"),
    ]
    with SMTPPeer(tmp_path, pipelining=pipelining) as peer:
        async with sending(peer.port, connections=1) as sender:
            outcomes = dict(zip(asked, await sender.send(letter(), people(*asked)), strict=True))
        assert [name for name in asked if outcomes[name].state == "sent"] == ["a", "b", "c", "d", "e", "f", "g"]
        taken = [*(f"{n}@example.org" for n in "abcdef"), "drop-after-dot@example.org", "g@example.org"]
        assert peer.recipients == taken
    assert outcomes["tempfail"] == Outcome("retry", error="451 4.3.0 try again later")
    assert outcomes["permfail"] == Outcome("failed", error="550 5.1.1 no such user")
    assert outcomes["greylisted"] == Outcome("retry", error="450 4.2.0 greylisted")
    assert outcomes["policy"] == Outcome("failed", error="554 5.7.1 relay access denied")
    assert outcomes["unexplained"] == Outcome("failed", error="550 no")
    assert outcomes["closing"] == Outcome("retry", error="421 4.3.2 shutting down", cause="throttled")
    assert outcomes["data-tempfail"].state == "retry"
    assert outcomes["data-permfail"].state == "failed"
    assert outcomes["dot-tempfail"].state == "retry"
    assert outcomes["dot-tempfail"].cause == "throttled"
    assert outcomes["dot-permfail"].state == "failed"
    assert outcomes["drop-after-dot"].state == "ambiguous"


async def test_a_connection_lost_at_rcpt_is_tried_once_more_and_then_a_retry(peer: SMTPPeer) -> None:
    async with sending(peer.port, connections=1) as sender:
        outcomes = await sender.send(letter(), people("a", "drop-at-rcpt", "b"))
    assert states(outcomes) == ["sent", "retry", "sent"]
    assert outcomes[1].error == "the connection was lost"
    assert peer.connections == 3


async def test_no_reply_in_time_is_ambiguous_only_after_the_message(peer: SMTPPeer) -> None:
    async with sending(peer.port, connections=3, timeout_seconds=1) as sender:
        outcomes = await sender.send(letter(), people("slow", "slow-dot", "a"))
    assert states(outcomes) == ["retry", "ambiguous", "sent"]
    assert outcomes[1].error == "no reply within 1 seconds after the message was sent"


async def test_a_call_ends_although_the_server_is_slow(peer: SMTPPeer) -> None:
    began = time.monotonic()
    async with sending(peer.port, connections=1, timeout_seconds=1) as sender:
        outcomes = await sender.send(letter(), people("a", "slow1", "b", "c"))
    assert time.monotonic() - began < 3
    assert states(outcomes) == ["sent", "retry", "retry", "retry"]
    assert [outcome.cause for outcome in outcomes] == [None, None, "throttled", "throttled"]


@pytest.mark.parametrize("name", ["tempfail", "dot-tempfail", "data-tempfail"])
async def test_everyone_put_off_is_throttling(peer: SMTPPeer, name: str) -> None:
    async with sending(peer.port) as sender:
        with pytest.raises(Throttled, match="takes no more for now"):
            await sender.send(letter(), people(*(f"{name}{n}" for n in range(6))))
        lone = await sender.send(letter(), people(name))
    assert states(lone) == ["retry"]


@pytest.mark.parametrize("name", ["policy", "unexplained", "data-permfail", "dot-permfail"])
async def test_nobody_fails_because_everyone_is_refused(peer: SMTPPeer, name: str) -> None:
    async with sending(peer.port) as sender:
        with pytest.raises(OutsideWorldError, match=f"takes no mail from {MAIL_FROM}") as caught:
            await sender.send(letter(), people(*(f"{name}{n}" for n in range(6))))
        few = await sender.send(letter(), people(f"{name}1", f"{name}2"))
    assert not isinstance(caught.value, Throttled)
    assert "HOSTEMR_MAIL_FROM" in caught.value.hint
    assert states(few) == ["failed", "failed"]
    assert peer.recipients == []


async def test_many_unknown_users_are_many_failures(peer: SMTPPeer) -> None:
    async with sending(peer.port) as sender:
        outcomes = await sender.send(letter(), people(*(f"permfail{n}" for n in range(9))))
    assert states(outcomes) == ["failed"] * 9


async def test_greylisting_of_everyone_is_a_retry_of_each(peer: SMTPPeer) -> None:
    async with sending(peer.port) as sender:
        assert states(await sender.send(letter(), people("greylisted1", "greylisted2"))) == ["retry", "retry"]


@pytest.mark.parametrize(("sender_name", "kind"), [("permfail", OutsideWorldError), ("tempfail", Throttled)])
async def test_a_refused_sender_fails_nobody(peer: SMTPPeer, sender_name: str, kind: type[OutsideWorldError]) -> None:
    async with sending(peer.port, mail_from=f"{sender_name}@open-emr.org") as sender:
        for count in (1, 9):
            with pytest.raises(kind) as caught:
                await sender.send(letter(), recipients(count))
            assert type(caught.value) is kind
    assert peer.recipients == []


async def test_a_login_that_is_wanted_fails_nobody(peer: SMTPPeer) -> None:
    async with sending(peer.port, connections=1) as sender:
        with pytest.raises(OutsideWorldError, match=r"530 5\.7\.0 authentication required"):
            await sender.send(letter(), people("login-wanted"))
        outcomes = await sender.send(letter(), people("a", "login-wanted", "b"))
    assert states(outcomes) == ["sent", "retry", "retry"]
    assert [outcome.cause for outcome in outcomes[1:]] == ["account", "throttled"]


async def test_addresses_are_not_in_errors_for_the_log(peer: SMTPPeer) -> None:
    async with sending(peer.port) as sender:
        for count in (1, 6):
            with pytest.raises(OutsideWorldError) as caught:
                await sender.send(letter(), people(*(f"closing{n}" for n in range(count))))
            assert "example.org" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["a b@example.org", "ä@example.org", "a@example.org\r\nRCPT TO:<b@example.org>", ""]
)
async def test_an_address_that_is_none_fails_alone(peer: SMTPPeer, address: str) -> None:
    async with sending(peer.port) as sender:
        outcomes = await sender.send(letter(), [Recipient(1, address, "0" * 32), *recipients(2)[1:]])
    assert states(outcomes) == ["failed", "sent"]
    assert peer.recipients == ["user2@example.org"]


async def test_connections_are_reused_over_chunks(peer: SMTPPeer) -> None:
    async with sending(peer.port, connections=2) as sender:
        for _ in range(3):
            await asyncio.gather(sender.send(letter(), recipients(20)), sender.send(letter(), recipients(20)))
        assert peer.connections == 2
    assert len(peer.recipients) == 120


async def test_idle_connections_are_closed(peer: SMTPPeer) -> None:
    async with sending(peer.port, connections=2, idle_seconds=0.1) as sender:
        await sender.send(letter(), recipients(10))
        await asyncio.sleep(0.4)
        await sender.send(letter(), recipients(10))
        assert peer.connections == 4


async def test_a_server_that_was_restarted_between_chunks_is_not_noticed(tmp_path: Path) -> None:
    with SMTPPeer(tmp_path) as peer:
        async with sending(peer.port, connections=2) as sender:
            assert states(await sender.send(letter(), recipients(4))) == ["sent"] * 4
            peer.kill()
            with pytest.raises(OutsideWorldError, match="cannot be reached"):
                await sender.send(letter(), recipients(4))
            peer.start()
            assert states(await sender.send(letter(), recipients(4))) == ["sent"] * 4


async def test_fewer_connections_than_wanted_are_enough(tmp_path: Path) -> None:
    with SMTPPeer(tmp_path, most_connections=1) as peer:
        async with sending(peer.port, connections=4) as sender:
            assert states(await sender.send(letter(), recipients(20))) == ["sent"] * 20
            async with sending(peer.port, connections=4) as other:
                with pytest.raises(Throttled, match=r"421 4\.7\.0 too many connections"):
                    await other.send(letter(), recipients(20))
        assert len(peer.recipients) == 20


async def test_cancelled_it_leaves_no_connection_in_the_middle_of_a_message(peer: SMTPPeer) -> None:
    async with sending(peer.port, connections=1) as sender:
        task = asyncio.create_task(sender.send(letter(), people("a", "slow-dot", "b")))
        await asyncio.sleep(1)
        assert peer.recipients == ["a@example.org"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert states(await sender.send(letter(), people("c", "d"))) == ["sent", "sent"]
    assert [name for name in peer.recipients if name[0] in "cd"] == ["c@example.org", "d@example.org"]
    assert peer.connections == 2


async def test_a_message_over_the_servers_size_is_not_sent(tmp_path: Path) -> None:
    with SMTPPeer(tmp_path, size=20_000) as peer:
        async with sending(peer.port) as sender:
            assert states(await sender.send(letter(), recipients(1))) == ["sent"]
            with pytest.raises(OutsideWorldError, match="552"):
                await sender.send(letter(BIG), recipients(1))
        assert [entry["options"][0].startswith("SIZE=") for entry in peer.accepted] == [True]


# TLS and AUTH


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_tls_and_login(tmp_path: Path, certificate: Path, security: str) -> None:
    with SMTPPeer(tmp_path, tls=security, certificate=str(certificate), login=LOGIN) as peer:
        right = {"security": security, "ca_file": certificate, "username": LOGIN[0], "password": LOGIN[1]}
        async with sending(peer.port, "localhost", **right) as sender:
            assert states(await sender.send(letter(), recipients(5))) == ["sent"] * 5
        for host, ca_file, reason in (
            ("localhost", self_signed(tmp_path, x509.DNSName("localhost")), "is not accepted"),
            ("localhost", None, "is not accepted"),
            ("127.0.0.1", certificate, "is not accepted: IP address mismatch"),
        ):
            peer.forget()
            async with sending(peer.port, host, **{**right, "ca_file": ca_file}) as sender:
                with pytest.raises(OutsideWorldError, match=reason) as caught:
                    await sender.send(letter(), recipients(5))
            assert "HOSTEMR_SMTP_CA_FILE" in caught.value.hint
            assert peer.recipients == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_long_messages_follow_each_other_over_tls(tmp_path: Path, certificate: Path, security: str, loop: Loop) -> None:
    async def send(port: int) -> list[str]:
        async with sending(port, "localhost", security=security, ca_file=certificate, connections=1) as sender:
            return states(await sender.send(letter(BIG[:400_000]), recipients(4)))

    with (
        SMTPPeer(tmp_path, tls=security, certificate=str(certificate)) as peer,
        asyncio.Runner(loop_factory=loop) as run,
    ):
        assert run.run(send(peer.port)) == ["sent"] * 4
        assert len(peer.recipients) == 4


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_wrong_password_is_told_nowhere(
    tmp_path: Path, certificate: Path, security: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong: dict[str, Any] = {
        "security": security,
        "ca_file": certificate,
        "username": LOGIN[0],
        "password": "battery staple",
    }
    with SMTPPeer(tmp_path, tls=security, certificate=str(certificate), login=LOGIN) as peer:
        async with sending(peer.port, "localhost", **wrong) as sender:
            with pytest.raises(
                OutsideWorldError, match=r"refuses the login of HOSTEMR_SMTP_USERNAME \(535\)"
            ) as caught:
                await sender.send(letter(), recipients(5))
    told = "".join(traceback.format_exception(caught.value)) + caught.value.hint + caplog.text
    assert "battery staple" not in told + repr(SMTPServer("localhost", **wrong))


async def test_a_password_without_tls_stays_on_this_machine(certificate: Path) -> None:
    with pytest.raises(SettingsError, match=r"smtp_password would reach mail\.example\.org"):
        SMTPServer("mail.example.org", security="none", username="a", password="b")
    for host in ("localhost", "127.0.0.1", "::1"):
        assert SMTPServer(host, security="none", username="a", password="b").host == host
    missing = SMTPServer("localhost", ca_file=certificate.with_name("missing.pem"))
    with pytest.raises(SettingsError, match=r"missing\.pem"):
        SMTPSender(missing, mail_from=MAIL_FROM, base_url=BASE_URL)


async def test_without_starttls_nothing_is_sent(peer: SMTPPeer) -> None:
    async with sending(peer.port, security="starttls", username="board", password="secret") as sender:
        with pytest.raises(OutsideWorldError, match="does not offer STARTTLS"):
            await sender.send(letter(), recipients(2))
    assert peer.recipients == []


async def test_tls_to_a_server_that_speaks_none(peer: SMTPPeer) -> None:
    async with sending(peer.port, security="tls") as sender:
        with pytest.raises(OutsideWorldError) as caught:
            await sender.send(letter(), recipients(2))
    assert "HOSTEMR_SMTP_SECURITY" in caught.value.hint


async def test_nobody_listens() -> None:
    async with sending(free_port()) as sender:
        with pytest.raises(OutsideWorldError, match="cannot be reached: Connection refused") as caught:
            await sender.send(letter(), recipients(2))
    assert "HOSTEMR_SMTP_PORT" in caught.value.hint


async def test_a_server_that_lets_nobody_log_in() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        writer.write(b"250 hello\r\n")
        await reader.read()

    async with scripted(talk) as port, sending(port, username="a", password="b") as sender:
        with pytest.raises(OutsideWorldError, match="does not let anybody log in"):
            await sender.send(letter(), recipients(2))


async def test_a_name_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_arguments: Any, **_options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    async with sending(25, "mail.invalid") as sender:
        with pytest.raises(OutsideWorldError, match=r"The mail server mail\.invalid:25 is not found\."):
            await sender.send(letter(), recipients(2))


# A server that is a script

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(talk: Talk, *, receive_buffer: int | None = None) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    listener = socket.create_server(("127.0.0.1", 0))
    if receive_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    async with await asyncio.start_server(serve, sock=listener) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(("offered", "segments"), [(True, 1), (False, 3)])
async def test_commands_come_in_one_segment_where_pipelining_is_offered(offered: bool, segments: int) -> None:
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        writer.write(b"250-hello\r\n250 PIPELINING\r\n" if offered else b"250 hello\r\n")
        for _ in range(segments):
            heard.append(await reader.read(65536))
            writer.write(
                {1: b"250 ok\r\n250 ok\r\n354 go\r\n", 3: b"250 ok\r\n"}[segments] if len(heard) < 3 else b"354 go\r\n"
            )
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 \r\n")
        await reader.readline()

    async with scripted(talk) as port, sending(port) as sender:
        (outcome,) = await sender.send(letter(), recipients(1))
    commands = [b"MAIL FROM:<noreply@open-emr.org>\r\n", b"RCPT TO:<user1@example.org>\r\n", b"DATA\r\n"]
    assert heard == ([b"".join(commands)] if offered else commands)
    assert outcome == Outcome("sent", "<55cd33ef-f6dd-4d28-925d-d652da3d70b2.1@open-emr.org>")


async def test_data_granted_without_a_recipient_sends_nothing() -> None:
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        writer.write(b"250-hello\r\n250 PIPELINING\r\n")
        await reader.readuntil(b"DATA\r\n")
        writer.write(b"250 ok\r\n550-5.1.1 no\r\n550 5.1.1 such user\r\n354 go\r\n")
        for reply in (b"554 5.5.1 no recipients\r\n", b"250 reset\r\n", b"221 bye\r\n"):
            heard.append(await reader.readline())
            writer.write(reply)

    async with scripted(talk) as port, sending(port) as sender:
        (outcome,) = await sender.send(letter(), recipients(1))
    assert outcome == Outcome("failed", error="550 5.1.1 no 5.1.1 such user")
    assert heard == [b".\r\n", b"RSET\r\n", b"QUIT\r\n"]


async def test_replies_given_before_tls_are_not_believed(certificate: Path) -> None:
    """A man in the middle answers for the server beforehand (RFC 3207, 6; CVE-2021-38371 and others)."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        writer.write(b"250-hello\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 go\r\n250-evil\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n")
        await reader.read()

    options = {"security": "starttls", "ca_file": certificate, "timeout_seconds": 0.5}
    async with scripted(talk) as port, sending(port, "localhost", **options) as sender:
        with pytest.raises(OutsideWorldError):
            await sender.send(letter(), recipients(1))


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        (b"421 busy\r\n", Throttled),
        (b"450 not now\r\n", Throttled),
        (b"554 go away user@example.org\r\n", OutsideWorldError),
        (b"HTTP/1.1 400 Bad Request\r\n", OutsideWorldError),
        (b"", OutsideWorldError),
    ],
)
async def test_a_greeting_that_is_none(greeting: bytes, kind: type[OutsideWorldError]) -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)

    async with scripted(talk) as port, sending(port) as sender:
        with pytest.raises(OutsideWorldError) as caught:
            await sender.send(letter(), recipients(3))
    assert type(caught.value) is kind
    assert "example.org" not in str(caught.value)
    assert "\n" not in caught.value.message


async def test_a_connection_lost_before_the_end_of_a_message_is_a_retry() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        writer.write(b"250-hello\r\n250 PIPELINING\r\n")
        await reader.readuntil(b"DATA\r\n")
        writer.write(b"250 ok\r\n250 ok\r\n354 go\r\n")
        # Nobody reads on, and the message is longer than what the systems in between hold.
        await asyncio.sleep(0.5)
        writer.transport.abort()

    async with scripted(talk, receive_buffer=4096) as port, sending(port) as sender:
        (outcome,) = await sender.send(letter(BIG), recipients(1))
    assert outcome == Outcome("retry", error="the connection was lost before the message was sent")


@pytest.mark.parametrize("nonsense", [b"250 ok\r\n", b"hello\r\n", b"354 go\r\n", b"250-" + b"x" * 70_000 + b"\r\n"])
async def test_nonsense_after_a_message_is_ambiguous(nonsense: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        writer.write(b"250-hello\r\n250 PIPELINING\r\n")
        await reader.readuntil(b"DATA\r\n")
        writer.write(b"250 ok\r\n250 ok\r\n354 go\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(nonsense)

    async with scripted(talk) as port, sending(port) as sender:
        (outcome,) = await sender.send(letter(), recipients(1))
    assert outcome.state == ("sent" if nonsense.startswith(b"250 ") else "ambiguous")


async def test_long_and_odd_replies_are_shortened_to_a_line() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        writer.write(b"250 hello\r\n")
        for _ in range(2):
            await reader.readline()
            writer.write(b"250 ok\r\n")
            await reader.readline()
            writer.write(b"451-4.3.0 f\xc3\xa4\x00\x1b[1m\r\n451 " + b"y " * 500 + b"\r\n")
            await reader.readline()
            writer.write(b"250 reset\r\n")
        await reader.readline()

    async with scripted(talk) as port, sending(port, connections=1) as sender:
        (outcome,) = await sender.send(letter(), recipients(1))
    assert outcome.error is not None
    assert outcome.error.startswith("451 4.3.0 f?? [1m y y")
    assert len(outcome.error) <= 255
    assert outcome.error.isascii()
    assert outcome.error.isprintable()


# A real mail server


@pytest.fixture(scope="module")
def exim(certificate: Path) -> Iterator[PrivateExim]:
    if not PrivateExim.installed():
        pytest.skip("needs exim4-daemon-light")
    with PrivateExim(certificate) as server:
        yield server


@pytest.mark.real
async def test_messages_arrive_through_exim_byte_for_byte(exim: PrivateExim, certificate: Path) -> None:
    options: dict[str, Any] = {"security": "starttls", "ca_file": certificate, "connections": 2}
    options |= {"username": exim.LOGIN[0], "password": exim.LOGIN[1]}
    everyone = [*recipients(30), Recipient(31, "permfail@example.org", "f" * 32)]
    async with sending(exim.port, "localhost", **options) as sender:
        outcomes = await sender.send(letter("Hello"), everyone)
        assert states(outcomes) == ["sent"] * 30 + ["failed"]
        assert all("id=" in str(outcome.provider_id) for outcome in outcomes[:30])
        for number, text in enumerate(TEXTS.values(), 100):
            recipient = Recipient(number, f"text{number}@example.org", f"{number:032x}")
            assert states(await sender.send(letter(text, title="🔒 " * 60), [recipient])) == ["sent"]
    found = {}
    for raw in await asyncio.to_thread(exim.messages, 30 + len(TEXTS)):
        message = email.message_from_bytes(raw, policy=SMTP)
        found[message["To"]] = raw
    assert set(found) == {r.email for r in recipients(30)} | {f"text{100 + n}@example.org" for n in range(len(TEXTS))}
    for number, text in enumerate(TEXTS.values(), 100):
        recipient = Recipient(number, f"text{number}@example.org", f"{number:032x}")
        said = letter(text, title="🔒 " * 60)
        sent = Composer(said, sender=MAIL_FROM, base_url=BASE_URL).compose(recipient, NOW)
        raw = found[recipient.email]
        # Exim writes its own headers before the message, and the line ends of this machine.
        assert raw.endswith(sent.replace(b"\r\n", b"\n"))
        message = email.message_from_bytes(raw, policy=SMTP)
        assert lines(part(message, "plain")) == lines(f"{text}\nStop: {link(recipient)}")


@pytest.mark.real
async def test_exim_refuses_who_did_not_log_in(exim: PrivateExim, certificate: Path) -> None:
    options: dict[str, Any] = {"security": "starttls", "ca_file": certificate}
    async with sending(exim.port, "localhost", **options) as sender:
        with pytest.raises(OutsideWorldError, match="takes no mail from"):
            await sender.send(letter(), recipients(1))
    async with sending(exim.port, "localhost", **options, username="board", password="wrong") as sender:
        with pytest.raises(OutsideWorldError, match="refuses the login"):
            await sender.send(letter(), recipients(1))
