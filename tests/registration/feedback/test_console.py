"""The suppression page: who gets no mail and why, and whether one address would get any."""

from __future__ import annotations

import re

import pytest

from tests.registration.conftest import NewService, Service
from tests.registration.console import SETTINGS, Visitor, text_of, visitor
from tests.registration.feedback.subscribers import erase
from tests.registration.installations.rows import NOON, add

pytestmark = pytest.mark.anyio

PLACE = "/board/suppression"


@pytest.fixture
async def service(new_service: NewService) -> Service:
    return await new_service(**SETTINGS)


@pytest.fixture
async def ada(service: Service) -> Visitor:
    return await visitor(service)


def counts_of(page: str) -> dict[str, int]:
    return {
        title: int(number)
        for title, number in re.findall(
            r'<th scope="row">(?:<a [^>]*>)?([^<]+).*?<td class="number">(\d+)</td>', page, re.DOTALL
        )
    }


async def everyone(service: Service) -> dict[str, int]:
    return {
        "active": await add(service, "active@example.org"),
        "opted_out": await add(service, "out@example.org", status="opted_out"),
        "both": await add(service, "both@example.org", news_opted_out_at=NOON, security_opted_out_at=NOON),
        "no_news": await add(service, "news@example.org", news_opted_out_at=NOON),
        "no_security": await add(service, "security@example.org", security_opted_out_at=NOON),
        "hard": await add(service, "hard@example.org", status="bounced"),
        "soft": await add(service, "soft@example.org", status="bounced", soft_bounces=3),
        "complained": await add(service, "spam@example.org", status="complained", news_opted_out_at=NOON),
    }


async def test_each_reason_has_its_number_and_its_list(service: Service, ada: Visitor) -> None:
    numbers = await everyone(service)
    await add(service, "gone@example.org", status="complained")
    await erase(service, "gone@example.org")
    await add(service, "forgotten@example.org")
    await erase(service, "forgotten@example.org")
    page = await ada.get(PLACE)
    assert counts_of(page.text) == {
        "Opted out of all mail": 2,
        "Opted out of security advisories": 1,
        "Opted out of news": 1,
        "No such address": 1,
        "Not delivered several times": 1,
        "Complained": 1,
        "Erased": 1,
    }
    lists = {"opted_out": ("both", "opted_out")} | {
        name: (name,) for name in ("no_news", "no_security", "hard", "soft", "complained")
    }
    for reason, members in lists.items():
        shown = (await ada.get(f"{PLACE}?reason={reason}")).text
        found = [int(number) for number in re.findall(r'href="/board/registrations/(\d+)"', shown)]
        assert found == [numbers[name] for name in members], reason
    assert "/board/registrations/" not in re.sub('href="/board/registrations"', "", page.text)


async def test_an_unknown_reason_or_page_shows_no_list(ada: Visitor) -> None:
    for query in ("reason=nonsense", "reason=hard&before=x", f"reason=hard&before={'9' * 30}"):
        page = await ada.get(f"{PLACE}?{query}")
        assert page.status_code == 200
    assert "Nobody" in text_of((await ada.get(f"{PLACE}?reason=hard")).text)


async def test_one_address_is_checked(service: Service, ada: Visitor) -> None:
    await everyone(service)
    for email, answer in (
        ("active@example.org", "Yes, it gets all mail"),
        ("ACTIVE@example.org", "Yes, it gets all mail"),
        ("out@example.org", "No, it gets no mail"),
        ("both@example.org", "No, it gets no mail"),
        ("news@example.org", "security advisories, but no news"),
        ("security@example.org", "news, but no security advisories"),
        ("soft@example.org", "No, it gets no mail"),
        ("nobody@example.org", "Nothing is known of this address"),
    ):
        page = await ada.post(f"{PLACE}/check", {"address": email})
        assert page.status_code == 200
        assert answer in text_of(page.text)
        assert f'value="{email}"' in page.text


async def test_an_erased_address_is_recognised_by_its_hash(service: Service, ada: Visitor) -> None:
    await everyone(service)
    for email in ("out@example.org", "both@example.org", "news@example.org", "active@example.org"):
        await erase(service, email)
    expected = {"out": "opted out", "both": "opted out", "news": "no news"}
    for name, badge in expected.items():
        shown = text_of((await ada.post(f"{PLACE}/check", {"address": f"{name}@example.org"})).text)
        assert "It was erased on" in shown
        assert f"because of what held before: {badge}" in shown
    shown = text_of((await ada.post(f"{PLACE}/check", {"address": "active@example.org"})).text)
    assert "Nothing is known" in shown


async def test_what_is_no_address_is_explained_and_kept(ada: Visitor) -> None:
    page = await ada.post(f"{PLACE}/check", {"address": '"><script>x</script>'})
    assert page.status_code == 422
    assert 'id="address-problem"' in page.text
    assert "<script>x" not in page.text


async def test_a_viewer_cannot_ask_who_is_registered(service: Service) -> None:
    await everyone(service)
    viewer = await visitor(service, "viewer")
    page = await viewer.get(f"{PLACE}?reason=hard")
    assert "hard@" not in page.text
    assert "h…@example.org" in page.text
    assert f"{PLACE}/check" not in page.text
    assert (await viewer.post(f"{PLACE}/check", {"address": "hard@example.org"})).status_code == 403
