"""A registration database of any size: ten years of installations as a product like OpenEMR gathers them.

The growth, the shares of versions and domains, and the shares of those who get no mail are assumptions,
made so that common and rare values both occur. The same number gives the same rows.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hostemr.registration.installations.version import Version

FIRST, LAST = datetime(2016, 11, 1, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
GROWTH = 0.6
"""The n-th of N registers after (n/N)^0.6 of the ten years, so each year has more than the year before."""
RELEASES = (
    # A client before 5.0.2 sent no version (facts of the client's contract).
    (datetime(2016, 11, 1, tzinfo=UTC), None),
    (datetime(2019, 8, 1, tzinfo=UTC), "5.0.2"),
    (datetime(2020, 6, 1, tzinfo=UTC), "5.0.2 (3)"),
    (datetime(2021, 4, 1, tzinfo=UTC), "6.0.0"),
    (datetime(2022, 3, 1, tzinfo=UTC), "6.1.0"),
    (datetime(2022, 11, 1, tzinfo=UTC), "7.0.0"),
    (datetime(2023, 5, 1, tzinfo=UTC), "7.0.1"),
    (datetime(2023, 11, 1, tzinfo=UTC), "7.0.2"),
    (datetime(2025, 1, 1, tzinfo=UTC), "7.0.3"),
    (datetime(2025, 12, 1, tzinfo=UTC), "7.0.4"),
    (datetime(2026, 6, 1, tzinfo=UTC), "8.0.0"),
)
DISTRIBUTIONS = {None: 60, "docker": 22, "aws-express": 9, "virtual-appliance": 6, "xampp": 3}
RARE_DISTRIBUTION, RARE_DOMAIN, RARE_VERSION = "raspberry-pi", "rare.example.org", "6.0.1-dev"
DOMAINS = {"gmail.com": 25, "yahoo.com": 8, "hotmail.com": 7, "": 60}
HOSTILE = ("=HYPERLINK(0)", "<script>alert(1)</script>")

SUBSCRIBER = (
    "id",
    "token",
    "email",
    "email_key",
    "status",
    "source",
    "created_at",
    "last_seen_at",
    "opted_out_at",
    "security_opted_out_at",
    "news_opted_out_at",
    "soft_bounces",
)
INSTALLATION = (
    "id",
    "product_id",
    "subscriber_id",
    "version",
    "version_order",
    "distribution",
    "client_hash",
    "client_hash_expires_at",
    "first_seen_at",
    "last_seen_at",
)

Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class Sample:
    """One registered address with its installations, as rows of SUBSCRIBER and INSTALLATION."""

    subscriber: tuple[Any, ...]
    installations: list[tuple[Any, ...]]


def samples(number: int) -> Iterator[Sample]:
    """The rows of `number` addresses, the oldest first."""
    chance = random.Random(number)
    next_installation = 1
    orders = {text: Version.parse(text) for _, text in RELEASES if text} | {RARE_VERSION: Version.parse(RARE_VERSION)}
    for identity in range(1, number + 1):
        at = FIRST + (LAST - FIRST) * (identity / number) ** GROWTH
        installations = []
        for turn in range(chance.choices((1, 2, 3, 6), (90, 6, 3, 1))[0]):
            seen = min(at + timedelta(days=200 * turn), LAST)
            version, distribution = _version(chance, seen), _one_of(chance, DISTRIBUTIONS)
            if identity % (number // 10 or 1) == 7:
                version, distribution = RARE_VERSION, RARE_DISTRIBUTION
            if chance.random() < 0.0001:
                version = distribution = chance.choice(HOSTILE)
            parsed = orders.get(version or "")
            installations.append(
                (
                    next_installation,
                    str(uuid.UUID(int=chance.getrandbits(128), version=4)),
                    identity,
                    version,
                    parsed.order if parsed else None,
                    distribution,
                    None,
                    None,
                    _time(seen),
                    _time(seen),
                )
            )
            next_installation += 1
        yield Sample(_subscriber(chance, identity, number, at), installations)


def _subscriber(chance: random.Random, identity: int, number: int, at: datetime) -> tuple[Any, ...]:
    domain = _one_of(chance, DOMAINS) or f"clinic{chance.randrange(number // 4 + 1)}.example.org"
    if identity % (number // 5 or 1) == 9:
        domain = RARE_DOMAIN
    email = f"{chance.choice(('admin', 'info', 'it', 'dr.'))}{identity}@{domain}"
    state = chance.random()
    later = _time(min(at + timedelta(days=300), LAST))
    status, out, security, news, soft = "active", None, None, None, 0
    if state < 0.03:
        status, out = "opted_out", later
    elif state < 0.09:
        status, soft = "bounced", 3 if state < 0.035 else 0
    elif state < 0.0904:
        status = "complained"
    elif state < 0.10:
        news = later
    elif state < 0.1001:
        security = later
    source = "import" if at.year < 2024 else "registration"
    token = f"{chance.getrandbits(128):032x}"
    return (identity, token, email, email, status, source, _time(at), _time(at), out, security, news, soft)


def _version(chance: random.Random, at: datetime) -> str | None:
    out = [text for since, text in RELEASES if since <= at]
    behind = chance.choices((0, 1, 2, 3), (70, 18, 8, 4))[0]
    return out[max(0, len(out) - 1 - behind)]


def _one_of(chance: random.Random, weights: dict[Choice, int]) -> Choice:
    return chance.choices(list(weights), list(weights.values()))[0]


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
