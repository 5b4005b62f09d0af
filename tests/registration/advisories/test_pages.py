"""What the public reads: which advisories, in which order, and nothing that could do harm."""

from __future__ import annotations

import re

import pytest

from hostemr.registration.advisories.store import PAGE
from tests.registration.advisories.sent import BEGINNING, send
from tests.registration.conftest import NewService, Service
from tests.registration.console import text_of

pytestmark = pytest.mark.anyio
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'"


def shown(page: str) -> list[str]:
    """The names of the advisories that a page of the list links to, in its order."""
    return re.findall(r'href="/advisories/([0-9a-f-]{36})"', page)


async def test_without_an_advisory_the_page_says_what_will_stand_there(service: Service) -> None:
    reply = await service.get("/advisories")
    assert reply.status_code == 200
    assert "No advisory has been sent yet." in text_of(reply.text)


async def test_only_security_broadcasts_that_were_sent_and_are_published_are_public(service: Service) -> None:
    public = await send(service)
    hidden = [
        await send(service, category="news"),
        await send(service, published=0),
        await send(service, resend_of=1),
        *[
            await send(service, state=state, finished_at=None)
            for state in ("draft", "review", "approved", "queued", "sending", "paused")
        ],
        await send(service, state="cancelled"),
    ]
    assert shown((await service.get("/advisories")).text) == [public]
    assert (await service.get(f"/advisories/{public}")).status_code == 200
    feed = (await service.get("/advisories.atom")).text
    assert public in feed
    for name in hidden:
        reply = await service.get(f"/advisories/{name}")
        assert reply.status_code == 404
        assert "There is no such advisory" in text_of(reply.text)
        assert name not in feed


async def test_the_list_is_newest_first_and_every_advisory_is_on_exactly_one_page(service: Service) -> None:
    # Two sent at the same moment lie on the border between two pages.
    days = [day if day != PAGE else PAGE - 1 for day in range(2 * PAGE + 5)]
    sent = [await send(service, day=day, title=f"Number {number}") for number, day in enumerate(days)]
    seen: list[str] = []
    address = "/advisories"
    for _ in range(4):
        page = (await service.get(address)).text
        assert len(shown(page)) <= PAGE
        seen += shown(page)
        found = re.search(r'href="(/advisories\?after=[0-9a-f-]+)" rel="next"', page)
        if found is None:
            break
        address = found.group(1)
    assert seen == sent[::-1]


async def test_a_page_after_an_unknown_advisory_is_the_first(service: Service) -> None:
    name = await send(service)
    for after in ("nonsense", HOSTILE, "\N{SNOWMAN}", ""):
        reply = await service.get("/advisories", params={"after": after})
        assert shown(reply.text) == [name]
        assert "<script" not in reply.text
    assert (await service.get("/advisories/\N{SNOWMAN}")).status_code == 404


async def test_an_advisory_tells_severity_versions_and_day(service: Service) -> None:
    name = await send(service, severity="critical", fixed_version="7.0.3 (1)", contents="First.\n\n  Second\n  line.")
    page = text_of((await service.get(f"/advisories/{name}")).text)
    assert "Critical: act at once" in page
    assert "OpenEMR before 7.0.3 (1)" in page
    assert "10 January 2026" in page
    assert "unsubscribe" not in page.lower()


async def test_markup_in_an_advisory_does_nothing(service: Service) -> None:
    contents = f"Words. {HOSTILE} <iframe src='https://evil.example'></iframe> <a href='javascript:alert(1)'>x</a>"
    names = [
        await send(service, title=HOSTILE, contents=contents, format=content_format)
        for content_format in ("text", "markdown", "html")
    ]
    for address in ("/advisories", *(f"/advisories/{name}" for name in names)):
        reply = await service.get(address)
        assert "alert(1)" in text_of(reply.text)
        tags = re.findall(r"<\s*/?\s*([a-z0-9]+)([^>]*)>", reply.text)
        assert not {"script", "iframe", "img", "style", "object"} & {tag for tag, _ in tags}
        assert not [rest for _, rest in tags if re.search(r"\son\w+\s*=|javascript:", rest)]
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'")
        assert "unsafe" not in policy


async def test_the_host_that_was_asked_for_is_in_no_link(new_service: NewService) -> None:
    service = await new_service(HOSTEMR_BASE_URL="https://register.example.org")
    name = await send(service)
    for address in ("/", "/advisories", f"/advisories/{name}", "/advisories.atom"):
        reply = await service.get(address, headers={"host": "evil.example", "x-forwarded-host": "evil.example"})
        assert reply.status_code == 200
        assert "evil.example" not in reply.text
    assert (
        f'rel="canonical" href="https://register.example.org/advisories/{name}"'
        in (await service.get(f"/advisories/{name}")).text
    )


async def test_who_has_it_already_gets_no_second_copy(service: Service) -> None:
    name = await send(service)
    for address in ("/advisories", f"/advisories/{name}", "/advisories.atom"):
        first = await service.get(address)
        assert first.headers["cache-control"] == "public, max-age=300"
        tag = first.headers["etag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = await service.get(address, headers={"if-none-match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert (await service.get(address, headers={"if-none-match": '"other"'})).status_code == 200
    one = await service.get(f"/advisories/{name}")
    modified = one.headers["last-modified"]
    assert modified == BEGINNING.strftime("%a, %d %b %Y %H:%M:%S GMT")
    for date, status in ((modified, 304), ("Sat, 10 Jan 2026 08:29:59 GMT", 200), ("nonsense", 200)):
        assert (await service.get(f"/advisories/{name}", headers={"if-modified-since": date})).status_code == status


async def test_a_withdrawn_advisory_changes_the_list_for_who_has_it(service: Service) -> None:
    await send(service, day=2)
    withdrawn = await send(service, day=1)
    tags = {address: (await service.get(address)).headers["etag"] for address in ("/advisories", "/advisories.atom")}
    await service.database.write(
        lambda connection: connection.exec_driver_sql(f"UPDATE broadcast SET published = 0 WHERE uuid = '{withdrawn}'")
    )
    for address, tag in tags.items():
        reply = await service.get(address, headers={"if-none-match": tag})
        assert reply.status_code == 200
        assert withdrawn not in reply.text


async def test_the_front_page_leads_to_everything(service: Service) -> None:
    reply = await service.get("/")
    assert reply.status_code == 200
    for address in ("/advisories", "/advisories.atom", "/board", "/docs"):
        assert f'href="{address}"' in reply.text
    assert '<link rel="alternate" type="application/atom+xml"' in reply.text
