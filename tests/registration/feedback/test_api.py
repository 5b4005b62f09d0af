"""Opting out and back in: by one click, by a mail program, never by looking."""

from __future__ import annotations

import re

import pytest

from tests.registration.conftest import NewService, Service
from tests.registration.feedback.subscribers import ADDRESS, change, confirmations, registered, status_of

pytestmark = pytest.mark.anyio

STOPPED = "SELECT status, security_opted_out_at IS NOT NULL, news_opted_out_at IS NOT NULL FROM subscriber"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
BODIES = [
    {"data": ONE_CLICK},
    {"files": {"List-Unsubscribe": (None, "One-Click")}},
    {},
    {"json": {"anything": 1}},
    {"content": b"\xff", "headers": {"content-type": "text/plain"}},
]


def buttons(page: str) -> list[str]:
    return re.findall(r"<button[^>]*>([^<]*)</button>", page)


@pytest.mark.parametrize(
    "path", ["/unsubscribe/{}", "/unsubscribe/{}/security", "/unsubscribe/{}/news", "/subscribe/{}"]
)
@pytest.mark.parametrize("status", ["active", "opted_out"])
async def test_looking_changes_nothing(service: Service, path: str, status: str) -> None:
    token = await registered(service)
    await change(service, status=status)
    before = await service.rows("SELECT * FROM subscriber")
    for method in ("GET", "HEAD", "GET"):
        reply = await service._client.request(method, path.format(token))
        assert reply.status_code == 200
        assert reply.headers["cache-control"] == "no-store"
        assert ADDRESS.partition("@")[0] not in reply.text, "the link can have been forwarded"
        assert "set-cookie" not in reply.headers
    assert await service.rows("SELECT * FROM subscriber") == before


@pytest.mark.parametrize("options", BODIES)
async def test_one_click_stops_everything_and_again_is_no_error(service: Service, options: dict[str, object]) -> None:
    token = await registered(service)
    for _ in range(2):
        reply = await service.post(f"/unsubscribe/{token}", **options)
        assert reply.status_code == 200
        assert "Unsubscribed" in reply.text
        assert "set-cookie" not in reply.headers
    assert await status_of(service) == "opted_out"
    assert service.metrics.opt_outs._value.get() == 1


@pytest.mark.parametrize("options", BODIES)
@pytest.mark.parametrize(("category", "stopped"), [("security", (1, 0)), ("news", (0, 1))])
async def test_one_click_stops_the_category_of_the_link(
    service: Service, options: dict[str, object], category: str, stopped: tuple[int, int]
) -> None:
    token = await registered(service)
    for _ in range(2):
        assert (await service.post(f"/unsubscribe/{token}/{category}", **options)).status_code == 200
    assert await service.rows(STOPPED) == [("active", *stopped)]
    assert service.metrics.opt_outs._value.get() == 1


@pytest.mark.parametrize(
    ("link", "button", "after"),
    [
        ("", "everything", ("opted_out", 0, 0)),
        ("", "news", ("active", 0, 1)),
        ("/news", "news", ("active", 0, 1)),
        ("/news", "everything", ("opted_out", 0, 0)),
        ("/security", "security", ("active", 1, 0)),
        ("/security", "everything", ("opted_out", 0, 0)),
    ],
)
async def test_each_button_does_what_it_says(
    service: Service, link: str, button: str, after: tuple[str, int, int]
) -> None:
    token = await registered(service)
    page = (await service.get(f"/unsubscribe/{token}{link}")).text
    assert f'name="stop" value="{button}"' in page
    assert (await service.post(f"/unsubscribe/{token}{link}", data={"stop": button})).status_code == 200
    assert await service.rows(STOPPED) == [after]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": {"stop": "advertising"}}, 400),
        ({"data": {"stop": ""}}, 400),
        (
            {"content": b"stop=news&stop=security", "headers": {"content-type": "application/x-www-form-urlencoded"}},
            400,
        ),
        ({"content": b"stop=%ff", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 400),
        ({"data": {"x": "y" * 5000}}, 413),
    ],
)
async def test_what_is_no_choice_is_refused(service: Service, options: dict[str, object], status: int) -> None:
    token = await registered(service)
    assert (await service.post(f"/unsubscribe/{token}/news", **options)).status_code == status
    assert await service.rows(STOPPED) == [("active", 0, 0)]


async def test_the_page_says_what_it_costs_and_what_is_left(service: Service) -> None:
    token = await registered(service)
    page = (await service.get(f"/unsubscribe/{token}/security")).text
    assert "known security hole" in page
    assert buttons(page) == ["Stop security advisories", "Stop all mail from OEMR"]
    await service.post(f"/unsubscribe/{token}/security")
    page = (await service.get(f"/unsubscribe/{token}/security")).text
    assert "Security advisories: stopped already" in page
    assert "News still comes" in page
    assert buttons(page) == ["Get mail again", "Stop all mail from OEMR"]
    page = (await service.get(f"/unsubscribe/{token}")).text
    assert buttons(page) == ["Stop all mail"]
    await service.post(f"/unsubscribe/{token}")
    for link in ("", "/news", "/security"):
        page = (await service.get(f"/unsubscribe/{token}{link}")).text
        assert "All mail: stopped already" in page
        assert buttons(page) == ["Get mail again"]
        assert f'action="/subscribe/{token}"' in page


@pytest.mark.parametrize("stopped", ["", "/news", "/security"])
async def test_mail_can_be_had_again(service: Service, stopped: str) -> None:
    token = await registered(service)
    await service.post(f"/unsubscribe/{token}{stopped}")
    await service.register(ADDRESS, version="8.0.0")
    assert await confirmations(service) == (0 if stopped else 1)
    assert buttons((await service.get(f"/subscribe/{token}")).text) == ["Get mail again"]
    for _ in range(2):
        assert "comes again" in (await service.post(f"/subscribe/{token}")).text
    assert await service.rows(STOPPED) == [("active", 0, 0)]
    assert await service.rows("SELECT opted_out_at FROM subscriber") == [(None,)]
    assert await confirmations(service) == 0
    assert buttons((await service.get(f"/subscribe/{token}")).text) == []


@pytest.mark.parametrize("status", ["complained", "bounced"])
async def test_a_complaint_or_a_bounce_is_not_undone_by_a_click(service: Service, status: str) -> None:
    token = await registered(service)
    await change(service, status=status)
    for path in (f"/subscribe/{token}", f"/unsubscribe/{token}", f"/unsubscribe/{token}/news"):
        page = (await service.get(path)).text
        assert "write to the OEMR board" in page
        assert buttons(page) == []
    refused = await service.post(f"/subscribe/{token}")
    assert refused.status_code == 409
    assert "write to the OEMR board" in refused.text
    for path in (f"/unsubscribe/{token}", f"/unsubscribe/{token}/security"):
        assert (await service.post(path)).status_code == 200, "a mail program is never refused"
    assert (await service.post(f"/subscribe/{token}")).status_code == 409
    assert await service.rows(STOPPED) == [(status, 1, 0)], "what they want is kept all the same"
    [(opted_out_at,)] = await service.rows("SELECT opted_out_at FROM subscriber")
    assert opted_out_at is not None


@pytest.mark.parametrize("token", ["0" * 32, "x", "%ff", "' OR 1=1 --", "A" * 32, "0" * 1500])
async def test_unknown_links(service: Service, token: str) -> None:
    await registered(service)
    for path in (f"/unsubscribe/{token}", f"/unsubscribe/{token}/news", f"/subscribe/{token}"):
        for reply in (await service.get(path), await service.post(path)):
            assert reply.status_code == 404
    assert await status_of(service) == "active"


@pytest.mark.parametrize("category", ["everything", "Security", "newsletter", "%00"])
async def test_unknown_categories_are_unknown_links(service: Service, category: str) -> None:
    token = await registered(service)
    for reply in (
        await service.get(f"/unsubscribe/{token}/{category}"),
        await service.post(f"/unsubscribe/{token}/{category}", data=ONE_CLICK),
    ):
        assert reply.status_code == 404
    assert await service.rows(STOPPED) == [("active", 0, 0)]


async def test_guessing_is_limited_and_opting_out_is_not(new_service: NewService) -> None:
    service = await new_service(HOSTEMR_RATE_LIMIT_UNSUBSCRIBE="3/minute")
    token = await registered(service)
    guesses = [await service.post(f"/unsubscribe/{number:032x}") for number in range(5)]
    assert [reply.status_code for reply in guesses] == [404] * 3 + [429] * 2
    assert (await service.get(f"/unsubscribe/{token}")).status_code == 429
    assert (await service.post(f"/unsubscribe/{token}/news", data=ONE_CLICK)).status_code == 200
    assert await service.rows(STOPPED) == [("active", 0, 1)]


async def test_pages_let_nothing_in_from_elsewhere(service: Service) -> None:
    reply = await service.get(f"/unsubscribe/{await registered(service)}")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert reply.headers["referrer-policy"] == "no-referrer", "the link is a secret"
    assert "script" not in reply.text
