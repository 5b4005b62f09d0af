"""Who did not get a broadcast, and why in words."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, update

from hostemr.registration.board.mentions import shortened
from hostemr.registration.broadcasts.not_reached import REFUSED, Missed, count_missed, missed_page, reason_of
from hostemr.registration.schema import broadcast, delivery, subscriber
from tests.registration.broadcasts.test_api import register_many
from tests.registration.broadcasts.test_store import ANNA, approved, store_of
from tests.registration.conftest import Service

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("550 5.1.1 <a@b.example> user unknown", "The mailbox does not exist."),
        ("550 No such user here", "The mailbox does not exist."),
        ("550 5.1.2 bad destination system", "The address's domain does not exist, or takes no mail."),
        ("552 5.2.2 over quota", "The mailbox is full."),
        ("550 5.2.1 mailbox disabled", "The mailbox has been switched off."),
        ("552 5.3.4 message too big", "The mail server takes no message of this size."),
        ("554 5.7.1 blocked", "The mail server refused the message by its rules, for instance as spam."),
        ("given up after 5 attempts: 451 try later", "The mail server kept putting it off, until we gave up."),
        ("given up after 5 attempts: 452 4.2.2 mailbox full", "The mailbox is full."),
        ("MESSAGE_REJECTED: Email address is not verified", REFUSED),
        (None, REFUSED),
    ],
)
def test_what_mail_servers_say_in_plain_words(error: str | None, reason: str) -> None:
    assert reason_of("failed", None, error, ended=True) == reason


def test_each_way_not_to_get_it_has_words_of_its_own() -> None:
    ways = [("suppressed", None), ("pending", None), ("sent", "bounced"), ("sent", "soft_bounce"), ("failed", None)]
    assert len({reason_of(state, feedback, None, ended=True) for state, feedback in ways}) == len(ways)
    assert reason_of("pending", None, None, ended=True) != reason_of("pending", None, None, ended=False)


@pytest.mark.parametrize(
    ("email", "short"),
    [("anna@example.org", "a…@example.org"), ("a@b", "a…@b"), ("", "…@"), ('"a@b"@example.org', '"…@example.org')],
)
def test_a_shortened_address(email: str, short: str) -> None:
    assert shortened(email) == short


async def test_page_by_page_everybody_once_and_in_order(service: Service) -> None:
    await register_many(service, 130)
    store = store_of(service)
    name = await approved(store)
    await store.queue(name, ANNA)

    def change(connection: Connection) -> None:
        connection.execute(update(broadcast).values(state="done", finished_at=broadcast.c.created_at))
        connection.execute(update(delivery).values(state="sent"))
        connection.execute(
            update(delivery)
            .where(delivery.c.subscriber_id > 10)
            .values(state="failed", error="550 5.1.1 <user7@example.org> user7 unknown")
        )
        connection.execute(update(subscriber).where(subscriber.c.id == 12).values(status="erased", email=""))

    await service.database.write(change)
    row = await store.find(name)

    async def pages(*, addresses: bool) -> list[Missed]:
        found: list[Missed] = []
        after = 0
        async with service.database.read() as connection:
            assert await connection.run_sync(count_missed, row) == 120
            while True:
                shown, after = await connection.run_sync(
                    lambda opened, after=after: missed_page(opened, row, after, addresses=addresses)  # type: ignore[misc]
                )
                assert 0 < len(shown) <= 50
                found += shown
                if not after:
                    return found

    full, short = await pages(addresses=True), await pages(addresses=False)
    assert [one.number for one in full] == list(range(11, 131)) == [one.number for one in short]
    assert full[1].address == short[1].address == "erased"
    assert full[0].text == "550 5.1.1 <user7@example.org> user7 unknown"
    assert not [one for one in short if "user" in f"{one.address} {one.text}"], "who may not see addresses sees none"
