"""Reads what each benchmark writes with `--json` as comparisons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.console.__main__ import BY_KEY, BY_OFFSET
from benchmarks.records import Comparison, Side
from benchmarks.results import TITLES
from benchmarks.session import SCENARIOS

MIB = 2**20
_DATABASES = {"sqlite": "SQLite", "mariadb": "MariaDB"}
OURS = "hostemr"
SHOWN = (
    "overview",
    "registrations: first page",
    "registrations: deep page",
    "registrations: rare domain",
    "registrations: older than 8.0.0",
    "registrations: three filters",
    "registrations: contrary filters",
    "one registration",
    "broadcasts",
    "audit log",
    "search: one address",
)
"""The most used pages of the console and its slowest: all of them would be fifty rows."""


def compare(
    what: str, unit: str, values: Mapping[str, Sequence[float]], *, ours: str = OURS, more_is_better: bool = False
) -> Comparison:
    """A comparison of the values by who has them; `ours` must be among them."""
    sides = {who: Side(who=who, rounds=tuple(rounds)) for who, rounds in values.items()}
    return Comparison(
        what=what, unit=unit, more_is_better=more_is_better, ours=sides.pop(ours), others=tuple(sides.values())
    )


def registration(raw: Any) -> tuple[Comparison, ...]:
    """Answers a second in each scenario, the slowest answers to new registrations, and memory afterwards."""
    found: list[Comparison] = []
    for database, implementations in raw["rounds"].items():
        where = _DATABASES[database]

        def each(
            value: Callable[[Any], float], implementations: Mapping[str, Any] = implementations
        ) -> dict[str, list[float]]:
            return {name: [value(session) for session in sessions] for name, sessions in implementations.items()}

        for scenario in reversed(SCENARIOS):

            def speed(session: Any, scenario: str = scenario) -> float:
                load = session["scenarios"][scenario]["load"]
                return float(load["answers"] / load["seconds"])

            what = f"{TITLES[scenario]}, {where}"
            found.append(compare(what, "requests/s", each(speed), more_is_better=True))
        slowest = each(lambda session: session["scenarios"]["new"]["load"]["p99_ms"])
        found.append(compare(f"99 of 100 new addresses within, {where}", "ms", slowest))
        memory = each(lambda session: session["memory"]["pss_mib"])
        found.append(compare(f"memory after the load, {where}", "MiB", memory))
    return tuple(found)


def delivery(raw: Any) -> tuple[Comparison, ...]:
    """Recipients a second: the queue alone at each latency, over SMTP, and through SES's API."""
    found: list[Comparison] = []

    def speeds(who: str, latency: float) -> list[float] | None:
        for figures in raw:
            if figures[0]["what"] == who and figures[0]["latency_ms"] == latency:
                return [figure["per_second"] for figure in figures]
        return None

    def add(what: str, latency: float, sides: Mapping[str, str]) -> None:
        values = {name: speeds(who, latency) for who, name in sides.items()}
        known = {name: value for name, value in values.items() if value is not None}
        found.append(compare(what, "recipients/s", known, more_is_better=True))

    for latency in dict.fromkeys(figures[0]["latency_ms"] for figures in raw if figures[0]["what"] == OURS):
        what = f"provider answers after {latency:.0f} ms" if latency else "provider answers at once"
        add(what, latency, {OURS: OURS, "row by row": "row by row"})
    smtp = {"hostemr, SMTP": OURS, "django-post-office, SMTP": "django-post-office"}
    add("over SMTP", 0.0, smtp)
    add("through SES's API", 0.0, {"hostemr, SES over HTTP": OURS})
    return tuple(found)


def console(raw: Any) -> tuple[Comparison, ...]:
    """The pages of `SHOWN` on each database, and the statement alone beside OFFSET."""
    found: list[Comparison] = []
    for database, pages in raw.items():
        where = _DATABASES[database]
        for page, times in pages.items():
            place, _, way = page.partition(": ")
            if page not in SHOWN and way != BY_KEY:
                continue
            what, values = page, {OURS: times["milliseconds"]}
            if way == BY_KEY:
                what = f"{place}, the statement alone"
                values["by OFFSET"] = pages[f"{place}: {BY_OFFSET}"]["milliseconds"]
            found.append(compare(f"{what}, {where}", "ms", values))
    return tuple(found)


def synthesis(raw: Any) -> tuple[Comparison, ...]:
    """Seconds of `hostemr plan openemr` beside the others, and of OpenMRS alone."""
    seconds = {row: [run["seconds"] for run in runs] for row, runs in raw["runs"].items()}
    resources = {line["row"]: line["resources"] for line in raw["summary"]}
    own = {name: seconds.pop(name) for name in list(seconds) if name.startswith("hostemr plan openmrs")}
    ours = f"OpenEMR, {resources['hostemr plan']} resources"
    found = [compare(ours, "s", seconds, ours="hostemr plan")]
    for name, rounds in own.items():
        which = name.removeprefix("hostemr plan openmrs, ")
        what = f"OpenMRS, {which}, {resources[name]} resources"
        found.append(compare(what, "s", {"hostemr plan": rounds}, ours="hostemr plan"))
    return tuple(found)


def backups(raw: Any) -> tuple[Comparison, ...]:
    """Seconds and peak memory of each stage, and what the days uploaded."""
    found: list[Comparison] = []
    for stage, rows in raw["runs"].items():

        def each(value: Callable[[Any], float], rows: Mapping[str, Any] = rows) -> dict[str, list[float]]:
            return {name: [value(run) for run in runs] for name, runs in rows.items()}

        ours = next(iter(rows))
        found.append(compare(stage, "s", each(lambda run: run["cost"]["seconds"]), ours=ours))
        memory = each(lambda run: run["cost"]["peak"] / MIB)
        found.append(compare(f"{stage}, peak memory", "MiB", memory, ours=ours))
        if all(run["uploaded"] for runs in rows.values() for run in runs):
            uploaded = each(lambda run: run["uploaded"] / MIB)
            found.append(compare(f"{stage}, uploaded", "MiB", uploaded, ours=ours))
    return tuple(found)


def loading(raw: Any) -> tuple[Comparison, ...]:
    """What each generator sends, and what a request costs it."""
    speeds = {name: [one["per_second"] for one in rounds] for name, rounds in raw.items()}
    costs = {name: [one["cpu_us"] for one in rounds] for name, rounds in raw.items()}
    ours = next(iter(raw))
    return (
        compare("what one core sends", "requests/s", speeds, ours=ours, more_is_better=True),
        compare("processor time of the generator", "µs/request", costs, ours=ours),
    )
