"""What came out of a run: judged against its limits, with what the errors probably mean."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hostemr.operate.loading.amounts import spoken
from hostemr.operate.loading.engine import Ended, Load
from hostemr.operate.loading.histogram import Histogram
from hostemr.operate.loading.scenario import Scenario
from hostemr.operate.loading.tally import Tally

PERCENTILES = (50.0, 90.0, 95.0, 99.0)
BUSY = 0.85
"""From here on, this machine's one core is a part of what is measured."""
LATE = 0.1
"""Seconds. A timer that comes later than that belongs to a machine that is short of processor time."""
MOST_ERRORS_SHOWN = 20
_STRAIN = "Timeouts or lost connections came: look at CPU, memory and the database's capacity at that time."
_STATUS_ADVICE = {
    429: "429 came: something limits the rate on purpose. The figures show the limiter, not the application.",
    502: "502 came: tasks ended, or closed connections while they answered. Look at their memory and logs.",
    503: "503 came: a load balancer says so when no healthy task is behind it. Look at the service's events.",
    504: "504 came: tasks did not answer the load balancer in time. Look at CPU, and at the database.",
}
_ERROR_ADVICE = {
    "timeout": _STRAIN,
    "connection lost": _STRAIN,
    "nothing to extract": "An answer had not what the next step needs: look at the errors' details.",
}


@dataclass(frozen=True, slots=True)
class Result:
    """A run's settings and figures. `begun` is in UTC; `machine` is where it ran."""

    url: str
    scenario: Scenario
    load: Load
    tally: Tally
    ended: Ended
    begun: dt.datetime
    machine: str
    left_out: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the run is not good, a line each; empty if it kept within its limits to the end."""
        return tuple(self._problems())

    def _problems(self) -> Iterator[str]:
        load, tally, why = self.load, self.tally, self.ended.why
        stopped = {
            "errors": "too many requests failed in the last seconds",
            "latency": "answers took too long in the last seconds",
            "operator": "you stopped it",
        }
        if why in stopped:
            mostly = ""
            if why == "errors" and tally.errors:
                step, kind = max(tally.errors, key=lambda key: tally.errors[key])
                mostly = f", mostly {kind} at {step!r}"
            yield f"Stopped after {spoken(self.ended.seconds)}: {stopped[why]}{mostly}."
        if not tally.requests:
            yield "No request ended, so nothing was measured."
            return
        failed = tally.failed / tally.requests
        if load.stop_errors is not None and failed > load.stop_errors:
            yield f"{percent(failed)} of the requests failed; the limit is {percent(load.stop_errors)}."
        if load.stop_latency is not None:
            slow, allowed = tally.slow / tally.requests, 1 - load.stop_latency.percent / 100
            if slow > allowed:
                within = spoken(load.stop_latency.seconds)
                yield f"{percent(slow)} of the requests took longer than {within}; the limit is {percent(allowed)}."
        if self.ended.not_begun:
            yield f"{self.ended.not_begun} of the visits that were due never began: no user was free in time."

    @property
    def advice(self) -> tuple[str, ...]:
        """What the figures probably mean, and what to look at."""
        return tuple(self._advice())

    def _advice(self) -> Iterator[str]:
        if blocked := self.tally.statuses[403]:
            yield (
                f"403 came {blocked} times. A firewall probably blocks this address: a deployment of hostemr "
                f"allows waf_rate_limit requests in 5 minutes from one address, and this run sent about "
                f"{self.in_five_minutes:,} in 5 minutes. Run it from several addresses, ask for less, or allow this "
                f"address while you test."
            )
        yield from (line for status, line in _STATUS_ADVICE.items() if self.tally.statuses[status])
        kinds = {kind for _, kind in self.tally.errors}
        yield from dict.fromkeys(line for kind, line in _ERROR_ADVICE.items() if kind in kinds)
        unreached = [name for name, step in self.tally.steps.items() if not step.requests]
        if unreached and self.tally.requests:
            yield (
                f"Never reached: {', '.join(unreached)}. Steps before it failed, a search found nothing (has the "
                f"database patients?), or the run was too short."
            )
        yield from self._about_the_measurement()

    def _about_the_measurement(self) -> Iterator[str]:
        if self.ended.busy > BUSY:
            yield (
                f"This machine was at its limit ({percent(self.ended.busy)} of a core), so times are partly its own. "
                f"Use a faster one or several."
            )
        elif self.ended.late_seconds > LATE:
            yield (
                f"This machine had other work: its own clock came up to {spoken(self.ended.late_seconds)} late, so "
                f"times are partly its own. Run it on a quiet one."
            )

    @property
    def model(self) -> str:
        """How the load was made, and what that means for the times."""
        if self.load.rate is None:
            return (
                "closed: each user waits for an answer before the next request, so a slow server was asked less. "
                "--rate asks at a fixed pace, whatever the server does."
            )
        return "open: visits begin when they are due, whatever the server does, and times count from then."

    @property
    def in_five_minutes(self) -> int:
        """Requests in the busiest five minutes, scaled up from a shorter run."""
        seconds = self.tally.interval_seconds
        counts = [one.requests for one in self.tally.intervals]
        width = max(1, round(300 / seconds))
        if len(counts) <= width:
            return round(sum(counts) / max(self.ended.seconds, 1) * 300)
        return max(sum(counts[at : at + width]) for at in range(len(counts) - width + 1))

    @property
    def rate(self) -> float:
        """Requests that ended, per second."""
        return self.tally.requests / self.ended.seconds if self.ended.seconds else 0.0


def percent(value: float) -> str:
    """A share for people: `0.2 %`."""
    return f"{value * 100:.2g} %" if 0 < value < 0.1 else f"{value * 100:.0f} %"


def load_in_words(load: Load) -> str:
    """`25 users for 5 min`, or `50 visits per second for 5 min, at most 500 users at once`."""
    if load.rate is None:
        who = f"{load.users} user{'s' * (load.users != 1)}"
        return f"{who} for {spoken(load.seconds)}, begun within {spoken(load.ramp_seconds)}"
    ramp = f" after a ramp of {spoken(load.ramp_seconds)}" if load.ramp_seconds else ""
    return f"{load.rate:g} visits per second{ramp}, {spoken(load.seconds)} in all, at most {load.users} users at once"


def _times(times: Histogram) -> dict[str, Any]:
    figures = {f"p{one:g}": round(times.percentile(one), 6) for one in PERCENTILES}
    smallest = round(times.smallest, 6) if times.count else 0.0
    return {"min": smallest, "mean": round(times.mean, 6), **figures, "max": round(times.largest, 6)}


def as_data(result: Result) -> dict[str, Any]:
    """The result for JSON; times are seconds, sizes bytes."""
    tally, load, ended = result.tally, result.load, result.ended
    latency = load.stop_latency
    return {
        "url": result.url,
        "scenario": result.scenario.name,
        "begun": result.begun.isoformat(timespec="seconds"),
        "machine": result.machine,
        "load": {
            "model": "closed" if load.rate is None else "open",
            "users": load.users,
            "rate": load.rate,
            "seconds": load.seconds,
            "ramp_seconds": load.ramp_seconds,
        },
        "limits": {
            "errors": load.stop_errors,
            "latency": {"percent": latency.percent, "seconds": latency.seconds} if latency else None,
        },
        "ended": ended.why,
        "seconds": round(ended.seconds, 3),
        "within_limits": not result.problems,
        "problems": list(result.problems),
        "advice": list(result.advice),
        "journeys_left_out": list(result.left_out),
        "visits": ended.visits,
        "visits_not_begun": ended.not_begun,
        "requests": tally.requests,
        "failed": tally.failed,
        "unfinished": tally.unfinished,
        "requests_per_second": round(result.rate, 3),
        "bytes": tally.size,
        "times": _times(tally.times),
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
        "errors": [
            {"step": step, "kind": kind, "count": count, "details": dict(tally.details[step, kind].most_common(3))}
            for (step, kind), count in tally.errors.most_common()
        ],
        "steps": [
            {
                "name": name,
                "requests": step.requests,
                "failed": step.failed,
                "bytes": step.size,
                "times": _times(step.times),
            }
            for name, step in tally.steps.items()
        ],
        "series": {
            "interval_seconds": tally.interval_seconds,
            "requests": [one.requests for one in tally.intervals],
            "failed": [one.failed for one in tally.intervals],
            "bytes": [one.size for one in tally.intervals],
            "users": [one.users for one in tally.intervals],
            **{
                f"p{which:g}": [round(one.times.percentile(which), 6) for one in tally.intervals]
                for which in (50.0, 95.0, 99.0)
            },
        },
        "this_machine": {"busy": round(ended.busy, 3), "late_seconds": round(ended.late_seconds, 4)},
    }


def as_text(result: Result) -> Iterator[str]:
    """The result for a terminal, a line each."""
    tally = result.tally
    yield f"{result.scenario.title or result.scenario.name}: {load_in_words(result.load)}"
    yield f"on {result.url}, from {result.machine}, {result.begun:%Y-%m-%d %H:%M} UTC"
    yield f"model {result.model}"
    yield ""
    columns = ("requests", "failed", "p50", "p95", "p99", "max")
    width = max(len(name) for name in (*tally.steps, "everything"))
    yield "step".ljust(width) + "".join(one.rjust(10) for one in columns)
    rows = [(name, step.requests, step.failed, step.times) for name, step in tally.steps.items()]
    for name, requests, failed, times in (*rows, ("everything", tally.requests, tally.failed, tally.times)):
        spans = [*(times.percentile(one) for one in (50, 95, 99)), times.largest]
        shown = [spoken(one) if times.count else "-" for one in spans]
        yield name.ljust(width) + "".join(one.rjust(10) for one in (f"{requests:,}", f"{failed:,}", *shown))
    yield ""
    yield f"{result.rate:.1f} requests per second, {tally.size / 1e6:.1f} MB; times are of successful requests"
    for (step, kind), count in tally.errors.most_common(MOST_ERRORS_SHOWN):
        detail = next((one for one, _ in tally.details[step, kind].most_common(1) if one), "")
        yield f"error: {step}: {kind}, {count} times{f' ({detail})' if detail else ''}"
    if tally.unfinished:
        yield f"{tally.unfinished} requests were given up when you stopped it; how they would have ended is not known"
    for name in result.left_out:
        yield f"left out: the journey {name!r} writes records (--write)"
    for line in result.advice:
        yield f"note: {line}"
    yield ""
    if result.problems:
        yield from (f"NOT GOOD: {problem}" for problem in result.problems)
    else:
        yield "Good: the run kept within its limits to the end."
