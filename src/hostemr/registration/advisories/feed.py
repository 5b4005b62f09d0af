"""The feed of advisories (Atom, RFC 4287)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from hostemr.registration.advisories.store import FullAdvisory
from hostemr.registration.advisories.web_text import web_html
from hostemr.registration.advisories.wording import concerns, severity_words

ATOM = "http://www.w3.org/2005/Atom"
MEDIA_TYPE = "application/atom+xml"
PATH = "/advisories.atom"
TITLE = "OpenEMR security advisories"
AUTHOR = "OEMR"
LONGEST_CONTENTS = 65_536
"""In characters; longer ones are read on their page, so that fifty of them make no feed of many megabytes."""

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def feed(advisories: Sequence[FullAdvisory], base_url: str) -> bytes:
    """The document. Every address in it is made of `base_url`. May take seconds: not for an event loop.

    Without any advisory it says to have been updated in 1970: RFC 4287, 4.1.1 wants a moment.
    """
    root = ET.Element("feed", {"xmlns": ATOM, "xml:lang": "en"})
    _add(root, "id", uuid.uuid5(uuid.NAMESPACE_URL, f"{base_url}{PATH}").urn)
    _add(root, "title", TITLE)
    _add(root, "subtitle", "What OEMR has sent about security holes of OpenEMR, and the versions that close them.")
    _add(root, "updated", _moment(advisories[0].sent_at if advisories else _NEVER))
    _add(ET.SubElement(root, "author"), "name", AUTHOR)
    _link(root, "self", f"{base_url}{PATH}", MEDIA_TYPE)
    _link(root, "alternate", f"{base_url}/advisories", "text/html")
    for advisory in advisories:
        _entry(root, advisory, f"{base_url}/advisories/{advisory.uuid}")
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _entry(root: ET.Element, advisory: FullAdvisory, address: str) -> None:
    entry = ET.SubElement(root, "entry")
    _add(entry, "id", f"urn:uuid:{advisory.uuid}")
    _add(entry, "title", advisory.title)
    _add(entry, "published", _moment(advisory.sent_at))
    _add(entry, "updated", _moment(advisory.sent_at))
    _link(entry, "alternate", address, "text/html")
    if advisory.severity:
        label = severity_words(advisory.severity)
        ET.SubElement(entry, "category", {"term": advisory.severity, "label": label})
    _add(entry, "summary", concerns(advisory))
    if len(advisory.contents) <= LONGEST_CONTENTS:
        _add(entry, "content", web_html(advisory.contents, advisory.format), type="html")


def _add(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _link(parent: ET.Element, relation: str, address: str, media_type: str) -> None:
    ET.SubElement(parent, "link", {"rel": relation, "type": media_type, "href": address})


def _moment(at: datetime) -> str:
    """RFC 3339, as RFC 4287, 3.3 wants it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
