"""One broadcast in the console: what it says, its approval, its rejection, the emergency."""

from __future__ import annotations

import asyncio

import pytest

from hostemr.registration.broadcasts.preview import PREVIEW_HEADERS
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
from tests.registration.broadcasts.test_api import broadcast as api_broadcast
from tests.registration.conftest import PIN, NewService
from tests.registration.console import SETTINGS, text_of, visitor

pytestmark = pytest.mark.anyio

REASON = "A worm spreads right now and nobody answers the telephone."


async def test_from_the_draft_to_approved_with_the_words_of_each_step(new_service: NewService) -> None:
    service, author, approver = await board(new_service)
    await service.register("clinic@example.org")
    name = await written(author)
    page = text_of((await author.get(f"{PLACE}/{name}")).text)
    assert "It is a draft. Nobody outside the board can see it." in page
    assert "then one other member of the board must approve it" in page
    assert "Goes to 1 of 1 registered address." in page
    await author.post(f"{PLACE}/{name}/submit")
    page = text_of((await author.get(f"{PLACE}/{name}")).text)
    assert "It waits for approval: 0 of 1 given." in page
    assert "You wrote it, so you cannot approve it. It needs 1 more: Boris Approver." in page
    answer = await approver.get(f"{PLACE}/{name}")
    assert "Your approval counts for exactly the text shown" in text_of(answer.text)
    await approver.post(f"{PLACE}/{name}/approve", {"sha256": hidden(answer.text, "sha256")})
    page = (await author.get(f"{PLACE}/{name}")).text
    assert "It may be sent." in text_of(page)
    assert f'href="{PLACE}/{name}/send"' in page
    assert "Boris Approver, " in text_of(page)
    assert await actions(service) == ["broadcast.create", "broadcast.submit", "broadcast.approve"]


@ON_ONE_DATABASE
async def test_who_wrote_it_has_no_button_and_is_refused(new_service: NewService) -> None:
    service, _, approver = await board(new_service)
    name = await submitted(approver)
    page = (await approver.get(f"{PLACE}/{name}")).text
    assert f'action="{PLACE}/{name}/approve"' not in page
    assert "There is no button to approve it, because you wrote it." in text_of(page)
    rows = await service.rows("SELECT content_sha256 FROM broadcast")
    answer = await approver.post(f"{PLACE}/{name}/approve", {"sha256": rows[0][0]})
    assert answer.status_code == 403
    assert await state_of(service, name) == "review"


@ON_ONE_DATABASE
async def test_an_approval_of_what_was_edited_meanwhile_does_not_count(new_service: NewService) -> None:
    service, author, approver = await board(new_service)
    name = await submitted(author)
    read = hidden((await approver.get(f"{PLACE}/{name}")).text, "sha256")
    await author.post(f"{PLACE}/{name}/edit", {**FIELDS, "contents": "Another", "read": read})
    await author.post(f"{PLACE}/{name}/submit")
    for stale in (read, "", "0" * 64):
        assert (await approver.post(f"{PLACE}/{name}/approve", {"sha256": stale})).status_code == 403
    assert await state_of(service, name) == "review"


async def test_two_approvals_by_one_person_are_one(new_service: NewService) -> None:
    service, author, approver = await board(new_service, HOSTEMR_APPROVALS="2")
    name = await submitted(author)
    sha256 = hidden((await approver.get(f"{PLACE}/{name}")).text, "sha256")
    for _ in range(2):
        await approver.post(f"{PLACE}/{name}/approve", {"sha256": sha256})
    await asyncio.gather(*(approver.post(f"{PLACE}/{name}/approve", {"sha256": sha256}) for _ in range(3)))
    assert await state_of(service, name) == "review"
    page = text_of((await approver.get(f"{PLACE}/{name}")).text)
    assert "1 of 2 needed approvals given." in page
    assert "No other member may approve it" not in page
    second = await visitor(service, "administrator", name="Chen Second")
    await second.post(f"{PLACE}/{name}/approve", {"sha256": sha256})
    assert await state_of(service, name) == "approved"


@ON_ONE_DATABASE
async def test_authors_and_viewers_cannot_review(new_service: NewService) -> None:
    service, author, approver = await board(new_service)
    name = await submitted(approver)
    viewer = await visitor(service, "viewer")
    sha256 = (await service.rows("SELECT content_sha256 FROM broadcast"))[0][0]
    fields = {"sha256": sha256, "note": "No", "reason": REASON, "shown": "no"}
    for who in (author, viewer):
        for action in ("approve", "reject", "override", "publish"):
            assert (await who.post(f"{PLACE}/{name}/{action}", fields)).status_code == 403
        assert (await who.get(f"{PLACE}/{name}/override")).status_code == 403
        page = (await who.get(f"{PLACE}/{name}")).text
        assert all(f"/{action}" not in page for action in ("approve", "reject", "override", "publish"))
    assert await state_of(service, name) == "review"


@ON_ONE_DATABASE
async def test_approving_and_overriding_ask_first_who_is_there(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    name = await submitted(author)
    away = await visitor(service, "approver", confirmed=False)
    sha256 = (await service.rows("SELECT content_sha256 FROM broadcast"))[0][0]
    for action in ("approve", "override"):
        answer = await away.post(f"{PLACE}/{name}/{action}", {"sha256": sha256, "reason": REASON})
        assert "Confirm it is you" in text_of(answer.text)
    assert await state_of(service, name) == "review"


@ON_ONE_DATABASE
async def test_a_rejection_needs_a_note_which_its_author_reads(new_service: NewService) -> None:
    service, author, approver = await board(new_service)
    name = await submitted(author)
    for note, problem in ((" ", "Say what has to change"), ("x" * 501, "The note has 501 characters")):
        answer = await approver.post(f"{PLACE}/{name}/reject", {"note": note})
        assert answer.status_code == 422
        assert problem in text_of(answer.text)
    assert "x" * 501 in answer.text
    assert await state_of(service, name) == "review"
    await approver.post(f"{PLACE}/{name}/reject", {"note": MARKUP})
    page = (await author.get(f"{PLACE}/{name}")).text
    assert f"Sent back to its author {MARKUP}" in text_of(page)
    assert "<img src=x" not in page
    assert await state_of(service, name) == "draft"


async def test_the_emergency_needs_a_reason_and_is_shown_for_ever(new_service: NewService) -> None:
    service, author, approver = await board(new_service)
    name = await submitted(author)
    page = (await approver.get(f"{PLACE}/{name}/override")).text
    assert "Nobody can remove them, not even an administrator." in text_of(page)
    sha256 = hidden(page, "sha256")
    answer = await approver.post(f"{PLACE}/{name}/override", {"sha256": sha256, "reason": f"short{' ' * 30}"})
    assert answer.status_code == 422
    assert 'id="reason-problem"' in answer.text
    stale = await approver.post(f"{PLACE}/{name}/override", {"sha256": "0" * 64, "reason": REASON})
    assert stale.status_code == 403
    answer = await approver.post(f"{PLACE}/{name}/override", {"sha256": sha256, "reason": REASON + MARKUP})
    assert answer.status_code == 303
    assert await state_of(service, name) == "approved"
    page = (await author.get(f"{PLACE}/{name}")).text
    assert f"Boris Approver overrode the approval. The reason given: “{REASON}{MARKUP}”" in text_of(page)
    assert "<img src=x" not in page
    assert "without approval" in text_of((await author.get(PLACE)).text)
    assert (await actions(service))[-1] == "broadcast.override"
    assert (await approver.get(f"{PLACE}/{name}/override")).status_code == 409


@ON_ONE_DATABASE
async def test_one_member_alone_needs_nobody(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    ada = await visitor(service)
    name = await written(ada)
    page = (await ada.get(f"{PLACE}/{name}")).text
    assert "no approval is needed as the board stands" in text_of(page)
    assert f"{PLACE}/{name}/override" not in page
    await ada.post(f"{PLACE}/{name}/submit")
    assert await state_of(service, name) == "approved"


@ON_ONE_DATABASE
async def test_where_nobody_else_may_approve_the_page_says_so(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    ada = await visitor(service)
    await visitor(service, "author")
    name = await submitted(ada)
    page = text_of((await ada.get(f"{PLACE}/{name}")).text)
    assert "No other member may approve it. An administrator has to make somebody an approver first." in page


@ON_ONE_DATABASE
async def test_only_a_draft_is_deleted_and_stays_in_the_list(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    name = await submitted(author)
    assert (await author.post(f"{PLACE}/{name}/delete")).status_code == 409
    assert await state_of(service, name) == "review"
    draft = await written(author, title="Not wanted")
    assert (await author.post(f"{PLACE}/{draft}/delete")).headers["location"] == PLACE
    assert await state_of(service, draft) == "cancelled"
    assert "Not wanted" in (await author.get(PLACE)).text
    page = text_of((await author.get(f"{PLACE}/{draft}")).text)
    assert "It stays here for the record" in page
    assert "Who gets it Nobody." in page


@ON_ONE_DATABASE
async def test_the_public_page_is_an_approvers_choice(new_service: NewService) -> None:
    service, author, approver = await board(new_service)
    name = await written(author)
    for shown, stored in (("no", 0), ("yes", 1)):
        await approver.post(f"{PLACE}/{name}/publish", {"shown": shown})
        assert (await service.rows("SELECT published FROM broadcast"))[0][0] == stored
    assert (await actions(service))[-2:] == ["broadcast.withdraw", "broadcast.publish"]


async def test_markup_is_shown_as_it_was_typed_and_the_preview_is_sandboxed(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    author = await visitor(service, "author", name=MARKUP)
    await visitor(service, "approver", name=MARKUP)
    name = await submitted(author, title=MARKUP, contents=MARKUP, format="text")
    page = await author.get(f"{PLACE}/{name}")
    assert "<img src=x" not in page.text
    assert "<script>alert" not in page.text
    assert text_of(page.text).count(MARKUP) >= 4
    assert f'src="{PLACE}/{name}/preview.html" sandbox=""' in page.text
    document = await author.get(f"{PLACE}/{name}/preview.html")
    assert all(document.headers[header] == value for header, value in PREVIEW_HEADERS.items())


@ON_ONE_DATABASE
async def test_what_came_through_the_api_says_so(new_service: NewService) -> None:
    service, author, approver = await board(new_service)
    await service.register("clinic@example.org")
    await api_broadcast(service, secretPin=PIN, emailTitle="Of the API", emailContents="Text")
    name = (await service.rows("SELECT uuid FROM broadcast"))[0][0]
    page = (await approver.get(f"{PLACE}/{name}")).text
    assert "through the API" in text_of(page)
    assert "1 address, as they were when it was queued." in text_of(page)
    assert all(f"/{action}" not in page for action in ("edit", "override", "reject", "submit"))
    assert (await author.get(f"{PLACE}/{name}/edit")).status_code == 409


@ON_ONE_DATABASE
async def test_there_is_no_page_of_a_broadcast_that_is_not_there(new_service: NewService) -> None:
    _, _, approver = await board(new_service)
    for path in ("nothing", "nothing/preview.html", "nothing/override", "nothing/recipients"):
        assert (await approver.get(f"{PLACE}/{path}")).status_code == 404
    fields = {"sha256": "0" * 64, "note": "No", "reason": REASON}
    for path in ("submit", "delete", "approve", "reject", "override", "publish", "test"):
        assert (await approver.post(f"{PLACE}/nothing/{path}", fields)).status_code == 404


@ON_ONE_DATABASE
async def test_the_number_comes_later_where_it_takes_long(new_service: NewService) -> None:
    service, author, _ = await board(new_service)
    await service.register("clinic@example.org")
    name = await written(author)
    answer = await author.get(f"{PLACE}/{name}/recipients", headers={"hx-request": "true"})
    assert answer.text.strip() == "<span>Goes to 1 of 1 registered address.</span>"
