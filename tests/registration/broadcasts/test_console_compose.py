"""Writing a broadcast in the console: drafts, mistakes, two people at once, the live preview."""

from __future__ import annotations

import html

import pytest
from sqlalchemy import func, update

from hostemr.registration.broadcasts.preview import PREVIEW_HEADERS
from hostemr.registration.schema import subscriber
from tests.registration.broadcasts.console_pages import (
    FIELDS,
    MARKUP,
    ON_ONE_DATABASE,
    PLACE,
    actions,
    board,
    hidden,
    state_of,
    submitted,
    written,
)
from tests.registration.conftest import NewService
from tests.registration.console import text_of, visitor

pytestmark = pytest.mark.anyio


async def test_a_draft_is_kept_as_it_was_typed_and_nothing_is_sent(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    name = await written(author, contents="One\r\n\r\nTwo")
    columns = "state, source, author, contents, severity, fixed_version, queued_at"
    rows = await service.rows(f"SELECT {columns} FROM broadcast WHERE uuid = '{name}'")
    assert rows == [("draft", "board", str(author.member_id), "One\n\nTwo", "high", "7.0.3", None)]
    page = (await author.get(f"{PLACE}/{name}")).text
    assert "Saved as a draft. Nothing was sent." in text_of(page)
    assert await actions(service) == ["broadcast.create"]


@ON_ONE_DATABASE
async def test_every_mistake_stands_beside_its_field_and_what_was_typed_is_kept(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    typed = {**FIELDS, "title": " ", "contents": f"{MARKUP}\0", "fixed_version": MARKUP[:20]}
    page = await author.post(f"{PLACE}/new", typed)
    assert page.status_code == 422
    for field in ("title", "contents", "fixed_version"):
        assert f'id="{field}-problem"' in page.text
    assert "Write it like 7.0.3" in text_of(page.text)
    assert f'value="{html.escape(MARKUP[:20], quote=True)}"' in page.text.replace("&#34;", "&quot;")
    assert "<img src=x" not in page.text
    assert text_of(page.text).count("<script>alert(1)</script>") == 1
    assert '<option value="high" selected>' in page.text
    assert await service.rows("SELECT id FROM broadcast") == []


@ON_ONE_DATABASE
async def test_a_viewer_can_neither_write_nor_preview(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    name = await written(author)
    viewer = await visitor(service, "viewer")
    for path in ("new", "preview.html", "recipients", f"{name}/edit"):
        assert (await viewer.get(f"{PLACE}/{path}")).status_code == 403
    for path in ("new", "preview", f"{name}/edit", f"{name}/submit", f"{name}/delete", f"{name}/test"):
        assert (await viewer.post(f"{PLACE}/{path}", FIELDS)).status_code == 403
    assert await actions(service) == ["broadcast.create"]


@ON_ONE_DATABASE
async def test_forms_of_other_sites_and_without_the_token_change_nothing(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    name = await written(author)
    for path in ("new", "preview", f"{name}/edit", f"{name}/submit", f"{name}/delete", f"{name}/test"):
        assert (await author.post(f"{PLACE}/{path}", {**FIELDS, "csrf": "0" * 64})).status_code == 403
        foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        assert (await author.post(f"{PLACE}/{path}", FIELDS, headers=foreign)).status_code == 403
    assert await actions(service) == ["broadcast.create"]
    assert await service.rows("SELECT member_id FROM broadcast_preview") == []


@ON_ONE_DATABASE
async def test_an_edit_of_what_waits_for_approval_says_so_and_voids_it(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    name = await submitted(author)
    page = await author.get(f"{PLACE}/{name}/edit")
    assert "This voids approvals" in text_of(page.text)
    typed = {**FIELDS, "title": "Better", "read": hidden(page.text, "read")}
    assert (await author.post(f"{PLACE}/{name}/edit", typed)).status_code == 303
    assert await state_of(service, name) == "draft"


async def test_of_two_who_edit_the_second_sees_both_texts_and_nothing_is_lost(new_service: NewService) -> None:
    service, author, other = await board(new_service)
    name = await written(author)
    read = hidden((await author.get(f"{PLACE}/{name}/edit")).text, "read")
    theirs = {**FIELDS, "contents": f"Theirs {MARKUP}", "read": read}
    assert (await other.post(f"{PLACE}/{name}/edit", theirs)).status_code == 303
    mine = {**FIELDS, "contents": "Mine", "read": read}
    page = await author.post(f"{PLACE}/{name}/edit", mine)
    assert page.status_code == 409
    assert "Boris Approver saved another text. Nothing was overwritten." in text_of(page.text)
    assert f"Theirs {MARKUP}" in text_of(page.text)
    assert "<img src=x" not in page.text
    assert ">\nMine</textarea>" in page.text
    assert (await service.rows("SELECT contents FROM broadcast"))[0][0] == f"Theirs {MARKUP}"
    again = {**mine, "read": hidden(page.text, "read")}
    assert (await author.post(f"{PLACE}/{name}/edit", again)).status_code == 303
    assert await service.rows("SELECT contents, author FROM broadcast") == [("Mine", str(author.member_id))]


@ON_ONE_DATABASE
async def test_what_is_approved_or_unknown_cannot_be_edited(new_service: NewService) -> None:
    _, author, approver = await board(new_service)
    name = await submitted(author)
    sha256 = hidden((await approver.get(f"{PLACE}/{name}")).text, "sha256")
    assert (await approver.post(f"{PLACE}/{name}/approve", {"sha256": sha256})).status_code == 303
    assert (await author.get(f"{PLACE}/{name}/edit")).status_code == 409
    assert (await author.post(f"{PLACE}/{name}/edit", {**FIELDS, "read": sha256})).status_code == 409
    assert (await author.get(f"{PLACE}/nothing/edit")).status_code == 404


@ON_ONE_DATABASE
async def test_the_preview_shows_what_is_half_written(new_service: NewService) -> None:
    _, author, _ = await board(new_service)
    fields = {**FIELDS, "title": "", "severity": "", "fixed_version": "7.0."}
    answer = (await author.post(f"{PLACE}/preview", fields)).json()
    assert answer["shown"] is True
    assert set(answer["problems"]) == {"title", "fixed_version"}
    assert "update" in answer["text"]
    assert "(no title yet)" in (await author.get(f"{PLACE}/preview.html")).text
    answer = (await author.post(f"{PLACE}/preview", FIELDS)).json()
    assert (answer["shown"], answer["problems"]) == (True, {})
    answer = (await author.post(f"{PLACE}/preview", {**FIELDS, "contents": " "})).json()
    assert (answer["shown"], set(answer["problems"])) == (False, {"contents"})


async def test_the_number_of_recipients_follows_the_category_and_the_version(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    for number, version in enumerate(["7.0.2", "7.0.3", ""]):
        await service.register(f"u{number}@clinic.example", version=version)
    await service.database.write(
        lambda connection: (
            connection.execute(
                update(subscriber)
                .where(subscriber.c.email_key == "u0@clinic.example")
                .values(news_opted_out_at=func.now())
            ).rowcount
        )
    )
    left_out = "Left out: 1 whose installations all have 7.0.3 or later."
    for query, words in (
        ("category=security&fixed_version=", "Goes to 3 of 3 registered addresses."),
        ("category=security&fixed_version=+7.0.3", f"Goes to 2 of 3 registered addresses. {left_out}"),
        ("category=news", "Goes to 2 of 3 registered addresses. Left out: 1 that stopped news, whose mail came back, "),
        ("category=security&fixed_version=7.0.", ""),
        ("category=<b>&fixed_version=", ""),
        ("", ""),
    ):
        answer = (await author.get(f"{PLACE}/recipients?{query}")).json()
        assert answer["recipients"].startswith(words), query
        assert bool(answer["recipients"]) == bool(words), query


@ON_ONE_DATABASE
async def test_the_preview_is_a_document_that_can_do_nothing(new_service: NewService) -> None:
    _, author, _ = await board(new_service)
    fields = {**FIELDS, "title": MARKUP, "contents": f"{MARKUP} ![seen](https://tracker.example/x.png)"}
    await author.post(f"{PLACE}/preview", fields)
    page = await author.get(f"{PLACE}/preview.html")
    policy = [part.strip() for part in page.headers["content-security-policy"].split(";")]
    for part in ("sandbox", "default-src 'none'", "img-src data:", "frame-ancestors 'self'"):
        assert part in policy
    assert not any("script" in part or "allow-" in part for part in policy)
    assert page.headers["x-frame-options"] == "SAMEORIGIN"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-store"
    assert "<script" not in page.text
    assert "onerror=" not in page.text.replace(html.escape(MARKUP), "").replace("&lt;img src=x onerror=", "")


async def test_each_member_sees_their_own_preview_and_nobody_without_a_session_any(new_service: NewService) -> None:
    service, author, other = await board(new_service)
    assert "Nothing to show yet" in (await author.get(f"{PLACE}/preview.html")).text
    await author.post(f"{PLACE}/preview", {**FIELDS, "contents": "Of Anna"})
    await other.post(f"{PLACE}/preview", {**FIELDS, "contents": "Of Boris"})
    await author.post(f"{PLACE}/preview", {**FIELDS, "contents": "Of Anna again"})
    assert "Of Anna again" in (await author.get(f"{PLACE}/preview.html")).text
    assert "Of Boris" in (await other.get(f"{PLACE}/preview.html")).text
    assert len(await service.rows("SELECT member_id FROM broadcast_preview")) == 2
    author.client.cookies.clear()
    assert (await author.get(f"{PLACE}/preview.html")).status_code == 303


@ON_ONE_DATABASE
async def test_without_script_a_button_shows_the_preview_and_keeps_what_was_typed(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    page = await author.post(f"{PLACE}/new", {**FIELDS, "title": "Half", "do": "preview"})
    assert page.status_code == 200
    assert f'src="{PLACE}/preview.html" sandbox=""' in page.text
    assert 'value="Half"' in page.text
    assert "Nobody has registered an address yet" in text_of(page.text)
    assert await service.rows("SELECT id FROM broadcast") == []
    name = await written(author)
    read = hidden((await author.get(f"{PLACE}/{name}/edit")).text, "read")
    page = await author.post(f"{PLACE}/{name}/edit", {**FIELDS, "title": "Half", "do": "preview", "read": read})
    assert hidden(page.text, "read") == read
    assert (await service.rows("SELECT title FROM broadcast"))[0][0] == FIELDS["title"]


@ON_ONE_DATABASE
async def test_plain_text_has_no_other_form(new_service: NewService) -> None:
    _, author, _ = await board(new_service)
    name = await written(author, format="text")
    page = await author.get(f"{PLACE}/{name}/preview.html")
    assert "This broadcast is plain text" in page.text
    assert page.headers["content-security-policy"] == PREVIEW_HEADERS["content-security-policy"]
