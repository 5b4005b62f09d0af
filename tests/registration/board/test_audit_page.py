"""The page of the audit log."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, insert, update

from hostemr.registration.board.audit_page import PAGE
from hostemr.registration.board.audit_sentences import KINDS, SENTENCES
from hostemr.registration.console import create_audit_log
from hostemr.registration.keys import resolve_keys
from hostemr.registration.schema import audit_entry, broadcast
from tests.registration.conftest import NewService, Service
from tests.registration.console import SETTINGS, text_of, visitor

pytestmark = pytest.mark.anyio
UUID = "1b671a64-40d5-491e-99b0-da01ff1f3341"
ABOUT = f"broadcast:{UUID}"
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def service(new_service: NewService) -> Service:
    return await new_service(**SETTINGS)


async def log(service: Service, *entries: tuple[str, str, str, dict[str, str | int]]) -> None:
    """Write entries, each as actor, action, subject and details, with a broadcast for them to be about."""
    audit = create_audit_log(resolve_keys(service.settings), service.database)

    def work(connection: Connection) -> None:
        row = {"uuid": UUID, "title": f"Release 7.0.3 {MARKUP}", "contents": "x", "content_sha256": "a" * 64}
        row |= {"once_key": "b" * 64, "source": "board", "state": "draft"}
        connection.execute(insert(broadcast), [{**row, "audience": 0, "created_at": datetime.now(UTC)}])
        for actor, action, subject, details in entries:
            audit.append(connection, actor, action, subject, **details)

    await service.database.write(work)


def numbers(page: str) -> list[int]:
    return [int(one.replace(",", "")) for one in re.findall(r'<th scope="row" class="number">([\d,]+)</th>', page)]


async def test_an_empty_log_says_what_will_appear(service: Service) -> None:
    viewer = await visitor(service, "viewer")
    page = await viewer.get("/board/audit")
    assert "Nothing has been done yet" in text_of(page.text)
    assert numbers(page.text) == []


async def test_entries_are_sentences_with_the_names_of_today(service: Service) -> None:
    ada, bo = await visitor(service, name="Ada"), await visitor(service, "author", name="Bo")
    me = f"member:{ada.member_id}"
    await log(
        service,
        (me, "broadcast.approve", ABOUT, {}),
        (me, "broadcast.override", ABOUT, {"reason": f"Exploited today {MARKUP}"}),
        ("api", "broadcast.create", "broadcast:00000000-0000-4000-8000-000000000000", {}),
        (me, "member.role", f"member:{bo.member_id}", {"before": "viewer", "after": "author"}),
        (me, "member.sign-in", me, {"method": "passkey"}),
        ("command-line", "registration.erase", "registration:4711", {"installations": 3}),
        ("member:999", "something.new", "", {"note": "of a later version"}),
    )
    page = (await ada.get("/board/audit")).text
    shown = text_of(page).replace(" .", ".").replace("“ ", "“")
    title = f"“Release 7.0.3 {MARKUP}”"
    for sentence in (
        f"Ada approved {title}.",
        f"override Ada let {title} go without approval, as an emergency.",
        f"Reason given: “Exploited today {MARKUP}”",
        "Somebody with the pin, over the API wrote a broadcast that is gone (00000000).",
        "Ada changed the role of Bo from viewer to author.",
        "Ada signed in. method: passkey",
        "Somebody at the command line erased registration 4711. installations: 3",
        "member 999 did something.new. Reason given: “of a later version”",
    ):
        assert sentence in shown
    assert "<img" not in page
    assert numbers(page) == [7, 6, 5, 4, 3, 2, 1]


async def test_what_is_to_be_written_down_is_the_newest_entry(service: Service) -> None:
    ada = await visitor(service)
    await log(service, *[("service", "broadcast.pause", ABOUT, {})] * 2)
    newest = str((await service.rows("SELECT entry_hash FROM audit_entry WHERE number = 2"))[0][0])
    page = text_of((await ada.get("/board/audit?kind=overrides")).text)
    assert f"audit verify --expect 2:{newest}" in page
    assert "No entry fits" in page


async def test_long_logs_are_read_page_by_page_without_a_gap(service: Service) -> None:
    ada = await visitor(service)
    total = 2 * PAGE + 3
    await log(service, *[("service", "broadcast.pause", ABOUT, {})] * total)
    seen, place = [], "/board/audit?kind=broadcasts"
    while place:
        page = (await ada.get(place)).text
        seen += numbers(page)
        following = re.search(r'href="([^"]+)" rel="next"', page)
        place = following.group(1).replace("&amp;", "&") if following else ""
    assert seen == list(range(total, 0, -1))


async def test_entries_can_be_chosen_by_who_what_and_kind(service: Service) -> None:
    ada = await visitor(service)
    me = f"member:{ada.member_id}"
    await log(
        service,
        (me, "broadcast.approve", ABOUT, {}),
        ("service", "broadcast.pause", ABOUT, {}),
        (me, "member.sign-in", me, {}),
        ("command-line", "member.invite", "member:99", {}),
    )
    for query, expected in (
        (f"member={ada.member_id}", [3, 1]),
        ("member=service", [2]),
        (f"about={ABOUT}", [2, 1]),
        (f"about={me}", [3]),
        ("kind=approvals", [1]),
        ("kind=sign-ins", [3]),
        ("kind=people", [4]),
        (f"kind=broadcasts&member={ada.member_id}&about={ABOUT}", [1]),
        ("kind=overrides", []),
    ):
        assert numbers((await ada.get(f"/board/audit?{query}")).text) == expected, query


async def test_nonsense_in_the_address_shows_the_log_and_nothing_of_the_nonsense(service: Service) -> None:
    ada = await visitor(service)
    await log(service, ("service", "broadcast.pause", ABOUT, {}))
    for query in (
        "member=%27%20OR%201=1",
        "about=<script>alert(1)</script>",
        "kind=%22%3E<script>",
        "before=-1",
        "before=99999999999999999999999999",
        "member=\N{SUPERSCRIPT TWO}",
        "before=\N{ARABIC-INDIC DIGIT TWO}",
    ):
        page = await ada.get(f"/board/audit?{query}")
        assert (page.status_code, numbers(page.text)) == (200, [1])
        assert "<script>alert" not in page.text


@pytest.mark.parametrize("spoilt", ["", "{", "[1]", "null"])
async def test_an_entry_that_somebody_spoilt_does_not_hide_the_others(service: Service, spoilt: str) -> None:
    viewer = await visitor(service, "viewer")
    await log(service, ("api", "broadcast.create", ABOUT, {}), ("api", "broadcast.queue", ABOUT, {}))
    spoil = update(audit_entry).where(audit_entry.c.number == 2).values(details=spoilt)
    await service.database.write(lambda connection: connection.execute(spoil))
    page = await viewer.get("/board/audit")
    assert numbers(page.text) == [2, 1]
    assert "cannot be read; verify the log" in text_of(page.text)


async def test_nobody_reads_the_log_without_a_session(service: Service) -> None:
    ada = await visitor(service)
    ada.client.cookies.clear()
    assert (await ada.get("/board/audit")).status_code == 303


def test_each_action_belongs_to_a_kind() -> None:
    assert {action for _, actions in KINDS.values() for action in actions} == set(SENTENCES)
