"""A usage report as OpenEMR 7.0.4 and 8.x send it, reduced to what is kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from hostemr.errors import RequestError
from hostemr.registration.installations.version import Version, printable

LARGEST_COUNT = 2**63 - 1
LONGEST_JSON = 65_536


class InvalidUsageReport(RequestError):
    """The body is no usage report, or its SiteID is none."""

    wire_name = "InvalidUsageReportException"


class _Payload(BaseModel):
    """The outermost layer; everything below it is read field by field, so that one bad field costs only itself."""

    model_config = ConfigDict(extra="ignore")

    usageRecords: list[Any] = []  # noqa: N815, the client's name for it
    localeData: dict[str, Any] = {}  # noqa: N815


_PAYLOAD = TypeAdapter(_Payload)


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """How often one thing was used since `first_event`. `key` tells it from the site's other records."""

    key: str
    event_type: str
    event_label: str
    event_url: str
    event_target: str
    first_event: str
    last_event: str
    count: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What a site reported. `site` has the columns of `usage_site`; `dropped` counts unusable records."""

    site: dict[str, Any]
    records: tuple[UsageRecord, ...]
    dropped: int


def parse_report(body: bytes, most_records: int) -> UsageReport:
    """Read a report. Records over `most_records`, or malformed, are dropped and counted.

    A client that gets an error keeps its table and sends it again forever, growing; so only what
    is no report at all is refused. Raises InvalidUsageReport.
    """
    try:
        payload = _PAYLOAD.validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in problem["loc"]) or "the body"
        message = f"{place}: {problem['msg']}."
        raise InvalidUsageReport(message) from None
    records: dict[str, UsageRecord] = {}
    for raw in payload.usageRecords[:most_records]:
        record = _record(raw)
        if record is not None:
            previous = records.get(record.key)
            if previous is None or previous.count < record.count:
                records[record.key] = record
    return UsageReport(
        site=_site(payload.localeData),
        records=tuple(records[key] for key in sorted(records)),
        dropped=len(payload.usageRecords) - len(records),
    )


def _record(raw: Any) -> UsageRecord | None:
    if not isinstance(raw, dict):
        return None
    event_type, label = _text(raw, "event_type", 64), _text(raw, "event_label", 255)
    count = _count(raw.get("count"))
    if not event_type or not label or count is None:
        return None
    url, target = _text(raw, "event_url", 2048), _text(raw, "event_target", 2048)
    first_event = _text(raw, "first_event", 32)
    # The client's own table is unique by label and the first 255 characters of URL and target;
    # first_event tells its contents before it was cleared from those after.
    identity = json.dumps([label, url[:255], target[:255], first_event])
    return UsageRecord(
        key=hashlib.sha256(identity.encode()).hexdigest(),
        event_type=event_type,
        event_label=label,
        event_url=url,
        event_target=target,
        first_event=first_event,
        last_event=_text(raw, "last_event", 32),
        count=count,
    )


def _count(value: Any) -> int | None:
    """PHP's database layer gives numbers as texts, depending on its driver."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT:
        return value
    return None


def _text(raw: dict[str, Any], name: str, length: int) -> str:
    value = raw.get(name)
    return (printable(value, length) or "") if isinstance(value, str) else ""


def _site(locale: dict[str, Any]) -> dict[str, Any]:
    version = _text(locale, "version", 64)
    parsed = Version.parse(version)
    location = _json(locale.get("location"))
    place = location if isinstance(location, dict) else {}
    return {
        "version": version or None,
        "version_order": parsed.order if parsed else None,
        "distribution": _text(locale, "distribution", 64) or None,
        "locale": _text(locale, "locale", 64) or None,
        "time_zone": _text(locale, "time_zone", 64) or None,
        "environment": _text(locale, "environment", 255) or None,
        # The client also sends city, latitude and longitude: too close to a single clinic to keep.
        "country": _text(place, "country", 64) or None,
        "region": _text(place, "region", 64) or None,
        "reporting_interval": _text(locale, "reporting_interval", 16) or None,
        "settings": _json_text(locale.get("settings")),
        "population": _json_text(locale.get("populationData")),
        "modules": _json_text(locale.get("moduleCounts")),
        "encounter_forms": _json_text(locale.get("enabledEncounterForms")),
    }


def _json(value: Any) -> Any:
    """The client sends JSON inside of JSON."""
    if not isinstance(value, str) or len(value) > LONGEST_JSON:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _json_text(value: Any) -> str | None:
    parsed = _json(value)
    return None if parsed is None else json.dumps(parsed)
