"""The list of registrations: every filter and every page of it, against a plain look through all rows."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import Any

import pytest

from hostemr.registration.installations import listing
from hostemr.registration.installations.listing import MOST_VERSIONS, STATES, Filter, RegistrationList
from hostemr.registration.installations.version import Version
from tests.registration.conftest import Service
from tests.registration.installations.rows import NOON, add

pytestmark = pytest.mark.anyio

VERSIONS = (None, "5.0.2", "7.0.3-dev", "7.0.3", "7.0.3 (1)", "8.0.0", "not a version")
DISTRIBUTIONS = (None, "docker", "xampp")
DOMAINS = ("example.org", "clinic.example.org", "example.com")


def order(text: str) -> int:
    version = Version.parse(text)
    assert version is not None
    return version.order


@dataclass(frozen=True)
class Kept:
    """What a test wrote, for looking through."""

    number: int
    domain: str
    mailing: str
    installations: tuple[tuple[str | None, str | None], ...]


MAILINGS: dict[str, dict[str, Any]] = {
    "active": {},
    "no_news": {"news_opted_out_at": NOON},
    "no_security": {"security_opted_out_at": NOON},
    "opted_out": {"status": "opted_out", "opted_out_at": NOON},
    "bounced": {"status": "bounced"},
    "soft_bounced": {"status": "bounced", "soft_bounces": 3},
    "complained": {"status": "complained"},
}


@pytest.fixture
async def kept(service: Service) -> list[Kept]:
    chance = random.Random(7)
    rows = []
    for turn in range(40):
        mailing, domain = chance.choice(list(MAILINGS)), chance.choice(DOMAINS)
        told = tuple(
            (chance.choice(VERSIONS), chance.choice(DISTRIBUTIONS)) for _ in range(chance.choice((1, 1, 1, 2, 4)))
        )
        number = await add(service, f"user{turn}@{domain}", *told, **MAILINGS[mailing])
        rows.append(Kept(number, domain, mailing, told))
    await add(service, "", ("8.0.0", "docker"), status="erased")
    return rows


def fits(one: Kept, chosen: Filter) -> bool:
    def installation_fits(version: str | None, distribution: str | None) -> bool:
        parsed = Version.parse(version) if version else None
        if chosen.unknown_version and parsed is not None:
            return False
        if chosen.version is not None and (parsed is None or parsed.order != chosen.version):
            return False
        if chosen.older is not None and (parsed is None or parsed.order >= chosen.older):
            return False
        return chosen.distribution in {None, distribution}

    return (
        (chosen.state is None or one.mailing in STATES[chosen.state])
        and chosen.domain in {None, one.domain}
        and any(itertools.starmap(installation_fits, one.installations))
    )


def every_filter() -> list[Filter]:
    versions: list[dict[str, Any]] = [{}, {"unknown_version": True}]
    versions += [{"version": order(text)} for text in ("7.0.3", "7.0.3-dev", "9.0.0")]
    versions += [{"older": order(text)} for text in ("5.0.2", "7.0.3", "99.0.0")]
    return [
        Filter(state=state, domain=domain, distribution=distribution, **told)
        for state, domain, distribution, told in itertools.product(
            (None, "mail", "bounced", "soft", "no_news", "complained"),
            (None, "example.org", "none.example.org"),
            (None, "docker", "unheard of"),
            versions,
        )
    ]


async def test_every_filter_finds_what_looking_through_all_finds(service: Service, kept: list[Kept]) -> None:
    registrations = RegistrationList(service.database)
    chance = random.Random(11)
    for chosen in [Filter(), *chance.sample(every_filter(), 40)]:
        expected = sorted((one.number for one in kept if fits(one, chosen)), reverse=True)
        found: list[int] = []
        before = None
        for _ in range(100):
            page = await registrations.page(chosen, before, 7)
            assert len(page.rows) <= 7
            found += [one.id for one in page.rows]
            before = page.before
            if before is None:
                break
        assert found == expected, chosen


async def test_a_page_looks_at_so_many_rows_and_the_next_one_goes_on(service: Service, kept: list[Kept]) -> None:
    # What few have and is found row by row: the other filter has no fewer rows than this one.
    for turn in range(30):
        await add(service, f"many{turn}@example.net", ("8.0.0", "docker"))
    wanted = [one.number for one in kept if fits(one, Filter(state="complained", distribution="docker"))]
    assert wanted
    assert listing.BATCHES[-1] >= listing.PAGE
    page = await RegistrationList(service.database).page(Filter(state="complained", distribution="docker"))
    assert [one.id for one in page.rows] == sorted(wanted, reverse=True)
    assert page.complete


async def test_a_row_tells_its_newest_installation_and_how_many_there_are(service: Service) -> None:
    await add(service, "a@example.org", ("7.0.3", "docker"), ("8.0.0", None))
    await add(service, "b@example.org")
    rows = (await RegistrationList(service.database).page(Filter())).rows
    assert [(one.email, one.installations, one.version, one.distribution) for one in rows] == [
        ("b@example.org", 0, None, None),
        ("a@example.org", 2, "8.0.0", None),
    ]
    assert rows[0].created_at == NOON


async def test_older_versions_are_found_however_many_there_are(service: Service) -> None:
    versions = [(f"1.{major}.{minor}", None) for major in range(15) for minor in range(15)]
    assert len(versions) > MOST_VERSIONS
    number = await add(service, "many@example.org", *versions)
    await add(service, "new@example.org", ("8.0.0", None))
    page = await RegistrationList(service.database).page(Filter(older=order("8.0.0")))
    assert [one.id for one in page.rows] == [number]


async def test_addresses_by_their_beginning_in_order_page_by_page(service: Service) -> None:
    for name in ("bo", "anna", "ann", "an", "Andy", "b"):
        await add(service, f"{name}@example.org")
    await add(service, "", status="erased", email_key="erased:99")
    registrations = RegistrationList(service.database)
    found, after = await registrations.beginning_with("AN", size=3)
    assert [one.email for one in found] == ["an@example.org", "Andy@example.org", "ann@example.org"]
    found, after = await registrations.beginning_with("AN", after, size=3)
    assert ([one.email for one in found], after) == (["anna@example.org"], "")
    assert await registrations.beginning_with("erased") == ((), "")
    assert await registrations.beginning_with("%") == ((), "")
    assert await registrations.beginning_with("_n") == ((), "")


async def test_versions_and_distributions_to_choose_from(service: Service) -> None:
    now = 0.0
    registrations = RegistrationList(service.database, lambda: now)
    assert await registrations.known() == ([], [])
    await add(service, "a@example.org", ("7.0.3", "docker"), ("8.0.0", "docker"), ("8.0.0", None), ("junk", "xampp"))
    assert await registrations.known() == ([], []), "they are kept for a minute"
    now = 61.0
    orders, names = await registrations.known()
    assert (orders, names) == ([order("8.0.0"), order("7.0.3")], ["docker", "xampp"])
