"""What the provider reports, applied: who got it, who never will, and what became of ambiguous chunks."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from hostemr.registration.delivery.sender import Outcome
from hostemr.registration.feedback.events import FeedbackEvent, Kind
from hostemr.registration.feedback.reports import FeedbackReports
from tests.fakes.delivery import Clock, FakeSender, exhaust, new_queue, new_worker
from tests.registration.broadcasts.test_api import broadcast, register_many
from tests.registration.conftest import NewService, Service
from tests.registration.feedback.subscribers import change, erase, status_of

pytestmark = pytest.mark.anyio

FIRST, SECOND = "user0@example.org", "user1@example.org"
COUNTS = "SELECT sent, failed, delivered, bounced, complained FROM chunk"
DELIVERIES = (
    "SELECT d.state, provider_id, feedback, error FROM delivery d"
    " JOIN subscriber s ON s.id = subscriber_id ORDER BY email"
)
_names = itertools.count(1)


class Mail:
    """A broadcast of which everyone's message was claimed, and what is reported of it."""

    def __init__(self, service: Service, uuid: str, numbers: dict[str, int], *, limit: int = 2) -> None:
        self.service = service
        self.uuid = uuid
        self.numbers = numbers
        self.clock = Clock()
        self.reports = FeedbackReports(service.database, soft_bounce_limit=limit, clock=self.clock)

    def event(self, kind: Kind, email: str = FIRST, **changes: Any) -> FeedbackEvent:
        given: dict[str, Any] = {
            "addresses": (email,),
            "provider_id": f"ses-{self.numbers.get(email)}",
            "broadcast": self.uuid,
            "recipient": self.numbers.get(email),
            **changes,
        }
        return FeedbackEvent(kind=kind, at=self.clock.now, detail="Reject / Bad content", **given)

    async def report(self, *kinds: Kind, email: str = FIRST, **changes: Any) -> None:
        for kind in kinds:
            assert await self.reports.apply(f"sns-{next(_names)}", [self.event(kind, email, **changes)])

    async def first(self) -> tuple[Any, ...]:
        return (await self.service.rows(DELIVERIES))[0]


async def mailed(service: Service, recipients: int = 2, outcome: str = "sent", limit: int = 2) -> Mail:
    """Mail to users, every one of whom is recorded with this outcome."""
    await register_many(service, recipients)
    assert (await broadcast(service)).status_code == 200
    queue = new_queue(service.database, Clock(), reconcile_seconds=900)
    claim = await queue.claim()
    assert claim is not None
    if outcome != "claimed":
        tried = [(one, Outcome(outcome, provider_id=f"ses-{one.number}")) for one in claim.recipients]  # type: ignore[arg-type]
        assert await queue.record(claim, tried)
    return Mail(service, claim.letter.broadcast, {one.email: one.number for one in claim.recipients}, limit=limit)


def expected(kind: str, mail: Mail) -> tuple[Any, ...]:
    name = f"ses-{mail.numbers[FIRST]}"
    if kind == "failed":
        return "failed", name, "rejected", "Reject / Bad content"
    return "sent", name, None if kind == "sent" else kind, None


@pytest.mark.parametrize("tagged", [True, False])
@pytest.mark.parametrize(
    ("kind", "status", "counts"),
    [
        ("sent", "active", (2, 0, 0, 0, 0)),
        ("delivered", "active", (2, 0, 1, 0, 0)),
        ("soft_bounce", "active", (2, 0, 0, 0, 0)),
        ("bounced", "bounced", (2, 0, 0, 1, 0)),
        ("complained", "complained", (2, 0, 0, 0, 1)),
        ("failed", "active", (1, 1, 0, 0, 0)),
    ],
)
async def test_each_kind_of_report(
    service: Service, kind: Kind, status: str, counts: tuple[int, ...], *, tagged: bool
) -> None:
    mail = await mailed(service)
    changes: dict[str, Any] = {} if tagged else {"broadcast": None, "recipient": None}
    await mail.report(kind, **changes)
    assert await mail.first() == expected(kind, mail)
    assert await status_of(service, FIRST) == status
    assert await status_of(service, SECOND) == "active"
    assert await service.rows(COUNTS) == [counts]


@pytest.mark.parametrize(
    "changes",
    [
        {"broadcast": "00000000-0000-0000-0000-000000000000"},
        {"recipient": 999_999},
        {"addresses": ("stranger@example.org",)},
        {"addresses": (SECOND,)},
        {"broadcast": None, "recipient": None, "provider_id": "of somebody else"},
        {"broadcast": None, "recipient": None, "addresses": ()},
        {"broadcast": None, "recipient": None, "addresses": (SECOND,)},
        {"recipient": None, "addresses": ("stranger@example.org",)},
    ],
)
async def test_what_is_not_of_our_mail_changes_nothing(service: Service, changes: dict[str, Any]) -> None:
    mail = await mailed(service)
    everything = "SELECT * FROM delivery ORDER BY subscriber_id", "SELECT * FROM subscriber ORDER BY id", COUNTS
    before = [await service.rows(sql) for sql in everything]
    for kind in ("sent", "delivered", "bounced", "complained", "failed"):
        assert await mail.reports.apply(f"sns-{kind}", [mail.event(kind, **changes)])
    assert [await service.rows(sql) for sql in everything] == before


async def test_tags_alone_are_enough(service: Service) -> None:
    mail = await mailed(service)
    await mail.report("bounced", addresses=(), provider_id="another name")
    assert await status_of(service, FIRST) == "bounced"


async def test_one_message_to_several_concerns_who_is_named(service: Service) -> None:
    mail = await mailed(service, 3)
    await mail.report("bounced", addresses=(FIRST, SECOND), recipient=None, broadcast=None)
    assert await service.rows(COUNTS) == [(3, 0, 0, 1, 0)], "the second's message has another name"


@pytest.mark.parametrize("kind", ["sent", "delivered", "bounced", "complained"])
async def test_an_ambiguous_chunk_ends_when_all_are_accounted_for(service: Service, kind: Kind) -> None:
    mail = await mailed(service, 2, "ambiguous")
    await mail.report(kind)
    assert await service.rows("SELECT state, sent FROM chunk") == [("ambiguous", 1)]
    await mail.report("failed", email=SECOND)
    assert await service.rows("SELECT state, due_at, sent, failed FROM chunk") == [("done", None, 1, 1)]
    mail.clock.move(2000)
    sender = FakeSender()
    await exhaust(new_worker(service.database, sender, mail.clock))
    assert sender.received == []
    assert await service.rows("SELECT state FROM broadcast") == [("done",)]


async def test_who_is_not_accounted_for_gets_it_again(service: Service) -> None:
    mail = await mailed(service, 3, "ambiguous")
    await mail.report("sent", email=SECOND)
    mail.clock.move(2000)
    sender = FakeSender()
    await exhaust(new_worker(service.database, sender, mail.clock))
    assert sorted(sender.received) == [FIRST, "user2@example.org"]
    assert await service.rows(COUNTS) == [(3, 0, 0, 0, 0)]


async def test_a_report_before_the_record_is_kept(service: Service) -> None:
    await register_many(service, 1)
    await broadcast(service)
    queue = new_queue(service.database, Clock())
    claim = await queue.claim()
    assert claim is not None
    [recipient] = claim.recipients
    mail = Mail(service, claim.letter.broadcast, {recipient.email: recipient.number})
    await mail.report("bounced")
    assert await queue.record(claim, [(recipient, Outcome("sent", provider_id="ses-late"))])
    assert await mail.first() == ("sent", f"ses-{recipient.number}", "bounced", None)
    assert await service.rows("SELECT state, sent, bounced FROM chunk") == [("done", 1, 1)]


async def test_a_message_is_applied_once(new_service: NewService) -> None:
    services = [await new_service() for _ in range(2)]
    mail = await mailed(services[0], 2, limit=3)
    sinks = [FeedbackReports(one.database, soft_bounce_limit=3, clock=mail.clock) for one in services]
    # Of two deliveries at once, since one delivery alone counts a soft bounce once anyhow.
    events = [mail.event("soft_bounce"), mail.event("soft_bounce", SECOND)]
    applied = await asyncio.gather(*(sink.apply("the same", events) for sink in sinks for _ in range(3)))
    assert sorted(applied) == [False] * 5 + [True]
    assert await services[0].rows("SELECT soft_bounces FROM subscriber") == [(1,), (1,)]
    assert await services[0].rows("SELECT COUNT(*) FROM feedback_event") == [(1,)]


async def test_that_something_was_sent_needs_no_memory(service: Service) -> None:
    mail = await mailed(service)
    for _ in range(2):
        assert await mail.reports.apply("the same", [mail.event("sent")])
    assert await service.rows("SELECT COUNT(*) FROM feedback_event") == [(0,)]


async def sent_again(mail: Mail, title: str) -> Mail:
    """Another broadcast to the same people."""
    await broadcast(mail.service, title=title)
    await exhaust(new_worker(mail.service.database, FakeSender(), mail.clock))
    [(uuid,)] = await mail.service.rows(f"SELECT uuid FROM broadcast WHERE title = '{title}'")
    return Mail(mail.service, uuid, mail.numbers)


async def test_soft_bounces_count_once_for_each_delivery(service: Service) -> None:
    mail = await mailed(service)
    await mail.report("soft_bounce", "soft_bounce", "soft_bounce")
    assert await service.rows("SELECT soft_bounces FROM subscriber ORDER BY email") == [(1,), (0,)]
    assert await status_of(service, FIRST) == "active"
    another = await sent_again(mail, "Another")
    await another.report("soft_bounce")
    assert await status_of(service, FIRST) == "bounced"


async def test_a_delivery_forgives_soft_bounces(service: Service) -> None:
    mail = await mailed(service)
    await mail.report("soft_bounce")
    another = await sent_again(mail, "Another")
    await another.report("delivered")
    assert await service.rows("SELECT soft_bounces FROM subscriber ORDER BY email") == [(0,), (0,)]
    third = await sent_again(mail, "Third")
    await third.report("soft_bounce")
    assert await status_of(service, FIRST) == "active"
    await third.report("delivered")
    assert await service.rows("SELECT soft_bounces FROM subscriber ORDER BY email") == [(0,), (0,)]


async def test_a_complaint_outweighs_that_somebody_opted_out(service: Service) -> None:
    mail = await mailed(service)
    await change(service, status="opted_out")
    await mail.report("bounced")
    assert await status_of(service, FIRST) == "opted_out"
    await mail.report("complained")
    assert (await status_of(service, FIRST), await status_of(service, SECOND)) == ("complained", "opted_out")


KINDS: Sequence[Kind] = ("soft_bounce", "delivered", "bounced", "complained")


async def test_reports_come_in_any_order(service: Service) -> None:
    orders = [order for size in (2, 4) for order in itertools.permutations(KINDS, size)]
    await register_many(service, len(orders))
    await broadcast(service)
    await exhaust(new_worker(service.database, FakeSender(), Clock()))
    [(uuid,)] = await service.rows("SELECT uuid FROM broadcast")
    rows = await service.rows("SELECT email, id FROM subscriber")
    mail = Mail(service, uuid, {str(email): int(number) for email, number in rows})
    for email, order in zip(mail.numbers, orders, strict=True):
        await mail.report(*order, email=email)
    found = dict(await service.rows("SELECT email, feedback FROM delivery JOIN subscriber ON id = subscriber_id"))
    statuses = dict(await service.rows("SELECT email, status FROM subscriber"))
    for email, order in zip(mail.numbers, orders, strict=True):
        weightiest = max(order, key=KINDS.index)
        assert found[email] == weightiest, order
        assert statuses[email] == (weightiest if weightiest in {"bounced", "complained"} else "active"), order
    sums = "SELECT SUM(sent), SUM(delivered), SUM(bounced), SUM(complained) FROM chunk"
    counted = [sum(value == kind for value in found.values()) for kind in ("delivered", "bounced", "complained")]
    [numbers] = await service.rows(sums)
    assert [int(number) for number in numbers] == [len(orders), *counted]


async def test_a_refusal_counts_as_failed_and_is_not_undone(service: Service) -> None:
    mail = await mailed(service)
    await mail.report("failed", "failed", "sent")
    assert await service.rows(COUNTS) == [(1, 1, 0, 0, 0)]
    assert await status_of(service, FIRST) == "active", "it is the message that was refused"


async def test_who_was_erased_stays_so(service: Service) -> None:
    mail = await mailed(service)
    await erase(service, FIRST)
    for kind in KINDS:
        assert await mail.reports.apply(f"sns-{kind}", [mail.event(kind), mail.event(kind, addresses=())])
    [(status, email)] = await service.rows(f"SELECT status, email FROM subscriber WHERE id = {mail.numbers[FIRST]}")
    assert (status, email) == ("erased", "")


async def test_who_got_it_after_all_was_sent_to(service: Service) -> None:
    mail = await mailed(service, 1, "ambiguous")
    queue = new_queue(service.database, mail.clock)
    mail.clock.move(2000)
    again = await queue.claim()
    assert again is not None
    await queue.record(again, [(one, Outcome("failed", error="no such mailbox")) for one in again.recipients])
    await mail.report("delivered")
    assert (await mail.first())[0] == "sent"


async def test_who_opted_out_too_late_was_sent_to(service: Service) -> None:
    mail = await mailed(service, 2, "ambiguous")
    await change(service, status="opted_out")
    mail.clock.move(2000)
    assert await new_queue(service.database, mail.clock).claim() is not None
    await mail.report("delivered")
    assert (await mail.first())[0] == "sent"
    assert await service.rows("SELECT sent, suppressed, delivered FROM chunk") == [(1, 1, 1)]


async def test_names_of_messages_are_forgotten_after_30_days(service: Service) -> None:
    mail = await mailed(service)
    await mail.report("soft_bounce", "delivered")
    mail.clock.move(29 * 86_400)
    await mail.report("bounced")
    assert await mail.reports.forget() == 0
    mail.clock.move(2 * 86_400)
    assert await mail.reports.forget() == 2
    assert await service.rows("SELECT COUNT(*) FROM feedback_event") == [(1,)]
    assert await mail.reports.forget() == 0
