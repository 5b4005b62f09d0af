"""Usage in a practice's terms: how many people work with how much data, and the amounts that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from hostemr.operate.prices.usage import ASSUMPTIONS

HOURS = Decimal(730)
_SECONDS = 3600
_CONNECTIONS, _GIGABYTES = 25, 1
"""What one capacity unit of a load balancer takes: new connections a second, GB an hour (ELB pricing)."""


@dataclass(frozen=True, slots=True)
class Term:
    """A row: a term's name in a scenario, and what is counted by it."""

    name: str
    meaning: str


TERMS = {
    row.name: row
    for row in (
        Term("people", "at work with the application at once, on average while the practice is open"),
        Term("open_hours", "hours of a month in which the practice is open"),
        Term("requests_per_hour", "requests that one person's browser makes in an hour, files of pages included"),
        Term("kilobytes_per_request", "sent to the browser for one request"),
        Term("tasks", "tasks that run while the practice is open, where more than the least are needed"),
        Term("database_units", "capacity units (ACU) that each Aurora instance needs while the practice is open"),
        Term("database_gb", "stored in the database"),
        Term("files_gb", "documents and pictures that are stored"),
        Term("new_files_gb", "documents and pictures that are added in a month"),
        Term("mails", "mails that the application sends in a month"),
        Term("registrations", "installations that are registered with the registration service"),
        Term("advisories", "advisories that are sent to all of them in a month"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A practice's month. `terms` are by name; `usage` are amounts that stand as they are, whatever follows."""

    name: str
    meaning: str
    terms: Mapping[str, Decimal]
    usage: Mapping[str, Decimal] = field(default_factory=dict)

    def amounts(self) -> dict[str, Decimal]:
        """The usage that this comes to; what none of its terms says keeps its default."""
        found = {one.name: round(one.amount(self.terms), 6) for one in RULES if self.terms.keys() >= set(one.needs)}
        return found | dict(self.usage)


@dataclass(frozen=True, slots=True)
class Following:
    """How a usage follows from terms; `how` says it in words."""

    name: str
    needs: tuple[str, ...]
    how: str
    amount: Callable[[Mapping[str, Decimal]], Decimal]


_REQUESTS = ("people", "open_hours", "requests_per_hour")
_TRAFFIC = (*_REQUESTS, "kilobytes_per_request")


def _requests(terms: Mapping[str, Decimal]) -> Decimal:
    return terms["people"] * terms["open_hours"] * terms["requests_per_hour"]


def _traffic(terms: Mapping[str, Decimal]) -> Decimal:
    return _requests(terms) * terms["kilobytes_per_request"] / 1_000_000


def _units(terms: Mapping[str, Decimal]) -> Decimal:
    """The dearer of what is sent and of connections, as if each request made its own; an average of the month."""
    return max(_traffic(terms) / HOURS / _GIGABYTES, _requests(terms) / HOURS / _SECONDS / _CONNECTIONS)


_SENDING = ("registrations", "advisories")


def _sent(terms: Mapping[str, Decimal]) -> Decimal:
    return terms["registrations"] * terms["advisories"]


def _events(terms: Mapping[str, Decimal]) -> Decimal:
    """A delivery for each mail; delays, bounces and complaints for a tenth of them."""
    return _sent(terms) * Decimal("1.1")


def _calls(terms: Mapping[str, Decimal]) -> Decimal:
    """What SES's reports are, a usage report a month of each installation, and as much again by people."""
    return _events(terms) + terms["registrations"] * 3


def _calls_a_second(terms: Mapping[str, Decimal]) -> Decimal:
    return _calls(terms) / HOURS / _SECONDS / _CONNECTIONS


RULES = (
    Following("web_requests", _REQUESTS, "people * open_hours * requests_per_hour", _requests),
    Following("traffic_out_gb", _TRAFFIC, "web_requests * kilobytes_per_request", _traffic),
    Following("load_balancer_units", _TRAFFIC, "GB an hour, or connections a second by 25, if more", _units),
    Following("accelerator_gb", _TRAFFIC, "as traffic_out_gb", _traffic),
    Following("database_requests", _REQUESTS, "5 for each request", lambda terms: _requests(terms) * 5),
    Following("cache_units", _REQUESTS, "10 for each request", lambda terms: _requests(terms) * 10),
    Following("log_ingested_gb", _REQUESTS, "half a KB for each request", lambda t: _requests(t) / 2_000_000),
    Following("busy_hours", ("open_hours",), "open_hours", lambda terms: terms["open_hours"]),
    Following("busy_tasks", ("tasks",), "tasks", lambda terms: terms["tasks"]),
    Following("busy_acu", ("database_units",), "database_units", lambda terms: terms["database_units"]),
    Following("database_storage_gb", ("database_gb",), "database_gb", lambda terms: terms["database_gb"]),
    Following("files_storage_gb", ("files_gb",), "files_gb", lambda terms: terms["files_gb"]),
    Following("files_read_gb", ("files_gb",), "a fifth of files_gb", lambda terms: terms["files_gb"] / 5),
    Following("files_written_gb", ("new_files_gb",), "new_files_gb", lambda terms: terms["new_files_gb"]),
    Following(
        "files_daily_change_percent",
        ("files_gb", "new_files_gb"),
        "new_files_gb of a month's 30 days, by files_gb",
        lambda t: t["new_files_gb"] / 30 / t["files_gb"] * 100 if t["files_gb"] else Decimal(0),
    ),
    Following(
        "bucket_storage_gb",
        ("database_gb", "files_gb"),
        "database_gb + files_gb",
        lambda terms: terms["database_gb"] + terms["files_gb"],
    ),
    Following("mails_sent", ("mails",), "mails", lambda terms: terms["mails"]),
    Following("mails_sent", _SENDING, "registrations * advisories", _sent),
    Following("mail_events", _SENDING, "1.1 for each of these mails", _events),
    Following("https_notifications", _SENDING, "as mail_events", _events),
    Following("web_requests", _SENDING, "mail_events + 3 for each registration", _calls),
    Following("traffic_out_gb", _SENDING, "2 KB for each request", lambda terms: _calls(terms) / 500_000),
    Following("load_balancer_units", _SENDING, "connections a second by 25", _calls_a_second),
    Following("log_ingested_gb", _SENDING, "half a KB for each request", lambda terms: _calls(terms) / 2_000_000),
)


_WITHOUT_PEOPLE = ("root_volume_gb", "insights_metrics", "enhanced_monitoring_gb")
"""Usage that is there whether or not anybody works."""


def _shipped(name: str, meaning: str, terms: Mapping[str, str]) -> Scenario:
    return Scenario(name=name, meaning=meaning, terms={key: Decimal(value) for key, value in terms.items()})


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        one.name: one
        for one in (
            Scenario(
                name="idle",
                meaning="Nobody works with it and nothing is stored: what it costs to stand ready",
                terms={},
                usage={name: Decimal(0) for name in ASSUMPTIONS if name not in _WITHOUT_PEOPLE},
            ),
            _shipped(
                "small-practice",
                "Two physicians and their staff, some thousand patients, open on weekdays",
                {
                    "people": "4",
                    "open_hours": "180",
                    "requests_per_hour": "600",
                    "kilobytes_per_request": "25",
                    "tasks": "1",
                    "database_units": "1",
                    "database_gb": "3",
                    "files_gb": "20",
                    "new_files_gb": "1",
                    "mails": "500",
                },
            ),
            _shipped(
                "clinic",
                "Some twenty-five at work at once, twenty thousand patients, open on six days",
                {
                    "people": "25",
                    "open_hours": "260",
                    "requests_per_hour": "600",
                    "kilobytes_per_request": "25",
                    "tasks": "2",
                    "database_units": "2",
                    "database_gb": "20",
                    "files_gb": "200",
                    "new_files_gb": "6",
                    "mails": "5000",
                },
            ),
            _shipped(
                "hospital",
                "Two hundred at work at once by day and by night, scans and letters kept for years",
                {
                    "people": "200",
                    "open_hours": "730",
                    "requests_per_hour": "600",
                    "kilobytes_per_request": "25",
                    "tasks": "6",
                    "database_units": "8",
                    "database_gb": "150",
                    "files_gb": "2000",
                    "new_files_gb": "40",
                    "mails": "40000",
                },
            ),
            _shipped(
                "registrations-10k",
                "Ten thousand registered installations, an advisory a month",
                {"registrations": "10000", "advisories": "1", "database_gb": "1"},
            ),
            _shipped(
                "registrations-100k",
                "A hundred thousand registered installations, an advisory a week",
                {"registrations": "100000", "advisories": "4", "database_gb": "10"},
            ),
        )
    }
)
"""The practices are invented, of round figures: a place to start from, not a measurement."""
REGISTRIES = ("idle", "registrations-10k", "registrations-100k")
"""Scenarios of the registration service."""
PRACTICES = tuple(name for name in SCENARIOS if name == "idle" or name not in REGISTRIES)
"""Scenarios of practices that work with an application."""
