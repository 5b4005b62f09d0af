"""The console's pages that send a broadcast, show how far it is, stop it, and send it again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from hostemr.registration.app import create_broadcast_store
from hostemr.registration.board.roles import Role
from hostemr.registration.broadcasts.draft import parse_draft
from hostemr.registration.broadcasts.store import BroadcastStore
from hostemr.registration.schema import broadcast, chunk, delivery
from tests.fakes.delivery import Clock, FakeSender, exhaust, new_worker
from tests.peers.loopback import free_port
from tests.peers.ses import FakeSES
from tests.registration.broadcasts.test_api import register_many
from tests.registration.conftest import NewService, Service
from tests.registration.console import SETTINGS, Visitor, text_of, visitor

pytestmark = pytest.mark.anyio

REASON = "The hole is used in attacks since this morning."
HOSTILE = '<script>alert("x")</script>'
on_one_database = pytest.mark.parametrize("kind", ["sqlite"])
"""What does not depend on the database is tried on one."""
UNKNOWN = "/board/broadcasts/00000000-0000-0000-0000-000000000000"


class Desk:
    """One service with one broadcast, and members of the board in front of it."""

    def __init__(self, service: Service, store: BroadcastStore, name: str) -> None:
        self.service, self.store, self.name = service, store, name
        self.place = f"/board/broadcasts/{name}"

    async def queued(self) -> Desk:
        await self.store.queue(self.name, "member:1")
        return self

    async def change(self, **values: Any) -> None:
        await self.service.database.write(lambda c: c.execute(update(broadcast).values(values)))

    async def state(self) -> str:
        return str((await self.store.find(self.name)).state)


async def desk(new_service: NewService, people: int = 3, *, title: str = "Advisory", **settings: str) -> Desk:
    """With an approved broadcast."""
    service = await new_service(**SETTINGS, **settings)
    await register_many(service, people)
    store = create_broadcast_store(service.settings, service.database)
    draft = parse_draft({"title": title, "contents": "Text"}, 1000)
    name = await store.create(draft, "1", "member:1")
    await store.override(name, "1", draft.sha256, REASON, "member:1")
    return Desk(service, store, name)


async def exchange(new_service: NewService, role: Role = "author", **options: Any) -> tuple[Desk, Visitor]:
    at = await desk(new_service, **options)
    return at, await visitor(at.service, role)


def by_ses(url: str) -> dict[str, Any]:
    """The settings of a service that sends by the SES at `url`."""
    keys = {"HOSTEMR_AWS_ACCESS_KEY_ID": "AKIATEST", "HOSTEMR_AWS_SECRET_ACCESS_KEY": "secret of the test"}
    return {"HOSTEMR_SENDER": "ses", "HOSTEMR_SES_ENDPOINT_URL": url, "HOSTEMR_SES_CONFIGURATION_SET": "events", **keys}


async def test_the_plan_is_shown_and_then_it_is_sent(new_service: NewService) -> None:
    at, ada = await exchange(new_service, people=60, HOSTEMR_SEND_RATE="0.5")
    shown = text_of((await ada.get(f"{at.place}/send")).text)
    assert "People who get it 60 as of now" in shown
    assert "Expected duration 2 minutes at 0.5 a second" in shown
    assert "Today's quota no limit" in shown
    assert "First, 50 people get it" in shown
    assert "Then the other 10 get it" in shown
    assert await at.state() == "approved", "looking sends nothing"
    done = await ada.post(f"{at.place}/send")
    assert (done.status_code, done.headers["location"]) == (303, f"{at.place}/progress")
    assert await at.state() == "queued"
    assert "Queued: 60 people get it." in text_of((await ada.get(f"{at.place}/progress")).text)
    last = await at.service.rows("SELECT actor, action FROM audit_entry ORDER BY number DESC LIMIT 1")
    assert last == [(f"member:{ada.member_id}", "broadcast.queue")]


@on_one_database
async def test_what_was_sent_is_not_sent_again_by_a_second_click(new_service: NewService) -> None:
    at, ada = await exchange(new_service)
    await ada.post(f"{at.place}/send")
    again = await ada.post(f"{at.place}/send")
    assert again.status_code == 409
    assert "It is on its way already" in text_of(again.text)
    assert await at.service.rows("SELECT COUNT(*) FROM delivery") == [(3,)]


@on_one_database
async def test_what_too_few_have_approved_says_what_is_missing(new_service: NewService) -> None:
    at, ada = await exchange(new_service, HOSTEMR_APPROVALS="2")
    await at.change(overridden_by=None)
    refused = await ada.post(f"{at.place}/send")
    assert refused.status_code == 403
    assert "This broadcast has 0 of the 2 approvals that it needs now." in text_of(refused.text)
    assert await at.state() == "approved"


@on_one_database
async def test_sending_asks_who_it_is_first(new_service: NewService) -> None:
    at = await desk(new_service)
    ada = await visitor(at.service, "administrator", confirmed=False)
    await at.change(state="done", queued_at=datetime.now(UTC))
    for action in ("send", "resend"):
        asked = await ada.post(f"{at.place}/{action}")
        assert asked.status_code == 200
        assert "Confirm it is you" in text_of(asked.text)
    assert await at.service.rows("SELECT COUNT(*) FROM broadcast") == [(1,)]


ACTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "send": ("approved", {}),
    "pause": ("sending", {"reason": "a mistake"}),
    "resume": ("paused", {}),
    "cancel": ("sending", {"word": "cancel"}),
    "resend": ("done", {}),
}


@on_one_database
async def test_who_only_looks_changes_nothing(new_service: NewService) -> None:
    at, vic = await exchange(new_service, role="viewer")
    for action, (state, fields) in ACTIONS.items():
        await at.change(state=state, queued_at=datetime.now(UTC))
        answers = [
            await vic.post(f"{at.place}/{action}", fields),
            await vic.post(f"{at.place}/{action}", {**fields, "csrf": "0" * 64}),
            await vic.post(f"{at.place}/{action}", fields, headers={"origin": "https://attacker.example"}),
        ]
        assert [one.status_code for one in answers] == [403] * 3
        for page in ("send", "progress", "not-reached"):
            assert f'action="{at.place}' not in (await vic.get(f"{at.place}/{page}")).text
        assert await at.service.rows("SELECT state FROM broadcast") == [(state,)]


@on_one_database
async def test_every_form_is_guarded_against_other_sites_and_strangers(new_service: NewService) -> None:
    at, ada = await exchange(new_service, role="administrator")
    for action, (state, fields) in ACTIONS.items():
        await at.change(state=state, queued_at=datetime.now(UTC))
        place = f"{at.place}/{action}"
        assert (await ada.post(place, {**fields, "csrf": ""})).status_code == 403
        assert (await ada.post(place, fields, headers={"origin": "https://attacker.example"})).status_code == 403
        assert (await ada.post(place, fields, headers={"sec-fetch-site": "cross-site"})).status_code == 403
        assert (await ada.get(place)).status_code == (200 if action == "send" else 404), "a link does nothing"
        stranger = await ada.post(place, fields, headers={"cookie": "__Host-board=guessed"})
        assert stranger.headers["location"].startswith("/board/sign-in")
        assert await at.service.rows("SELECT state FROM broadcast") == [(state,)]


@on_one_database
async def test_pausing_with_a_reason_and_going_on(new_service: NewService) -> None:
    at, ada = await exchange(new_service)
    await at.queued()
    for reason, words in (("  ", "Say why"), ("x" * 501, "This has 501 characters")):
        refused = await ada.post(f"{at.place}/pause", {"reason": reason})
        assert refused.status_code == 422
        assert words in text_of(refused.text)
        assert reason.strip() in refused.text, "what was typed is kept"
    assert (await ada.post(f"{at.place}/pause", {"reason": HOSTILE})).status_code == 303
    page = await ada.get(f"{at.place}/progress")
    assert "A member of the board has paused it." in text_of(page.text)
    assert HOSTILE not in page.text
    assert "&lt;script&gt;" in page.text
    assert (await ada.post(f"{at.place}/resume")).status_code == 303
    assert await at.state() == "queued"


@on_one_database
async def test_cancelling_wants_the_word(new_service: NewService) -> None:
    at, ada = await exchange(new_service)
    await at.queued()
    for word in ("", "yes", "cancel it"):
        refused = await ada.post(f"{at.place}/cancel", {"word": word})
        assert refused.status_code == 422
        assert "Nothing was cancelled" in text_of(refused.text)
    assert await at.state() == "queued"
    assert (await ada.post(f"{at.place}/cancel", {"word": " Cancel "})).status_code == 303
    assert await at.state() == "cancelled"


@on_one_database
async def test_a_wrong_word_on_the_send_page_is_told_there(new_service: NewService) -> None:
    at, ada = await exchange(new_service)
    refused = await ada.post(f"{at.place}/cancel", {"word": "no"})
    assert refused.status_code == 422
    assert 'id="word-problem"' in refused.text
    assert "Send it to 3 people" in text_of(refused.text)
    assert await at.state() == "approved"


@on_one_database
async def test_who_comes_too_late_is_told_so(new_service: NewService) -> None:
    at, ada = await exchange(new_service)
    await at.queued()
    for action, state in (("pause", "done"), ("resume", "sending"), ("cancel", "done")):
        await at.change(state=state, finished_at=datetime.now(UTC))
        late = await ada.post(f"{at.place}/{action}", ACTIONS[action][1])
        assert late.status_code == 409
        assert f"nothing to {action}" in text_of(late.text)
        assert await at.state() == state


async def test_the_progress_moves_and_stops_asking_at_the_end(new_service: NewService) -> None:
    at, ada = await exchange(new_service, role="viewer", people=120)
    await at.queued()
    page = await ada.get(f"{at.place}/progress")
    [part] = re.findall(r'hx-get="([^"]+)" hx-trigger="every 2s"', page.text)
    assert "0 of 120 people settled (0 %)" in text_of(page.text)
    sender, clock = FakeSender(), Clock()
    worker = new_worker(at.service.database, sender, clock)
    assert await worker.step()
    moving = await ada.get(part)
    assert moving.status_code == 200
    assert "50 of 120 people settled (42 %)" in text_of(moving.text)
    assert "70 still to go" in text_of(moving.text)
    assert "less than a minute left at this speed" in text_of(moving.text)
    assert "<html" not in moving.text
    await exhaust(worker)
    refreshed = await ada.get(part)
    assert refreshed.headers["hx-refresh"] == "true", "other buttons than those on the page"
    ended = await ada.get(f"{at.place}/progress")
    assert "120 of 120 people settled (100 %)" in text_of(ended.text)
    assert "hx-trigger" not in ended.text
    assert (await ada.get(f"{at.place}/progress/part?seen=ended")).status_code == 286


@on_one_database
async def test_a_pause_says_why_and_when_it_ends(new_service: NewService) -> None:
    at, ada = await exchange(new_service)
    await at.queued()
    says = {
        "quota": "It has used up what the provider allows in 24 hours.",
        "account": "The provider lets the account send nothing at the moment.",
        "canary": "It stopped itself, since too much came back.",
        "content": "It stopped itself, since its content is not what was approved.",
    }
    for by, words in says.items():
        until = datetime(2026, 11, 22, 18, 30, tzinfo=UTC) if by in {"quota", "account"} else None
        await at.change(state="paused", paused_by=by, pause_reason="as the provider says", resume_at=until)
        shown = text_of((await ada.get(f"{at.place}/progress")).text)
        assert words in shown
        assert "as the provider says" in shown
        ends = "It tries again by itself: 2026-11-22 18:30 UTC" if until else "It waits until somebody resumes it"
        assert ends in shown
        assert ("Bounces and complaints until now" in shown) == (by == "canary")


@on_one_database
async def test_before_it_is_sent_there_is_no_progress(new_service: NewService) -> None:
    at, ada = await exchange(new_service)
    for page, words in (("progress", "It has not been sent"), ("not-reached", "It was not sent to anybody")):
        assert words in text_of((await ada.get(f"{at.place}/{page}")).text)
    await at.change(state="draft")
    assert "It is not approved yet" in text_of((await ada.get(f"{at.place}/send")).text)


async def test_who_did_not_get_it_and_a_resend_to_them(new_service: NewService) -> None:
    at, ada = await exchange(new_service, title=HOSTILE)
    await at.queued()

    def happen(connection: Connection) -> None:
        connection.execute(update(delivery).values(state="sent"))
        first = delivery.c.subscriber_id == 1
        error = f"550 5.1.1 <user0@example.org> unknown {HOSTILE}"
        connection.execute(update(delivery).where(first).values(state="failed", error=error))
        connection.execute(update(chunk).values(state="done", sent=2, failed=1))

    await at.service.database.write(happen)
    early = await ada.get(f"{at.place}/not-reached")
    assert "It has not ended" in text_of(early.text)
    assert "/resend" not in early.text
    await at.change(state="done", finished_at=datetime.now(UTC) - timedelta(hours=1))
    page = await ada.get(f"{at.place}/not-reached")
    assert "Did not get it 1 of 3 people" in text_of(page.text)
    assert "The mailbox does not exist." in text_of(page.text)
    assert re.search(r"user\d@example.org", page.text)
    assert HOSTILE not in page.text
    vic = await visitor(at.service, "viewer")
    hidden = await vic.get(f"{at.place}/not-reached")
    assert "u…@example.org" in hidden.text
    assert not re.search(r"user\d", hidden.text), "neither in the address nor in what the server said"
    assert "/resend" not in hidden.text
    made = await ada.post(f"{at.place}/resend")
    assert made.status_code == 303
    plan = await ada.get(made.headers["location"])
    assert "This is a resend" in text_of(plan.text)
    assert "People who get it 1 as of now" in text_of(plan.text)
    twice = await ada.post(f"{at.place}/resend")
    assert twice.status_code == 409
    assert "It is being sent again already." in text_of(twice.text)
    assert "It is being sent again already" in text_of((await ada.get(f"{at.place}/not-reached")).text)


@on_one_database
async def test_everybody_got_it(new_service: NewService) -> None:
    at, ada = await exchange(new_service)
    await at.queued()
    await exhaust(new_worker(at.service.database, FakeSender(), Clock()))
    assert "Everybody got it" in text_of((await ada.get(f"{at.place}/not-reached")).text)


@on_one_database
async def test_a_page_of_nonsense_is_the_first(new_service: NewService) -> None:
    at, ada = await exchange(new_service)
    await at.queued()
    for after in ("-1", "x", "9" * 400, "1 OR 1=1", "\N{ARABIC-INDIC DIGIT THREE}"):
        page = await ada.get(f"{at.place}/not-reached", params={"after": after})
        assert page.status_code == 200
        assert "Did not get it 3 of 3 people" in text_of(page.text)


@on_one_database
async def test_what_nobody_knows_is_not_found(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    ada = await visitor(service)
    for page in ("send", "progress", "progress/part", "not-reached"):
        assert (await ada.get(f"{UNKNOWN}/{page}")).status_code == 404
    for action, (_, fields) in ACTIONS.items():
        assert (await ada.post(f"{UNKNOWN}/{action}", fields)).status_code == 404


@on_one_database
async def test_the_provider_is_asked_what_it_allows(new_service: NewService, tmp_path: Path) -> None:
    says: list[tuple[float, list[str]]] = [
        (100, ["Today's quota 100 more messages", "at 2 a second"]),
        (
            40,
            ["Today's quota is not enough for everybody", "About 40 of 60 people", "goes on when the provider allows"],
        ),
        (-1, ["Today's quota no limit", "Then it waits 15 minutes"]),
    ]
    with FakeSES(tmp_path) as ses:
        at, ada = await exchange(new_service, people=60, **by_ses(ses.url))
        for most, words in says:
            ses.behave(max_send_rate=2.0, max_24_hour_send=most)
            shown = text_of((await ada.get(f"{at.place}/send")).text)
            assert [one for one in words if one not in shown] == []


@on_one_database
async def test_a_provider_that_does_not_answer_is_no_obstacle(new_service: NewService) -> None:
    at, ada = await exchange(new_service, **by_ses(f"http://127.0.0.1:{free_port()}"))
    shown = text_of((await ada.get(f"{at.place}/send")).text)
    assert "Today's quota not known" in shown
    assert "The provider cannot be asked Amazon SES cannot be reached." in shown
    assert "Send it to 3 people" in shown
