"""Test sends from the console, through the real sender of development and a mail server that is down."""

from __future__ import annotations

import json
from email import policy
from email.parser import BytesParser
from pathlib import Path

import pytest

from hostemr.registration.broadcasts.trial import other_addresses
from tests.registration.broadcasts.console_pages import (
    MARKUP,
    ON_ONE_DATABASE,
    PLACE,
    actions,
    board,
    submitted,
    written,
)
from tests.registration.conftest import NewService, Service
from tests.registration.console import text_of

pytestmark = pytest.mark.anyio


def outbox(service: Service) -> list[tuple[str, str]]:
    """To whom, and the subject, of every message that left."""
    messages = [
        BytesParser(policy=policy.default).parsebytes(path.read_bytes())
        for path in sorted(Path(service.settings.effective_outbox).rglob("*.eml"))
    ]
    return [(str(message["To"]), str(message["Subject"])) for message in messages]


async def test_a_test_goes_to_oneself_and_the_addresses_typed_and_to_nobody_else(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    await service.register("clinic@example.org")
    name = await submitted(author)
    others = f"chen@board.example, Dora@Board.Example;chen@board.example {author.email}"
    page = await author.post(f"{PLACE}/{name}/test", {"others": others})
    assert page.status_code == 200
    subject = "[Test] Security release 7.0.3"
    expected = [(one, subject) for one in (author.email, "chen@board.example", "Dora@board.example")]
    assert outbox(service) == expected
    assert text_of(page.text).count("accepted") == 3
    assert (await actions(service))[-1] == "broadcast.test"
    details = (await service.rows("SELECT details FROM audit_entry ORDER BY number DESC"))[0][0]
    assert json.loads(details) == {"addresses": 3}
    assert (await service.rows("SELECT state FROM broadcast"))[0][0] == "review"


@ON_ONE_DATABASE
async def test_what_is_no_address_is_named_and_nothing_leaves(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    name = await written(author)
    typed = f"chen@board.example, {MARKUP[:4]}"
    page = await author.post(f"{PLACE}/{name}/test", {"others": typed})
    assert page.status_code == 422
    assert 'id="others-problem"' in page.text
    assert "chen@board.example, &lt;img" in page.text
    assert outbox(service) == []
    assert await actions(service) == ["broadcast.create"]


def test_no_more_than_five_others() -> None:
    six = " ".join(f"u{number}@board.example" for number in range(6))
    assert other_addresses(six)[1] == "At most 5 other addresses are possible at a time."
    assert other_addresses(six.rpartition(" ")[0])[1] == ""
    assert len(other_addresses(f"{six} " * 10_000)[1]) < 100
    assert other_addresses("") == ([], "")


@ON_ONE_DATABASE
async def test_a_provider_that_is_down_is_a_clear_message(new_service: NewService) -> None:
    smtp = {"HOSTEMR_SENDER": "smtp", "HOSTEMR_SMTP_HOST": "127.0.0.1", "HOSTEMR_SMTP_PORT": "9"}
    _, author, _ = await board(new_service, **smtp, HOSTEMR_SMTP_SECURITY="none", HOSTEMR_MAIL_FROM="a@open-emr.org")
    name = await written(author)
    page = await author.post(f"{PLACE}/{name}/test", {"others": "chen@board.example"})
    assert page.status_code == 502
    shown = text_of(page.text)
    assert "Nothing was sent" in shown
    assert "127.0.0.1" in shown
    assert 'value="chen@board.example"' in page.text


@ON_ONE_DATABASE
async def test_what_was_queued_can_no_longer_be_tried_out(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    name = await written(author)
    await author.post(f"{PLACE}/{name}/delete")
    assert (await author.post(f"{PLACE}/{name}/test")).status_code == 409
    assert outbox(service) == []
