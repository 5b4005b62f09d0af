"""`POST /api/usage`: what OpenEMR 7.0.4 and 8.x send, and the reply on which they clear their table."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.registration.conftest import NewService, Service

pytestmark = pytest.mark.anyio

SITE = "3f0e5b52-7a0c-4a5f-9f43-0a8f0e3a1f11"
LOCALE = {
    "site_uuid": SITE,
    "reporting_interval": "202610",
    "reporting_date": "20261121",
    "location": '{"country":"DE","region":"BE","city":"Berlin","latitude":52.5,"longitude":13.4}',
    "time_zone": "Europe/Berlin",
    "locale": "de_DE",
    "version": "8.0.0",
    "environment": "Linux, 6.1, 8.2.36",
    "distribution": "docker",
    "settings": '{"portal_enabled":true}',
    "populationData": '{"total_patients":"1200"}',
    "moduleCounts": '{"total_enabled_modules":"4"}',
    "enabledEncounterForms": "[]",
}


def record(label: str = "Calendar", count: float | str = 3, **other: Any) -> dict[str, Any]:
    return {
        "event_type": "click",
        "event_label": label,
        "event_url": "/interface/main/calendar",
        "event_target": "cal",
        "first_event": "2026-11-01 08:00:00",
        "last_event": "2026-11-20 09:00:00",
        "count": count,
        **other,
    }


async def report(service: Service, *records: Any, site: str = SITE, locale: Any = None) -> Any:
    payload = {"usageRecords": list(records), "localeData": LOCALE if locale is None else locale}
    return await service.post(f"/api/usage?SiteID={site}", json=payload)


async def test_a_report_is_kept_and_answered_so_that_the_client_clears_its_table(service: Service) -> None:
    reply = await report(service, record(), record("Messages", "17"))
    assert (reply.status_code, reply.json()) == (200, {"status": "success"})
    rows = await service.rows("SELECT event_label, count FROM usage_record ORDER BY event_label")
    assert rows == [("Calendar", 3), ("Messages", 17)]
    [site] = await service.rows(
        "SELECT site_id, version, locale, time_zone, distribution, country, region, settings, population, "
        "modules, encounter_forms, reports, records FROM usage_site"
    )
    assert site[:7] == (SITE, "8.0.0", "de_DE", "Europe/Berlin", "docker", "DE", "BE")
    assert [json.loads(text) for text in site[7:11]] == [
        {"portal_enabled": True},
        {"total_patients": "1200"},
        {"total_enabled_modules": "4"},
        [],
    ]
    assert site[11:] == (1, 2)


async def test_where_a_clinic_stands_is_not_kept_closer_than_its_region(service: Service) -> None:
    await report(service, record())
    everything = repr(await service.rows("SELECT * FROM usage_site"))
    assert "Berlin" not in everything.replace("Europe/Berlin", "")
    assert "52.5" not in everything


async def test_a_resent_report_counts_once_and_a_grown_one_once_too(service: Service) -> None:
    await report(service, record(count=3))
    await report(service, record(count=3))
    await report(service, record(count=5, last_event="2026-11-21 10:00:00"))
    await report(service, record(count=4))
    assert await service.rows("SELECT count, last_event FROM usage_record") == [(5, "2026-11-21 10:00:00")]
    assert await service.rows("SELECT reports, records FROM usage_site") == [(4, 1)]


async def test_after_clearing_the_client_counts_anew_and_both_are_kept(service: Service) -> None:
    await report(service, record(count=5))
    await report(service, record(count=2, first_event="2026-11-22 08:00:00"))
    assert await service.rows("SELECT SUM(count) FROM usage_record") == [(7,)]


async def test_sites_do_not_mix(service: Service) -> None:
    await report(service, record(count=5))
    await report(service, record(count=2), site="9b2d4c1e-0f0a-4a44-8f0e-1f2e3d4c5b6a")
    assert sorted(await service.rows("SELECT count FROM usage_record")) == [(2,), (5,)]


@pytest.mark.parametrize("query", ["", "?SiteID=", "?SiteID=%20"])
async def test_without_a_site_the_client_is_answered_and_nothing_is_kept(service: Service, query: str) -> None:
    reply = await service.post(f"/api/usage{query}", json={"usageRecords": [record()], "localeData": LOCALE})
    assert (reply.status_code, reply.json()) == (200, {"status": "success"})
    assert await service.rows("SELECT COUNT(*) FROM usage_site") == [(0,)]


@pytest.mark.parametrize(
    "query", ["?SiteID=1", "?SiteID=" + "a" * 5000, "?SiteID=%ff", f"?SiteID={SITE}&SiteID={SITE}"]
)
async def test_what_is_no_site_is_refused(service: Service, query: str) -> None:
    reply = await service.post(f"/api/usage{query}", json={"usageRecords": []})
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidUsageReportException")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"false",
        b"[]",
        b"{",
        b'"x"',
        b'{"usageRecords": {}}',
        b'{"localeData": []}',
        b'{"localeData": "\xff"}',
        b'{"localeData": {"version": "\\ud800"}}',
        b"[" * 100_000,
        b'{"usageRecords": [' + b"[" * 10_000,
    ],
)
async def test_what_is_no_report_is_refused(service: Service, body: bytes) -> None:
    reply = await service.post(f"/api/usage?SiteID={SITE}", content=body, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidUsageReportException")


async def test_types_and_sizes(new_service: NewService) -> None:
    service = await new_service(HOSTEMR_USAGE_BODY_BYTES="5000")
    reply = await service.post("/api/usage", data={"usageRecords": "x"})
    assert (reply.status_code, reply.json()["error"]) == (415, "UnsupportedMediaTypeException")
    reply = await report(service, *(record(f"label {n}") for n in range(50)))
    assert (reply.status_code, reply.json()["error"]) == (413, "PayloadTooLargeException")


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        "text",
        record(count=-1),
        record(count="many"),
        record(count="\uff11\uff12"),
        record(count=1.5),
        record(count=True),
        record(count=2**63),
        record(count="9" * 400),
        record(label=""),
        record(label="\x00\x01"),
        {"event_label": "x", "count": 1},
        {},
    ],
)
async def test_a_malformed_record_costs_only_itself(service: Service, bad: Any) -> None:
    reply = await report(service, bad, record())
    assert reply.status_code == 200
    assert await service.rows("SELECT event_label FROM usage_record") == [("Calendar",)]


@pytest.mark.parametrize("locale", [{}, {"version": 8, "location": "not json", "settings": "{", "locale": None}])
async def test_malformed_locale_data_costs_only_itself(service: Service, locale: dict[str, Any]) -> None:
    reply = await report(service, record(), locale=locale)
    assert reply.status_code == 200
    assert await service.rows("SELECT version, country, settings FROM usage_site") == [(None, None, None)]


async def test_long_and_foreign_text_is_kept_within_limits(service: Service) -> None:
    await report(service, record("Прием 🩺" + "x" * 500, event_url="/a" * 5000, event_target=None))
    [(label, url, target)] = await service.rows("SELECT event_label, event_url, event_target FROM usage_record")
    assert label.startswith("Прием 🩺x")
    assert (len(label), len(url), target) == (255, 2048, "")


async def test_records_are_capped_for_a_report_and_for_a_site_and_the_drop_is_counted(new_service: NewService) -> None:
    service = await new_service(HOSTEMR_USAGE_RECORDS_PER_REPORT="5", HOSTEMR_USAGE_RECORDS_PER_SITE="8")
    await report(service, *(record(f"a{n}") for n in range(7)))
    await report(service, *(record(f"b{n}") for n in range(5)))
    await report(service, *(record(f"a{n}", count=9) for n in range(5)))
    assert await service.rows("SELECT COUNT(*) FROM usage_record") == [(8,)]
    assert await service.rows("SELECT records FROM usage_site") == [(8,)]
    assert await service.rows("SELECT COUNT(*) FROM usage_record WHERE count = 9") == [(5,)], "known ones go on"
    assert service.metrics.usage_records_dropped._value.get() == 2 + 2


async def test_a_large_report_takes_all_its_records(service: Service) -> None:
    reply = await report(service, *(record(f"label {n}", count=n) for n in range(3000)))
    assert reply.status_code == 200
    assert await service.rows("SELECT COUNT(*), SUM(count) FROM usage_record") == [(3000, 2999 * 1500)]


async def test_simultaneous_reports_of_one_site_from_two_processes(new_service: NewService) -> None:
    services = [await new_service(), await new_service()]
    replies = await asyncio.gather(
        *(
            report(service, *(record(f"label {n}", count=turn) for n in range(40)))
            for service in services
            for turn in (1, 2, 3)
        )
    )
    assert {reply.status_code for reply in replies} == {200}
    assert await services[0].rows("SELECT COUNT(*), MIN(count) FROM usage_record") == [(40, 3)]
    assert await services[0].rows("SELECT reports, records FROM usage_site") == [(6, 40)]


async def test_a_client_that_reports_without_end_is_slowed_down(new_service: NewService) -> None:
    service = await new_service(HOSTEMR_RATE_LIMIT_USAGE="2/hour")
    statuses = [(await report(service, record())).status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
