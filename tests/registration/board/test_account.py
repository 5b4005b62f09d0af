"""The account page: a member changes what they sign in with, after showing again that it is them."""

from __future__ import annotations

import re

import pytest

from hostemr.registration.board.account import browser_name
from tests.registration.board.authenticator import Authenticator
from tests.registration.board.browser import PASSWORD, Browser, Member, browser, hidden, member, options_of
from tests.registration.conftest import NewService, Service
from tests.registration.console import SETTINGS, text_of, visitor

pytestmark = pytest.mark.anyio
OTHER = "brass umbrella meadow 41 fox"


@pytest.fixture
async def board(new_service: NewService) -> Service:
    return await new_service(**SETTINGS)


async def forget_confirmation(service: Service) -> None:
    await service.database.write(
        lambda connection: connection.exec_driver_sql("UPDATE board_session SET confirmed_at = NULL")
    )


async def add_passkey(one: Browser, device: Authenticator, name: str) -> None:
    page = await one.get("/board/account/passkey")
    fields = {"assertion": device.create(options_of(page.text)), "name": name}
    added = await one.send(page, "/board/account/passkey", fields)
    assert added.status_code == 303, text_of(added.text)


async def test_a_new_password_ends_every_other_session(board: Service) -> None:
    grace = await member(board)
    one = await browser(board).signed_in(grace)
    other = await browser(board, "192.0.2.8").signed_in(grace)
    page = await one.get("/board/account/password")
    path = "/board/account/password"
    for fields, words in (
        ({"old_password": "wrong", "password": OTHER, "again": OTHER}, "This is not your password."),
        ({"old_password": PASSWORD, "password": "weak", "again": "weak"}, "at least 12 characters"),
        ({"old_password": PASSWORD, "password": OTHER, "again": "x"}, "not the same password"),
        ({"old_password": PASSWORD, "password": PASSWORD, "again": PASSWORD}, "the password that you have"),
    ):
        refused = await one.send(page, path, fields)
        assert refused.status_code == 422
        assert words in text_of(refused.text)
        assert OTHER not in refused.text
    done = await one.send(page, path, {"old_password": PASSWORD, "password": OTHER, "again": OTHER})
    assert done.status_code == 303
    assert "signed out in 1 other browser." in text_of((await one.get("/board/account")).text)
    assert (await other.get("/board/account")).status_code == 303
    assert (await browser(board).sign_in(grace)).status_code == 422, "the old password is no longer right"


async def test_a_change_asks_for_proof_keeps_the_fields_and_takes_each_kind_of_it(board: Service) -> None:
    grace = await member(board)
    one, device = await browser(board).signed_in(grace), Authenticator()
    await add_passkey(one, device, "phone")
    for kind in ("code", "recovery", "passkey"):
        await forget_confirmation(board)
        page = await one.get("/board/account")
        asked = await one.send(page, "/board/account/change", {"what": "password", "old_password": PASSWORD})
        assert "Confirm it is you" in text_of(asked.text)
        assert hidden(asked.text, "what") == "password"
        assert PASSWORD not in asked.text
        fields = {"what": "password", "proof": "yes"}
        for wrong in ({"code": "abcd-efgh-jkmn"}, {"assertion": "{}"}, {}):
            refused = await one.send(asked, "/board/account/change", {**fields, **wrong})
            assert refused.status_code == 422
            assert hidden(refused.text, "what") == "password"
        proof = {"code": grace.recovery[0]}
        if kind == "code":
            proof = {"code": grace.code()}
        elif kind == "passkey":
            proof = {"assertion": device.get(options_of(refused.text))}
        assert (await one.send(refused, "/board/account/change", {**fields, **proof})).status_code == 303, kind
        await forget_confirmation(board)
        again = await one.send(refused, "/board/account/change", {**fields, **proof})
        assert again.status_code == 422, "a proof counts once"


async def test_guesses_at_the_proof_are_slowed_down_and_the_form_is_kept(board: Service) -> None:
    one = await browser(board).signed_in(await member(board))
    page = await one.get("/board/account")
    await forget_confirmation(board)
    fields = {"what": "totp", "proof": "yes"}
    answers = [await one.send(page, "/board/account/change", {**fields, "code": f"22-{n}"}) for n in range(7)]
    assert [answer.status_code for answer in answers] == [422] * 7
    assert "Try again in" not in answers[4].text
    assert "Try again in" in text_of(answers[6].text)
    assert hidden(answers[6].text, "what") == "totp"


async def test_the_last_second_factor_stays(board: Service) -> None:
    grace = await member(board)
    one = await browser(board).signed_in(grace)
    page = await one.get("/board/account")
    assert "Remove" not in text_of(page.text)
    refused = await one.send(page, "/board/account/totp/remove")
    assert refused.status_code == 422
    assert "your only second factor" in text_of(refused.text)
    await add_passkey(one, Authenticator(), '<i onmouseover="x">key</i>')
    page = await one.get("/board/account")
    assert "<i onmouse" not in page.text
    number = re.search(r"/board/account/passkey/(\d+)/remove", page.text)
    assert number
    assert (await one.send(page, "/board/account/totp/remove")).status_code == 303
    assert (await one.send(page, f"/board/account/passkey/{number[1]}/remove")).status_code == 422
    assert await board.rows("SELECT COUNT(*) FROM passkey") == [(1,)]
    assert await board.rows("SELECT totp_secret FROM board_member") == [(None,)]


async def test_another_app_and_new_recovery_codes_replace_the_old_ones(board: Service) -> None:
    grace = await member(board)
    one = await browser(board).signed_in(grace)
    ((before,),) = await board.rows("SELECT totp_secret FROM board_member")
    page = await one.get("/board/account/totp")
    shown = re.search(r'class="code">([A-Z2-7 ]+)<', page.text)
    assert shown
    path, offered = "/board/account/totp", hidden(page.text, "offered")
    assert (await one.send(page, path, {"offered": offered, "first_code": "1"})).status_code == 422
    fresh = Member(grace.id, grace.email, shown[1].replace(" ", ""), [])
    assert (await one.send(page, path, {"offered": offered, "first_code": fresh.code()})).status_code == 303
    ((after,),) = await board.rows("SELECT totp_secret FROM board_member")
    assert after != before
    codes = await one.send(page, "/board/account/recovery-codes")
    new = re.findall(r"<code>([^<]+)</code>", codes.text)
    assert len(set(new) - set(grace.recovery)) == 10
    assert await board.rows("SELECT COUNT(*) FROM recovery_code") == [(10,)]
    logged = [row[0] for row in await board.rows("SELECT action FROM audit_entry ORDER BY number")]
    assert logged == ["member.sign-in", "member.totp.add", "member.recovery-codes"]


async def test_a_member_sees_and_ends_only_their_own_sessions_and_passkeys(board: Service) -> None:
    grace, eve = await member(board), await visitor(board)
    one = await browser(board).signed_in(grace)
    two = await browser(board, "192.0.2.8").signed_in(grace)
    await add_passkey(one, Authenticator(), "phone")
    ((passkey_id,),) = await board.rows("SELECT id FROM passkey")
    sessions = dict(await board.rows("SELECT uuid, member_id FROM board_session"))
    theirs = next(uuid for uuid, owner in sessions.items() if owner == grace.id)
    for path, fields in (
        ("/board/account/sessions/end", {"session": theirs}),
        ("/board/account/sessions/end", {"session": "é"}),
        ("/board/account/sessions/end-others", {}),
        (f"/board/account/passkey/{passkey_id}/remove", {}),
        (f"/board/account/passkey/{passkey_id}/name", {"name": "mine"}),
        (f"/board/account/passkey/{10**30}/remove", {}),
    ):
        await eve.post(path, fields)
    assert await board.rows("SELECT name FROM passkey") == [("phone",)]
    assert (await two.get("/board/account")).status_code == 200

    page = await one.get("/board/account")
    assert "Firefox on Linux" in text_of(page.text)
    other = hidden(page.text, "session")
    assert (await one.send(page, "/board/account/sessions/end", {"session": other})).status_code == 303
    assert (await two.get("/board/account")).status_code == 303
    renamed = await one.send(page, f"/board/account/passkey/{passkey_id}/name", {"name": "  red   key "})
    assert renamed.status_code == 303
    assert await board.rows("SELECT name FROM passkey") == [("red key",)]


async def test_no_form_of_the_account_is_taken_from_elsewhere(board: Service) -> None:
    ada = await visitor(board)
    for path in ("password", "totp", "totp/remove", "passkey", "recovery-codes", "sessions/end", "change"):
        assert (await ada.client.post(f"/board/account/{path}", data={"what": "totp"})).status_code == 403, path
        foreign = await ada.post(f"/board/account/{path}", headers={"origin": "https://evil.example"})
        assert foreign.status_code == 403, path


def test_browsers_are_called_as_people_call_them() -> None:
    webkit = "AppleWebKit/537.36 (KHTML, like Gecko)"
    windows = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/142.0.0.0 Safari/537.36"
    assert browser_name(windows) == "Chrome on Windows"
    assert browser_name(f"{windows} Edg/142.0.0.0") == "Edge on Windows"
    phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1"
    assert browser_name(phone) == "Safari on iPhone"
    assert browser_name("curl/8") == "curl/8"
    assert browser_name("") == "a browser that does not say what it is"
