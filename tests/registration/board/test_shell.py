"""What stands around every page of the console, attacked: where a request comes from, whose it is, what it may."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from hostemr.registration.app import create_app
from hostemr.registration.board.shell import HOME, own_place
from hostemr.registration.schema import board_member, board_session
from tests.registration.conftest import NewService, Service
from tests.registration.console import BASE_URL, SETTINGS, Visitor, text_of, visitor

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(new_service: NewService) -> Service:
    return await new_service(**SETTINGS)


def stranger(service: Service, **headers: str) -> httpx.AsyncClient:
    """A browser without a session."""
    transport = httpx.ASGITransport(create_app(service.settings, service.database), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers)


async def sign_out(ada: Visitor, **options: Any) -> httpx.Response:
    return await ada.post("/board/sign-out", **options)


async def test_who_is_not_signed_in_is_led_to_the_sign_in_page(service: Service) -> None:
    async with stranger(service) as client:
        answer = await client.get("/board/settings")
    assert (answer.status_code, answer.headers["location"]) == (303, "/board/sign-in?to=%2Fboard%2Fsettings")


async def test_a_part_of_a_page_sends_the_whole_page_to_sign_in(service: Service) -> None:
    async with stranger(service, **{"hx-request": "true"}) as client:
        answer = await client.get("/board/settings")
    assert answer.headers["hx-redirect"] == "/board/sign-in?to=%2Fboard%2Fsettings"


async def test_after_signing_in_again_the_whole_page_comes_and_not_the_part_that_asked(service: Service) -> None:
    headers = {"hx-request": "true", "hx-current-url": f"{BASE_URL}/board/broadcasts/1-2/progress#main"}
    async with stranger(service) as client:
        part = "/board/broadcasts/1-2/progress/part?seen=first"
        answer = await client.get(part, headers=headers)
        assert answer.headers["hx-redirect"] == "/board/sign-in?to=%2Fboard%2Fbroadcasts%2F1-2%2Fprogress"
        for place in (
            "https://evil.example/board",
            f"{BASE_URL}//evil.example",
            f"{BASE_URL}.evil.example/",
            "http://[",
        ):
            answer = await client.get(part, headers={**headers, "hx-current-url": place})
            assert "evil" not in answer.headers["hx-redirect"]


async def test_a_page_that_asks_by_itself_does_not_keep_a_session_alive(service: Service) -> None:
    ada = await visitor(service)
    long_ago = datetime.now(UTC) - timedelta(minutes=50)

    async def seen_again(**headers: str) -> bool:
        await service.database.write(
            lambda connection: connection.execute(update(board_session).values(seen_at=long_ago))
        )
        assert (await ada.get("/board/settings", headers=headers)).status_code == 200
        async with service.database.read() as connection:
            seen = (await connection.scalars(select(board_session.c.seen_at))).one()
        return bool(seen > long_ago + timedelta(minutes=1))

    assert not await seen_again(**{"hx-request": "true"})
    assert await seen_again()


@pytest.mark.parametrize("base_url", ["https://Board.TEST", "https://board.test:443"])
async def test_an_address_that_browsers_write_otherwise_is_the_console_s_all_the_same(
    new_service: NewService, base_url: str
) -> None:
    service = await new_service(HOSTEMR_BASE_URL=base_url)
    ada = await visitor(service)
    assert (await ada.post("/board/account/sessions/end-others")).status_code == 303
    assert (await ada.get("/board/settings", headers={"host": "board.test:8443"})).status_code == 400


@pytest.mark.parametrize("path", ["/board/people/", "/board/registrations/"])
async def test_an_endless_address_is_refused_rather_than_read(service: Service, path: str) -> None:
    async with stranger(service) as client:
        assert (await client.get(path + "9" * 5000)).status_code == 414
        assert (await client.get(path + "9" * 100)).status_code == 303


@pytest.mark.parametrize("host", ["evil.example", "board.test.evil.example", "board.test:8443", ""])
async def test_another_host_is_refused_and_never_answered_with(service: Service, host: str) -> None:
    ada = await visitor(service)
    answer = await ada.get("/board/settings", headers={"host": host})
    assert answer.status_code == 400
    assert "evil" not in answer.text
    assert BASE_URL in answer.text, "the page says where the console is"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://board.test"},
        {"origin": "https://board.test.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
async def test_a_form_of_another_site_is_refused(service: Service, headers: dict[str, str]) -> None:
    ada = await visitor(service)
    answer = await sign_out(ada, headers=headers)
    assert answer.status_code == 403
    assert (await ada.get("/board/settings")).status_code == 200, "the session goes on"


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
async def test_a_form_without_the_session_s_token_is_refused(service: Service, token: str) -> None:
    ada = await visitor(service)
    answer = await ada.post("/board/account/sessions/end-others", {"csrf": token})
    assert answer.status_code == 403
    assert "out of date" in text_of(answer.text)


async def test_the_token_of_another_session_is_no_good(service: Service) -> None:
    ada, eve = await visitor(service), await visitor(service)
    answer = await ada.post("/board/account/sessions/end-others", {"csrf": eve.csrf})
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/board/settings", "/board/nothing-here", "/board/sign-in"])
async def test_no_page_may_be_framed_scripted_or_cached(service: Service, path: str) -> None:
    ada = await visitor(service)
    async with stranger(service) as client:
        answer = await (client if path == "/board/sign-in" else ada).get(path)
    policy = answer.headers.get_list("content-security-policy")
    assert len(policy) == 1, "two policies would both count, and one be forgotten"
    assert "unsafe" not in policy[0]
    assert "frame-ancestors 'none'" in policy[0]
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/board/broadcasts/☃", "/board/registrations/☃", "/board/join/☃", "/board/☃"])
async def test_an_address_that_no_page_can_have_leads_to_no_page(service: Service, path: str) -> None:
    ada = await visitor(service)
    assert (await ada.get(path)).status_code == 404


async def test_no_page_has_a_script_or_a_style_of_its_own(service: Service) -> None:
    ada = await visitor(service)
    page = (await ada.get("/board/settings")).text
    assert not re.findall(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert all("src=" in script for script in re.findall(r"<script[^>]*>", page))


async def test_the_cookie_is_the_host_s_own_and_out_of_reach(service: Service) -> None:
    ada = await visitor(service)
    cookie = (await sign_out(ada)).headers["set-cookie"]
    assert cookie.startswith("__Host-board=")
    for attribute in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert attribute in cookie
    assert "Domain" not in cookie
    assert (await ada.get("/board/settings")).status_code == 303


@pytest.mark.parametrize(
    "change",
    [
        {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"seen_at": datetime.now(UTC) - timedelta(hours=2)},
        {"stage": "second-factor"},
        {"stage": "enrol"},
    ],
    ids=["expired", "idle", "second-factor", "enrol"],
)
async def test_a_session_that_has_ended_or_lacks_a_factor_opens_nothing(
    service: Service, change: dict[str, object]
) -> None:
    ada = await visitor(service)
    await service.database.write(lambda connection: connection.execute(update(board_session).values(change)))
    assert (await ada.get("/board/settings")).status_code == 303


async def test_a_disabled_member_is_out_at_once(service: Service) -> None:
    ada = await visitor(service)
    await service.database.write(lambda connection: connection.execute(update(board_member).values(status="disabled")))
    assert (await ada.get("/board/settings")).status_code == 303


async def test_what_has_consequences_asks_first_and_keeps_what_was_typed(service: Service) -> None:
    ada = await visitor(service, confirmed=False)
    await service.database.write(
        lambda connection: connection.execute(update(board_member).values(totp_secret="has an app"))
    )
    answer = await ada.post("/board/people", {"email": "new@board.example", "name": '"><b>New', "role": "author"})
    assert answer.status_code == 200
    assert "Confirm it is you" in answer.text
    assert 'value="new@board.example"' in answer.text
    assert "<b>New" not in answer.text
    assert await service.rows("SELECT count(*) FROM board_member") == [(1,)]


async def test_without_a_key_the_console_is_closed_and_registering_is_not(new_service: NewService) -> None:
    service = await new_service(**SETTINGS, HOSTEMR_SECRET_KEY="")
    async with stranger(service) as client:
        answer = await client.get("/board/sign-in")
    assert answer.status_code == 503
    assert "HOSTEMR_SECRET_KEY is not set" in text_of(answer.text)
    assert (await service.register("somebody@example.org")).status_code == 201


async def test_without_https_the_console_is_closed_except_on_this_machine(new_service: NewService) -> None:
    service = await new_service(HOSTEMR_BASE_URL="http://board.test")
    async with stranger(service) as client:
        answer = await client.get("/board/sign-in")
    assert answer.status_code == 503
    assert "not https" in text_of(answer.text)


@pytest.mark.parametrize(
    "place",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/board",
        "https:evil.example",
        "/board//evil.example",
        "/board/../evil",
        "/board\r\nlocation: https://evil.example",
        "/boarding",
        "/board/?to=//evil.example",
        "javascript:alert(1)",
        "",
    ],
)
def test_no_link_leads_out_of_the_console(place: str) -> None:
    assert own_place(place) == HOME


@pytest.mark.parametrize("place", ["/board", "/board/broadcasts", "/board/audit?member=3&before=20"])
def test_a_place_of_the_console_stays(place: str) -> None:
    assert own_place(place) == place
