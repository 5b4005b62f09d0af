"""The senders that need nothing but this machine keep the contract."""

from __future__ import annotations

import email
from collections.abc import AsyncIterator, Iterable, Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from hostemr.registration.delivery.development import DevelopmentSender
from hostemr.registration.delivery.smtp import SMTPSender, SMTPServer
from tests.peers.smtp import SMTPPeer
from tests.registration.delivery.sender_contract import BASE_URL, MAIL_FROM, SenderContract, SenderUnderTest


def parsed(raw: Iterable[bytes]) -> list[EmailMessage]:
    return [email.message_from_bytes(data, policy=SMTP) for data in raw]


class TestDevelopmentSender(SenderContract):
    @pytest.fixture
    def sender_under_test(self, tmp_path: Path) -> SenderUnderTest:
        sender = DevelopmentSender(tmp_path, mail_from=MAIL_FROM, base_url=BASE_URL)
        return sender, lambda: parsed(path.read_bytes() for path in tmp_path.glob("*/*.eml"))


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SMTPPeer]:
    with SMTPPeer(tmp_path_factory.mktemp("smtp")) as peer:
        yield peer


class TestSMTPSender(SenderContract):
    @pytest.fixture
    async def sender_under_test(self, peer: SMTPPeer) -> AsyncIterator[SenderUnderTest]:
        peer.forget()
        server = SMTPServer("127.0.0.1", peer.port, security="none")
        sender = SMTPSender(server, mail_from=MAIL_FROM, base_url=BASE_URL, connections=2)
        yield sender, lambda: parsed(peer.messages)
        await sender.close()
