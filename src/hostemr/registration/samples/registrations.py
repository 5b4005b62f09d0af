"""Invented addresses, installations and usage reports. Every address is of a domain that RFC 2606 reserves."""

from __future__ import annotations

import hashlib
import json
import uuid
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hostemr.registration.installations.version import Version

ADDRESSES = 3000
SITES = 240
SEED = 2008
"""Of every choice; the moments follow from when the samples are made."""
FIRST = datetime(2017, 2, 1, tzinfo=UTC)

RELEASES = (
    (datetime(2017, 2, 1, tzinfo=UTC), None),
    (datetime(2019, 8, 15, tzinfo=UTC), "5.0.2"),
    (datetime(2021, 1, 10, tzinfo=UTC), "6.0.0"),
    (datetime(2022, 3, 20, tzinfo=UTC), "6.1.0"),
    (datetime(2022, 11, 25, tzinfo=UTC), "7.0.0"),
    (datetime(2023, 5, 1, tzinfo=UTC), "7.0.1"),
    (datetime(2023, 11, 12, tzinfo=UTC), "7.0.2"),
    (datetime(2025, 2, 10, tzinfo=UTC), "7.0.3"),
    (datetime(2025, 12, 1, tzinfo=UTC), "7.0.4"),
    (datetime(2026, 5, 1, tzinfo=UTC), "8.0.0"),
)
"""When a version began to be registered, roughly; clients before 5.0.2 do not say theirs."""
PATCHES = ("", "", "", " (1)", " (2)")
DISTRIBUTIONS = ("Docker", "Ubuntu package", "AWS Express", "AWS Standard", "XAMPP", "Virtual appliance", "Kubernetes")
DISTRIBUTION_WEIGHTS = (34, 20, 12, 9, 8, 5, 3)
KINDS = ("clinic", "practice", "hospital", "health-centre", "dental", "physio", "paediatrics", "midwives", "eye-care")
PLACES = ("north", "south", "east", "west", "riverside", "hillside", "lakeside", "harbour", "valley", "old-town")
PEOPLE = ("admin", "it", "office", "records", "support", "info", "helpdesk", "manager")
DOMAINS = ("example.org", "example.com", "example.net")
COUNTRIES = (
    ("US", "America/New_York", "en_US"),
    ("IN", "Asia/Kolkata", "en_IN"),
    ("KE", "Africa/Nairobi", "en_KE"),
    ("DE", "Europe/Berlin", "de_DE"),
    ("BR", "America/Sao_Paulo", "pt_BR"),
    ("PH", "Asia/Manila", "fil_PH"),
)
USED = (
    ("Messages", "/interface/main/messages/messages.php"),
    ("Calendar", "/interface/main/main_info.php"),
    ("Patient finder", "/interface/main/finder/dynamic_finder.php"),
    ("Visit", "/interface/patient_file/encounter/encounter_top.php"),
    ("Portal", "/interface/patient_file/summary/create_portallogin.php"),
    ("Reports", "/interface/reports/appointments_report.php"),
)


@dataclass(frozen=True, slots=True)
class Registered:
    """An address with the columns of its row, and those of its installations."""

    row: dict[str, Any]
    installations: tuple[dict[str, Any], ...]

    @property
    def at(self) -> datetime:
        """When it was registered for the first time."""
        moment: datetime = self.row["created_at"]
        return moment


def registrations(random: Random, now: datetime) -> list[Registered]:
    """All of them, by the moment of their registration: more in each year, up to now."""
    span = (now - FIRST).total_seconds()
    moments = sorted(FIRST + timedelta(seconds=span * random.random() ** 0.55) for _ in range(ADDRESSES))
    addresses = _addresses(random)
    return [_registered(random, next(addresses), at, now) for at in moments]


def _addresses(random: Random) -> Iterator[str]:
    known: set[str] = set()
    while True:
        name = f"{random.choice(PLACES)}-{random.choice(KINDS)}"
        number = random.choice(("", f"-{random.randrange(2, 40)}"))
        own_domain = random.random() < 0.5
        address = (
            f"{random.choice(PEOPLE)}@{name}{number}.example"
            if own_domain
            else f"{random.choice(PEOPLE)}.{name}{number}@{random.choice(DOMAINS)}"
        )
        if address not in known:
            known.add(address)
            yield address


def _registered(random: Random, address: str, at: datetime, now: datetime) -> Registered:
    moments = [at]
    while random.random() < 0.24:
        moments.append(moments[-1] + timedelta(days=random.randrange(20, 600), seconds=random.randrange(80_000)))
    installations = tuple(_installation(random, one) for one in moments if one < now)
    last = installations[-1]["last_seen_at"]
    row = {
        "token": random.randbytes(16).hex(),
        "email": address,
        "email_key": address,
        "status": "active",
        "source": "import" if at.year < 2025 else "registration",
        "created_at": at,
        "last_seen_at": last,
    }
    return Registered(row, installations)


def _installation(random: Random, at: datetime) -> dict[str, Any]:
    newest = bisect_right([since for since, _ in RELEASES], at) - 1
    # Most install the newest, some what they have at hand.
    text = RELEASES[max(newest - random.choice((0, 0, 0, 0, 1, 1, 2)), 0)][1]
    text = text and text + random.choice(PATCHES)
    version = Version.parse(text) if text else None
    distribution = random.choices(DISTRIBUTIONS, DISTRIBUTION_WEIGHTS)[0] if text and random.random() < 0.55 else None
    return {
        "product_id": str(uuid.UUID(bytes=random.randbytes(16), version=4)),
        "version": text,
        "version_order": version.order if version else None,
        "distribution": distribution,
        "first_seen_at": at,
        "last_seen_at": at,
    }


def usage(random: Random, now: datetime) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of `usage_site` and of `usage_record`: installations of 7.0.4 and 8.0.0 that report every 33 days."""
    sites: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    for _ in range(SITES):
        name = str(uuid.UUID(bytes=random.randbytes(16), version=4))
        first = now - timedelta(days=random.randrange(5, 300), seconds=random.randrange(80_000))
        reports = (now - first).days // 33 + 1
        if random.random() < 0.18:
            # Some stop reporting: switched off, or replaced.
            reports = random.randint(1, reports)
        text = random.choices(("7.0.4", "8.0.0", "8.0.0 (1)"), (5, 4, 1))[0]
        version = Version.parse(text)
        country, zone, locale = random.choice(COUNTRIES)
        used = _records(random, name, first, random.sample(USED, random.randrange(2, len(USED) + 1)))
        records += used
        sites.append(
            {
                "site_id": name,
                "version": text,
                "version_order": version.order if version else None,
                "distribution": random.choices(DISTRIBUTIONS, DISTRIBUTION_WEIGHTS)[0],
                "locale": locale,
                "time_zone": zone,
                "environment": "Linux",
                "country": country,
                "reporting_interval": f"{first:%Y%m}",
                "settings": json.dumps({"portal_enabled": random.random() < 0.4}),
                "reports": reports,
                "records": len(used),
                "first_seen_at": first,
                "last_seen_at": first + timedelta(days=33 * (reports - 1)),
            }
        )
    return sites, records


def _records(random: Random, site: str, first: datetime, used: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    began = f"{first:%Y-%m-%d %H:%M:%S}"
    return [
        {
            "site_id": site,
            "event_key": hashlib.sha256(f"{label}{url}{began}".encode()).hexdigest(),
            "event_type": "click",
            "event_label": label,
            "event_url": url,
            "event_target": "main",
            "first_event": began,
            "last_event": began,
            "count": random.randrange(1, 4000),
        }
        for label, url in used
    ]
