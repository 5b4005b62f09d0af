"""What somebody typed to find registrations: the filters of the list, and the one box that takes anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from hostemr.registration.installations.address import InvalidEmail, parse_address
from hostemr.registration.installations.detail import LARGEST_NUMBER
from hostemr.registration.installations.listing import STATES, Filter
from hostemr.registration.installations.version import Version

RELATIONS = ("", "is", "older", "unknown")
STATE_NAMES = {
    "mail": "Gets mail",
    "opted_out": "Opted out of all mail",
    "no_security": "Opted out of security advisories only",
    "no_news": "Opted out of news only",
    "bounced": "Mail bounces",
    "complained": "Complained of our mail",
}
LONGEST = 254


@dataclass(frozen=True, slots=True)
class FilterForm:
    """The fields as they were typed, what they mean, and what is wrong with each of them."""

    typed: Mapping[str, str]
    chosen: Filter
    problems: Mapping[str, str] = field(default_factory=dict)

    @property
    def query(self) -> str:
        """The fields for a link, those that are empty left out."""
        return urlencode({name: value for name, value in self.typed.items() if value})

    @property
    def words(self) -> str:
        """The filter for the audit log; it names no address."""
        return ", ".join(f"{name}={value}" for name, value in self.typed.items() if value) or "all"


def read_filter(fields: Mapping[str, str]) -> FilterForm:
    """The filter that was chosen. What cannot be understood is a problem, and filters nothing."""
    typed = {
        name: fields.get(name, "").strip()[:LONGEST]
        for name in ("state", "relation", "version", "distribution", "domain")
    }
    problems: dict[str, str] = {}
    values: dict[str, Any] = {"distribution": typed["distribution"] or None}
    if typed["state"] in STATES:
        values["state"] = typed["state"]
    elif typed["state"]:
        problems["state"] = "Choose one of the list."
    relation = typed["relation"]
    if relation not in RELATIONS:
        problems["relation"] = "Choose one of the list."
    elif relation == "unknown":
        values["unknown_version"] = True
    elif typed["version"]:
        version = Version.parse(typed["version"])
        if version is None:
            problems["version"] = "Write a version as OpenEMR does, such as 7.0.3 or 7.0.3 (1)."
        else:
            values["older" if relation == "older" else "version"] = version.order
    elif relation:
        problems["version"] = "Write the version, such as 7.0.3, or choose any version."
    if typed["domain"]:
        values["domain"] = _domain(typed["domain"])
        if values["domain"] is None:
            problems["domain"] = "This is no domain. Write it as in example.org."
    return FilterForm(typed, Filter() if problems else Filter(**values), problems)


def _domain(text: str) -> str | None:
    try:
        return parse_address(f"somebody@{text.removeprefix('@')}").domain
    except InvalidEmail:
        return None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the box asks for: exactly one of these, or a `problem`."""

    number: int | None = None
    product_id: str | None = None
    domain: str | None = None
    address: str | None = None
    beginning: str | None = None
    problem: str | None = None


def read_box(text: str, *, addresses: bool) -> Wanted:
    """What to look for. `addresses` is whether who asks may see addresses: guessing would show them bit by bit."""
    text = text.strip()
    if not text or len(text) > LONGEST:
        return Wanted(problem="Write what to look for, at most 254 characters.")
    named = _named(text)
    if named is not None:
        return named
    if not addresses:
        return Wanted(problem="Your role sees shortened addresses, so look for a number, a product id or an @domain.")
    return _address(text)


def _named(text: str) -> Wanted | None:
    if re.fullmatch(r"#?[0-9]{1,19}", text):
        return Wanted(number=min(int(text.removeprefix("#")), LARGEST_NUMBER))
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        return Wanted(product_id=str(UUID(text)))
    if not text.startswith("@"):
        return None
    domain = _domain(text)
    return Wanted(domain=domain) if domain else Wanted(problem="This is no domain. Write it as in @example.org.")


def _address(text: str) -> Wanted:
    key: str | None = None
    if "@" in text:
        try:
            key = parse_address(text).key
        except InvalidEmail:
            # The beginning of one, perhaps: admin@clin.
            key = None
    if key is None and not text.isascii():
        return Wanted(problem="No address begins like this: they have plain letters, digits and signs before the @.")
    return Wanted(address=key, beginning=text if text.isascii() else None)
