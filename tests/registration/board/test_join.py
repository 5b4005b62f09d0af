"""Joining by an invitation's link: password, second factor, recovery codes; nothing is open before all three."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.registration.board.authenticator import Authenticator
from tests.registration.board.browser import PASSWORD, Browser, Member, browser, hidden, member, options_of
from tests.registration.conftest import NewService, Service
from tests.registration.console import SETTINGS, text_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def board(new_service: NewService) -> Service:
    return await new_service(**SETTINGS)


async def actions(service: Service) -> list[str]:
    return [row[0] for row in await service.rows("SELECT action FROM audit_entry ORDER BY number")]


async def choose_password(one: Browser, invited: Member) -> httpx.Response:
    """The first step; answers the page of the second."""
    taken = await one.post(f"/board/join/{invited.invitation}", {"password": PASSWORD, "again": PASSWORD})
    assert (taken.status_code, taken.headers["location"]) == (303, "/board/enrol")
    return await one.get("/board/enrol")


async def add_app(one: Browser, page: httpx.Response, who: Member) -> httpx.Response:
    found = re.search(r'class="code">([A-Z2-7 ]+)<', page.text)
    assert found
    who.secret = found.group(1).replace(" ", "")
    fields = {"offered": hidden(page.text, "offered"), "first_code": who.code()}
    return await one.send(page, "/board/enrol/totp", fields)


async def test_an_invited_member_joins_with_an_app_and_can_sign_in_again(board: Service) -> None:
    ada, one = await member(board, invited=True), browser(board)
    welcome = await one.get(f"/board/join/{ada.invitation}")
    assert "Welcome, Grace <b>Example</b>" in text_of(welcome.text)
    assert "<b>Example" not in welcome.text
    page = await choose_password(one, ada)
    assert "<svg" in page.text
    assert "style=" not in page.text
    codes = await add_app(one, page, ada)
    shown = re.findall(r"<code>([^<]+)</code>", codes.text)
    assert len(set(shown)) == 10
    assert (await one.get("/board")).headers["location"] == "/board/enrol", "not yet"
    unticked = await one.send(codes, "/board/enrol/finish")
    assert unticked.status_code == 422
    half = one.token
    done = await one.send(codes, "/board/enrol/finish", {"kept": "yes"})
    assert (done.status_code, done.headers["location"]) == (303, "/board")
    assert one.token != half
    assert (await one.get("/board/account")).status_code == 200
    assert await actions(board) == ["member.totp.add", "member.recovery-codes", "member.join", "member.sign-in"]
    assert (await browser(board).get(f"/board/join/{ada.invitation}")).status_code == 404, "the link is used up"
    ((status, kept),) = await board.rows("SELECT status, totp_secret FROM board_member")
    assert status == "active"
    assert ada.secret not in kept, "encrypted"

    again = browser(board)
    await again.sign_in(ada)
    step = await again.get("/board/second-factor")
    assert (await again.send(step, "/board/second-factor", {"code": shown[0]})).status_code == 303


async def test_an_invited_member_joins_with_a_passkey(board: Service) -> None:
    ada, one, device = await member(board, invited=True), browser(board), Authenticator()
    page = await choose_password(one, ada)
    codes = await one.send(
        page, "/board/enrol/passkey", {"assertion": device.create(options_of(page.text)), "name": ""}
    )
    assert codes.status_code == 200, text_of(codes.text)
    assert (await one.send(codes, "/board/enrol/finish", {"kept": "yes"})).status_code == 303
    again = browser(board)
    sign_in = await again.get("/board/sign-in")
    done = await again.post("/board/sign-in/passkey", {"assertion": device.get(options_of(sign_in.text))})
    assert (done.status_code, done.headers["location"]) == (303, "/board")


async def test_codes_that_were_not_kept_are_made_anew(board: Service) -> None:
    ada, one = await member(board, invited=True), browser(board)
    first = await add_app(one, await choose_password(one, ada), ada)
    page = await one.get("/board/enrol")
    assert "shown only now" not in page.text
    second = await one.send(page, "/board/enrol/recovery-codes")
    new = set(re.findall(r"<code>([^<]+)</code>", second.text))
    assert len(new) == 10
    assert not new & set(re.findall(r"<code>([^<]+)</code>", first.text))
    assert await board.rows("SELECT COUNT(*) FROM recovery_code") == [(10,)]


async def test_nobody_is_in_without_a_second_factor_whatever_they_send(board: Service) -> None:
    ada, one = await member(board, invited=True), browser(board)
    page = await choose_password(one, ada)
    finish = await one.send(page, "/board/enrol/finish", {"kept": "yes"})
    assert (finish.status_code, finish.headers["location"]) == (303, "/board/enrol")
    assert (await one.send(page, "/board/enrol/recovery-codes")).status_code == 422
    assert (await one.get("/board/account")).headers["location"] == "/board/enrol"
    wrong = await one.send(page, "/board/enrol/totp", {"offered": hidden(page.text, "offered"), "first_code": "12345"})
    assert wrong.status_code == 422
    assert hidden(wrong.text, "offered") == hidden(page.text, "offered"), "the app need not be set up again"
    assert (await browser(board).sign_in(ada)).status_code == 422, "the password alone does not sign in yet"
    assert await board.rows("SELECT status FROM board_member") == [("invited",)]


async def test_a_secret_offered_to_another_is_not_taken(board: Service) -> None:
    ada, eve = await member(board, invited=True), await member(board, invited=True)
    one, other = browser(board), browser(board)
    page, hers = await choose_password(one, ada), await choose_password(other, eve)
    answer = await one.send(
        page, "/board/enrol/totp", {"offered": hidden(hers.text, "offered"), "first_code": "123456"}
    )
    assert answer.status_code == 422
    assert "out of date" in text_of(answer.text)
    for broken in ("", "x", "é", "A" * 5000):
        sent = await one.send(page, "/board/enrol/totp", {"offered": broken, "first_code": "123456"})
        assert sent.status_code == 422


async def test_beginning_again_with_the_link_starts_from_nothing(board: Service) -> None:
    ada, first, second = await member(board, invited=True), browser(board), browser(board)
    page = await choose_password(first, ada)
    codes = await add_app(first, page, ada)
    await choose_password(second, ada)
    dead = await first.send(codes, "/board/enrol/finish", {"kept": "yes"})
    assert dead.headers["location"] == "/board/sign-in", "the session of the first try has ended"
    assert await board.rows("SELECT totp_secret, totp_step FROM board_member") == [(None, None)]
    assert await board.rows("SELECT COUNT(*) FROM recovery_code") == [(0,)]


async def test_a_session_that_knows_only_the_password_ends_when_the_member_has_set_up_everything(
    board: Service,
) -> None:
    grace = await member(board, totp=False)
    thief, one = browser(board), browser(board)
    assert (await thief.sign_in(grace)).headers["location"] == "/board/enrol"
    await one.sign_in(grace)
    codes = await add_app(one, await one.get("/board/enrol"), grace)
    his = await thief.get("/board/enrol")
    assert (await one.send(codes, "/board/enrol/finish", {"kept": "yes"})).status_code == 303
    late = await thief.send(his, "/board/enrol/finish", {"kept": "yes"})
    assert late.headers["location"] == "/board/sign-in"


async def test_a_weak_password_is_refused_in_words(board: Service) -> None:
    ada, one = await member(board, invited=True), browser(board)
    for password, again, words in (
        ("shorty", "shorty", "Use at least 12 characters; this has 6."),
        ("password1234", "password1234", "Add another word or two"),
        ("grace example", "grace example", "little more than your name"),
        (PASSWORD, "different", "This is not the same password."),
        ("", "", "Use at least 12 characters"),
    ):
        answer = await one.post(f"/board/join/{ada.invitation}", {"password": password, "again": again})
        assert answer.status_code == 422
        assert words in text_of(answer.text)
        assert not password or f'value="{password}"' not in answer.text, "a password is not sent back"


@pytest.mark.parametrize("change", ["ended", "disabled", "wrong", "foreign"])
async def test_a_link_that_is_not_good_leads_nowhere(board: Service, change: str) -> None:
    ada = await member(board, invited=True)
    sql = {
        "ended": "UPDATE board_member SET invitation_expires_at = '2020-01-01 00:00:00'",
        "disabled": "UPDATE board_member SET status = 'disabled'",
    }.get(change)
    if sql:
        await board.database.write(lambda connection: connection.exec_driver_sql(sql))
    one = browser(board)
    token: Any = "w" * 200 if change == "wrong" else ada.invitation
    headers = {"origin": "https://evil.example"} if change == "foreign" else {}
    fields = {"password": PASSWORD, "again": PASSWORD}
    answer = await one.post(f"/board/join/{token}", fields, headers=headers)
    assert answer.status_code == (403 if change == "foreign" else 404)
    assert one.token == ""
    if change != "foreign":
        assert "no longer good" in text_of(answer.text)
