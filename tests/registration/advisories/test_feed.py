"""The feed against RFC 4287."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest

from hostemr.registration.advisories.feed import ATOM, LONGEST_CONTENTS
from hostemr.registration.advisories.store import IN_FEED
from tests.registration.advisories.sent import send
from tests.registration.conftest import NewService, Service

pytestmark = pytest.mark.anyio
BASE_URL = "https://register.example.org"
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
FEED = {"author", "category", "contributor", "generator", "icon", "id", "link", "logo", "rights", "subtitle", "title"}
FEED |= {"updated", "entry"}
ENTRY = {"author", "category", "content", "contributor", "id", "link", "published", "rights", "source", "summary"}
ENTRY |= {"title", "updated"}


def name_of(element: ET.Element) -> str:
    namespace, _, name = element.tag.rpartition("}")
    assert namespace == f"{{{ATOM}"
    return name


def only(parent: ET.Element, name: str) -> ET.Element:
    found = parent.findall(f"{{{ATOM}}}{name}")
    assert len(found) == 1, (name, len(found))
    return found[0]


def check(parent: ET.Element, known: set[str]) -> None:
    """What RFC 4287, 4.1.1 and 4.1.2, asks of a feed and of an entry alike."""
    assert {name_of(child) for child in parent} <= known
    identity = only(parent, "id").text or ""
    # 4.2.6: an absolute IRI.
    assert urlsplit(identity).scheme
    assert (only(parent, "title").text or "").strip()
    assert RFC_3339.fullmatch(only(parent, "updated").text or "")
    links = [link.attrib for link in parent.findall(f"{{{ATOM}}}link")]
    assert all(urlsplit(link["href"]).scheme == "https" for link in links)
    # 4.1.1: at most one alternate of the same type and language.
    assert len([link for link in links if link["rel"] == "alternate"]) == 1


def checked(document: bytes) -> tuple[ET.Element, list[ET.Element]]:
    """The feed and its entries, held against the RFC."""
    feed = ET.fromstring(document)
    assert feed.tag == f"{{{ATOM}}}feed"
    check(feed, FEED)
    assert only(only(feed, "author"), "name").text == "OEMR"
    assert [link.get("href") for link in feed.findall(f"{{{ATOM}}}link") if link.get("rel") == "self"] == [
        f"{BASE_URL}/advisories.atom"
    ]
    entries = feed.findall(f"{{{ATOM}}}entry")
    for entry in entries:
        check(entry, ENTRY)
        content = entry.findall(f"{{{ATOM}}}content")
        assert [one.get("type") for one in content] in ([], ["html"])
        assert all(len(one) == 0 for one in content)
        for category in entry.findall(f"{{{ATOM}}}category"):
            assert category.get("term")
    identities = [only(entry, "id").text for entry in entries]
    assert len(set(identities)) == len(identities)
    return feed, entries


@pytest.fixture
async def service(new_service: NewService) -> Service:
    return await new_service(HOSTEMR_BASE_URL=BASE_URL)


async def test_an_empty_feed_is_a_feed(service: Service) -> None:
    reply = await service.get("/advisories.atom")
    assert reply.headers["content-type"] == "application/atom+xml"
    _, entries = checked(reply.content)
    assert entries == []


async def test_the_feed_has_the_newest_fifty_first(service: Service) -> None:
    sent = [await send(service, day=day, title=f"Number {day}") for day in range(IN_FEED + 3)]
    feed, entries = checked((await service.get("/advisories.atom")).content)
    assert [only(entry, "id").text for entry in entries] == [f"urn:uuid:{name}" for name in sent[:2:-1]]
    moments = [datetime.fromisoformat(only(entry, "updated").text or "") for entry in entries]
    assert moments == sorted(moments, reverse=True)
    assert only(feed, "updated").text == only(entries[0], "updated").text
    assert only(entries[0], "link").get("href") == f"{BASE_URL}/advisories/{sent[-1]}"


async def test_texts_that_are_no_xml_reach_readers_whole(service: Service) -> None:
    title = 'Release <7.0.3> & "more" ]]> \N{GREEK SMALL LETTER ALPHA}\ufffe'
    await send(service, title=title, contents="**Act** now & read <this> ]]>\ufffe", format="markdown")
    _, entries = checked((await service.get("/advisories.atom")).content)
    assert only(entries[0], "title").text == title.replace("\ufffe", "\N{REPLACEMENT CHARACTER}")
    assert "<strong>Act</strong> now &amp; read &lt;this&gt; ]]&gt;" in (only(entries[0], "content").text or "")


async def test_an_entry_tells_whom_it_concerns(service: Service) -> None:
    await send(service, severity="critical", fixed_version="7.0.3")
    await send(service, day=1, severity=None, fixed_version=None)
    _, (plain, critical) = checked((await service.get("/advisories.atom")).content)
    assert only(critical, "summary").text == (
        "Severity: critical. Concerns OpenEMR before 7.0.3, which closes the hole."
    )
    assert only(critical, "category").get("term") == "critical"
    assert only(plain, "summary").text == "Sent to everyone on 11 January 2026."


async def test_a_very_long_advisory_is_read_on_its_page(service: Service) -> None:
    name = await send(service, contents="word " * (LONGEST_CONTENTS // 5 + 1))
    _, (entry,) = checked((await service.get("/advisories.atom")).content)
    assert entry.find(f"{{{ATOM}}}content") is None
    assert only(entry, "link").get("href") == f"{BASE_URL}/advisories/{name}"
