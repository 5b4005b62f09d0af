"""Every sender keeps the contract; Amazon SES against a fake of it."""

from __future__ import annotations

import email
from collections.abc import AsyncIterator, Iterable, Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from hostemr.registration.delivery.development import DevelopmentSender
from hostemr.registration.delivery.ses import SESSender
from hostemr.registration.delivery.smtp import SMTPSender
from hostemr.registration.delivery.smtp_server import SMTPServer
from tests.peers.ses import FakeSES
from tests.peers.smtp import SMTPPeer
from tests.registration.delivery.sender_contract import (
    BASE_URL,
    MAIL_FROM,
    OwnMessageIDs,
    SenderContract,
    SenderUnderTest,
)


def parsed(raw: Iterable[bytes]) -> list[EmailMessage]:
    return [email.message_from_bytes(data, policy=SMTP) for data in raw]


class TestDevelopmentSender(SenderContract, OwnMessageIDs):
    @pytest.fixture
    def sender_under_test(self, tmp_path: Path) -> SenderUnderTest:
        sender = DevelopmentSender(tmp_path, mail_from=MAIL_FROM, base_url=BASE_URL)
        return sender, lambda: parsed(path.read_bytes() for path in tmp_path.glob("*/*.eml"))


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SMTPPeer]:
    with SMTPPeer(tmp_path_factory.mktemp("smtp")) as peer:
        yield peer


class TestSMTPSender(SenderContract, OwnMessageIDs):
    @pytest.fixture
    async def sender_under_test(self, peer: SMTPPeer) -> AsyncIterator[SenderUnderTest]:
        peer.forget()
        server = SMTPServer("127.0.0.1", peer.port, security="none")
        sender = SMTPSender(server, mail_from=MAIL_FROM, base_url=BASE_URL, connections=2)
        yield sender, lambda: parsed(peer.messages)
        await sender.close()


@pytest.fixture(scope="module")
def ses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSES]:
    with FakeSES(tmp_path_factory.mktemp("ses")) as ses:
        yield ses


def as_message(line: dict[str, Any]) -> EmailMessage:
    """What a recipient of SES would get."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = line["from"], line["to"], line["subject"]
    for name, value in line["headers"].items():
        message[name] = value
    message.set_content(line["text"])
    if line["html"] is not None:
        message.add_alternative(line["html"], subtype="html")
    return message


class TestSESSender(SenderContract):
    @pytest.fixture
    async def sender_under_test(self, ses: FakeSES) -> AsyncIterator[SenderUnderTest]:
        before = len(ses.accepted())
        sender = SESSender(
            mail_from=MAIL_FROM,
            base_url=BASE_URL,
            region="us-east-1",
            endpoint_url=ses.url,
            access_key=("AKIATEST", "secret"),
        )
        yield sender, lambda: [as_message(line) for line in ses.accepted()[before:]]
        await sender.close()
