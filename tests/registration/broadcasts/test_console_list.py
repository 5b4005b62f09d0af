"""The list of broadcasts."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select

from hostemr.registration.broadcasts.catalogue import PAGE, known_versions, names_of
from hostemr.registration.schema import broadcast
from tests.registration.broadcasts.console_pages import MARKUP, ON_ONE_DATABASE, PLACE, board, submitted, written
from tests.registration.conftest import NewService
from tests.registration.console import SETTINGS, text_of, visitor

pytestmark = pytest.mark.anyio


@ON_ONE_DATABASE
async def test_an_empty_list_tells_who_may_write_how_to_begin_and_others_who_does(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    author, viewer = await visitor(service, "author"), await visitor(service, "viewer")
    page = await author.get(PLACE)
    assert page.status_code == 200
    assert "Write the first one" in text_of(page.text)
    assert f'href="{PLACE}/new"' in page.text
    page = await viewer.get(PLACE)
    assert "When an author of the board has written one" in text_of(page.text)
    assert f'href="{PLACE}/new"' not in page.text


async def test_what_waits_for_my_approval_stands_on_top_until_i_gave_it(new_service: NewService) -> None:
    service, author, approver = await board(new_service, HOSTEMR_APPROVALS="2")
    name = await submitted(author)
    waits = "Waiting for your approval"
    assert waits in text_of((await approver.get(PLACE)).text)
    assert waits not in text_of((await author.get(PLACE)).text)
    viewer = await visitor(service, "viewer")
    assert waits not in text_of((await viewer.get(PLACE)).text)
    page = (await approver.get(f"{PLACE}/{name}")).text
    sha256 = page.split('name="sha256" value="')[1][:64]
    assert (await approver.post(f"{PLACE}/{name}/approve", {"sha256": sha256})).status_code == 303
    assert waits not in text_of((await approver.get(PLACE)).text)


async def test_pages_follow_each_other_without_a_gap_and_keep_the_filter(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    first = await written(author, title="The very first")
    async with service.database.read() as connection:
        row = (await connection.execute(select(broadcast).where(broadcast.c.uuid == first))).one()._asdict()
    copies = [
        {**row, "id": None, "uuid": f"copy-{number}", "once_key": f"copy-{number}", "title": f"Copy {number}"}
        for number in range(PAGE * 2)
    ]
    for copy in copies:
        del copy["id"]
    await service.database.write(lambda connection: connection.execute(insert(broadcast), copies).rowcount)
    seen: list[str] = []
    place = f"{PLACE}?state=draft"
    for _ in range(4):
        page = (await author.get(place)).text
        seen += [part.split('"')[0] for part in page.split('<th scope="row"><a href="/board/broadcasts/')[1:]]
        if 'rel="next"' not in page:
            break
        place = page.split('rel="next"')[0].rpartition('href="')[2].split('"')[0].replace("&amp;", "&")
        assert "state=draft" in place
    assert seen == [f"copy-{number}" for number in reversed(range(PAGE * 2))] + [first]


@ON_ONE_DATABASE
async def test_a_filter_without_a_match_offers_all_and_nonsense_is_no_filter(new_service: NewService) -> None:
    _, author, _ = await board(new_service)
    await written(author)
    assert "No broadcast is in this state" in text_of((await author.get(f"{PLACE}?state=paused")).text)
    for nonsense in ("?state=<b>", "?before=x", "?before=٣", f"?before={'9' * 40}"):
        page = await author.get(PLACE + nonsense)
        assert page.status_code == 200
        assert "Security release 7.0.3" in page.text


@ON_ONE_DATABASE
async def test_markup_in_titles_and_names_is_shown_as_it_was_typed(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    author = await visitor(service, "author", name=MARKUP)
    await written(author, title=MARKUP)
    page = await author.get(PLACE)
    assert "<img src=x" not in page.text
    assert "<script>alert" not in page.text
    assert text_of(page.text).count(MARKUP) >= 2


async def test_known_versions_are_of_installations_the_newest_first(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    for number, version in enumerate(["7.0.2", "7.0.10", "7.0.3", "7.0.3", "<script>"]):
        await service.register(f"u{number}@clinic.example", version=version, distribution="docker")
    async with service.database.read() as connection:
        assert await connection.run_sync(known_versions) == ["7.0.10", "7.0.3", "7.0.2"]


async def test_somebody_whom_nobody_knows_any_more_keeps_what_they_were_called(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    members = [str(author.member_id), "anna@board.example", "9" * 18, "9" * 40, None]
    async with service.database.read() as connection:
        names = await connection.run_sync(lambda found: names_of(found, members))
    assert names.pop(str(author.member_id)) == "Anna Author"
    assert names == {name: name for name in ("anna@board.example", "9" * 18, "9" * 40)}
