"""The console's first page, as members of every role find it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from hostemr.registration.overview.store import NAME, FigureStore
from hostemr.registration.schema import approval, board_figure, broadcast, chunk
from tests.registration.conftest import NewService, Service
from tests.registration.console import BASE_URL, SETTINGS, text_of, visitor

pytestmark = pytest.mark.anyio
HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "]]></svg><b>x</b>",
    "\u202egnisrever\u200f evil",
    "😀" * 64,
    "{{ 7*191 }}",
]


async def add_broadcast(service: Service, **values: Any) -> int:
    name = str(uuid.uuid4())
    row = {
        "uuid": name,
        "title": "Security release",
        "contents": "Update.",
        "content_sha256": "a" * 64,
        "once_key": name,
        "source": "board",
        "state": "review",
        "audience": 0,
        "author": "999",
        "created_at": datetime.now(UTC),
        **values,
    }

    def write(connection: Connection) -> int:
        key = connection.execute(insert(broadcast).values(row)).inserted_primary_key
        assert key is not None
        return int(key[0])

    return await service.database.write(write)


async def counted(service: Service) -> None:
    """However slow the machine is, the page then has the figures at hand."""
    assert await FigureStore(service.database).refresh()


async def test_a_new_console_says_what_to_do_first(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    await counted(service)
    ada = await visitor(service)
    page = await ada.get("/board")
    assert page.status_code == 200
    said = text_of(page.text)
    assert "First steps" in said
    assert f"{BASE_URL}/api/registration" in said
    assert "No broadcast yet" in said
    assert "No usage reports yet" in said
    for place in ("/board/people", "/board/settings", "/board/broadcasts/new"):
        assert f'href="{place}"' in page.text
    await visitor(service, "approver")
    said = text_of((await ada.get("/board")).text)
    assert "First steps" not in said, "there are two members now"
    assert "No registrations yet" in said


async def test_a_viewer_is_offered_nothing_that_the_role_forbids(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    victor = await visitor(service, "viewer")
    page = (await victor.get("/board")).text
    assert "/board/broadcasts/new" not in page
    assert "Invite a second member</a>" not in page


async def test_whoever_is_not_signed_in_learns_nothing(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    await service.register("clinic@clinic.example", version="7.0.3")
    ada = await visitor(service)
    ada.client.cookies.clear()
    page = await ada.get("/board")
    assert page.status_code == 303
    assert page.headers["location"] == "/board/sign-in"


async def test_what_is_registered_is_counted_and_drawn(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    await service.register("one@clinic.example", version="7.0.3", distribution="Docker")
    await service.register("one@clinic.example", version="7.0.2")
    await service.register("two@clinic.example", version="7.0.3")
    await counted(service)
    ada = await visitor(service)
    page = (await ada.get("/board")).text
    said = text_of(page)
    assert "Registered addresses 2 2 new this month" in said
    assert "Installations 3" in said
    assert "The most frequent is 7.0.3: 2 of 3." in said
    assert page.count('role="img"') == 4
    assert "7.0.2 1 33 %" in said, "the table beneath has it too"


async def test_labels_of_strangers_are_only_text(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    for number, label in enumerate(HOSTILE):
        await service.register(f"c{number}@clinic.example", version=label, distribution=label)
        locale = {"version": label, "distribution": label}
        report = {"usageRecords": [], "localeData": locale}
        answer = await service.post(f"/api/usage?SiteID={uuid.uuid4()}", json=report)
        assert answer.status_code == 200
    await counted(service)
    ada = await visitor(service)
    page = (await ada.get("/board")).text
    for markup in ("<script>alert", "<img src=x", "<b>x</b>", "onerror=alert(1)>", "\u202e", "1337"):
        assert markup not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4
    assert page.count("unverified") == 1
    assert " style=" not in page


async def test_a_broadcast_waits_for_those_who_may_approve_it(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    ada, ben, victor = [await visitor(service, role) for role in ("approver", "approver", "viewer")]
    identity = await add_broadcast(service, title="<b>7.0.4</b>", author=str(ada.member_id))
    needs = "<b>7.0.4</b> needs your approval."
    assert needs not in text_of((await ada.get("/board")).text), "who wrote it does not approve it"
    assert needs in text_of((await ben.get("/board")).text)
    assert needs not in text_of((await victor.get("/board")).text)
    vote = {"broadcast_id": identity, "content_sha256": "a" * 64, "created_at": datetime.now(UTC)}
    await service.database.write(
        lambda connection: connection.execute(insert(approval).values(**vote, member=str(ben.member_id)))
    )
    assert needs not in text_of((await ben.get("/board")).text), "who has approved it does not do so again"
    edited = update(broadcast).values(content_sha256="b" * 64)
    await service.database.write(lambda connection: connection.execute(edited))
    assert needs in text_of((await ben.get("/board")).text), "an edit voids it"


async def test_what_is_paused_approved_or_returned_stands_on_top(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    ada = await visitor(service, "author")
    await add_broadcast(service, title="Halted", state="paused", pause_reason="6 % bounced.")
    await add_broadcast(service, title="Ready", state="approved")
    await add_broadcast(service, title="Mine", state="draft", author=str(ada.member_id), review_note="Too long.")
    await add_broadcast(service, title="Another's", state="draft", review_note="Too short.")
    said = text_of((await ada.get("/board")).text)
    assert "3 things wait for you." in said
    assert "Halted is paused: 6 % bounced." in said
    assert "Ready is approved and can be sent." in said
    assert "Mine was sent back to you: Too long." in said
    assert "Too short." not in said


async def test_a_broadcast_of_which_much_came_back_is_warned_of(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    identity = await add_broadcast(service, title="Bouncy", state="done", audience=110)
    row = {"broadcast_id": identity, "number": 1, "state": "done", "attempts": 1}
    counts = {"sent": 100, "failed": 4, "suppressed": 6, "bounced": 9}
    await service.database.write(lambda connection: connection.execute(insert(chunk).values(row | counts)))
    ada = await visitor(service)
    said = text_of((await ada.get("/board")).text)
    assert "9.0 % of Bouncy bounced." in said
    assert "100 of 110 4 failed 9 came back" in said
    assert "Of 110 recipients 100 were sent it, of which 9 came back." in said
    assert "Went through 91 83 %" in said


async def test_a_page_is_shown_while_the_first_count_goes_on(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    now = datetime.now(UTC)
    row = {"name": "overview.claim", "value": "another", "computed_at": now, "took_seconds": 0.0}
    await service.database.write(lambda connection: connection.execute(insert(board_figure), [row]))
    ada = await visitor(service)
    page = (await ada.get("/board")).text
    assert "The figures are being counted" in text_of(page)
    assert 'hx-get="/board"' in page


async def test_old_figures_say_how_old_they_are(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    await counted(service)
    ada = await visitor(service)
    at = datetime.now(UTC) - timedelta(minutes=3)
    old = update(board_figure).where(board_figure.c.name == NAME).values(computed_at=at, took_seconds=12.0)
    await service.database.write(lambda connection: connection.execute(old))
    said = text_of((await ada.get("/board")).text)
    assert f"Counted {at:%Y-%m-%d %H:%M} UTC . Counting takes 12.0 seconds" in said
