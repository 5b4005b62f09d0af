"""One simulated user: fills steps in, sends them, checks and reads the answers, thinks in between."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from hostemr.operate.loading.browser import Answer, Browser, Browsers, File, NoAnswer, Request
from hostemr.operate.loading.scenario import Extract, Journey, Scenario, Step, Upload, fill, fill_json
from hostemr.operate.loading.tally import Outcome, Tally

PAUSE_AFTER_FAILURE = 1.0
"""Seconds; without it, users whose connections are refused would ask again as fast as the machine can."""
_FILLER = b"This file was made by a load test of hostemr. It is about no person. "
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Account:
    """A log-in of the application under test."""

    name: str
    password: str = field(repr=False)


class Failed(Exception):
    """A step failed; `kind` groups the errors. `lost` when its session is probably gone."""

    def __init__(self, kind: str, detail: str, *, lost: bool = False) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.lost = lost


class Lacking(Exception):
    """There is nothing to go on with, as when a search finds nobody. No error: the journey ends."""


class Visitor:
    """Does journeys one at a time, with cookies of its own, and counts every request."""

    def __init__(
        self,
        scenario: Scenario,
        root: str,
        browsers: Browsers,
        *,
        account: Account | None,
        tally: Tally,
        clock: Callable[[], float],
        think: Callable[[float], Any],
        dice: random.Random,
    ) -> None:
        self._scenario = scenario
        self._root = root
        self._browsers = browsers
        self._browser: Browser | None = None
        self._tally = tally
        self._clock = clock
        self._think = think
        self._dice = dice
        self._values: dict[str, str] = {}
        self._account = account
        self._weights = [journey.weight for journey in scenario.journeys]

    async def visit(self, meant_at: float | None = None, journey: Journey | None = None) -> Outcome | None:
        """Do one journey (after the start, if this user is new); answers the failed request, or None.

        `meant_at` is when this visit should have begun; its first request's time counts from then.
        """
        if journey is None:
            journey = self._dice.choices(self._scenario.journeys, self._weights)[0]
        steps: Iterable[Step] = journey.steps
        if self._browser is None:
            self._browser = self._browsers()
            self._values = {}
            if self._account:
                self._values = {"user": self._account.name, "password": self._account.password}
            steps = (*self._scenario.start, *journey.steps)
        self._values |= {name: self._dice.choice(words) for name, words in self._scenario.data.items()}
        self._values |= {"unique": str(next(_numbers)), "today": dt.datetime.now(dt.UTC).date().isoformat()}
        for step in steps:
            try:
                failed = await self._do(step, meant_at)
            except Lacking:
                break
            if failed:
                return failed
            meant_at = None
            await self._think(step.think.draw(self._dice))
        await self._think(journey.pause.draw(self._dice))
        return None

    async def leave(self) -> None:
        """Close the connections and forget the cookies."""
        browser, self._browser = self._browser, None
        if browser:
            await browser.close()

    async def _do(self, step: Step, meant_at: float | None) -> Outcome | None:
        browser = self._browser
        assert browser is not None  # noqa: S101, visit made it
        begun = self._clock() if meant_at is None else meant_at
        ticket = self._tally.begin(begun)
        answer: Answer | None = None
        error, lost, detail, lacking = None, False, "", False
        try:
            answer = await browser.send(build(step, self._root, self._values))
            # The clock is read before the answer is looked at: that work is this machine's.
            seconds = self._clock() - begun
            check(step, answer, self._values)
            self._values |= {one.name: taken(one, answer, self._dice) for one in step.extracts}
        except NoAnswer as none:
            seconds = self._clock() - begun
            error, detail = none.kind, none.detail
        except Lacking:
            lacking = True
        except Failed as failed:
            error, detail, lost = failed.kind, failed.detail, failed.lost
        except asyncio.CancelledError:
            seconds = self._clock() - begun
            outcome = Outcome(step.name, seconds, error="no answer by the end", detail="still running when time was up")
            self._tally.end(ticket, outcome, self._clock())
            raise
        size, status = (answer.size, answer.status) if answer else (0, None)
        outcome = Outcome(step.name, seconds, size, status, error, detail)
        self._tally.end(ticket, outcome, self._clock())
        if lacking:
            raise Lacking
        if error is None:
            return None
        if lost or step in self._scenario.start:
            await self.leave()
        return outcome


def build(step: Step, root: str, values: Mapping[str, str]) -> Request:
    """The request of a step: values are quoted for where they go (RFC 3986 in the URL)."""

    def quoted(text: str) -> str:
        return quote(text, safe="")

    query = "&".join(
        f"{quoted(name)}={quoted(fill(value, values))}" if value else quoted(name) for name, value in step.query.items()
    )
    url = root + fill(step.path, values, quoted)
    if query:
        url += ("&" if "?" in url else "?") + query
    return Request(
        method=step.method,
        url=url,
        headers={name: fill(value, values) for name, value in step.headers.items()},
        form={name: fill(value, values) for name, value in step.form.items()},
        json=fill_json(step.json, values),
        file=_file(step.upload, values) if step.upload else None,
        basic=(values["user"], values["password"]) if step.basic else None,
    )


def _file(upload: Upload, values: Mapping[str, str]) -> File:
    content = (_FILLER * (upload.size // len(_FILLER) + 1))[: upload.size]
    return File(upload.field, fill(upload.filename, values), upload.content_type, content)


def check(step: Step, answer: Answer, values: Mapping[str, str]) -> None:
    """Raises Failed if the answer is not what the step expects."""
    allowed = answer.status in step.statuses if step.statuses else answer.status < 400
    if not allowed:
        # 401 and 403: the session is gone, or a firewall refuses; a new one finds out which.
        raise Failed(f"status {answer.status}", "", lost=answer.status in {401, 403})
    if not step.contains and not step.lacks:
        return
    text = answer.body.decode("utf-8", "replace")
    for wanted in step.contains:
        if fill(wanted, values) not in text:
            raise Failed("failed check", f"the answer lacks {wanted!r}", lost=True)
    for unwanted in step.lacks:
        if unwanted in text:
            raise Failed("failed check", f"the answer contains {unwanted!r}", lost=True)


def taken(extract: Extract, answer: Answer, dice: random.Random) -> str:
    """The value that `extract` finds in the answer. Without one: `otherwise`, or raises Lacking or Failed."""
    if extract.regex is not None:
        found = extract.regex.findall(answer.body.decode("utf-8", "replace"))
    else:
        try:
            found = _at(json.loads(answer.body), extract.path)
        except (ValueError, RecursionError):
            found = []
    if found:
        return str(found[0] if extract.pick == "first" else dice.choice(found))
    if extract.otherwise is not None:
        return extract.otherwise
    if extract.may_lack:
        raise Lacking
    where = extract.regex.pattern if extract.regex else ".".join(extract.path)
    raise Failed("nothing to extract", f"no {extract.name} at {where!r}")


def _at(value: Any, path: tuple[str, ...]) -> list[Any]:
    """All values at a path: names of members, numbers of elements, `*` for each element."""
    found = [value]
    for part in path:
        deeper: list[Any] = []
        for one in found:
            if part == "*" and isinstance(one, list):
                deeper += one
            elif isinstance(one, dict) and part in one:
                deeper.append(one[part])
            elif isinstance(one, list) and part.isdigit() and int(part) < len(one):
                deeper.append(one[int(part)])
        found = deeper
    return [one for one in found if isinstance(one, str | int | float)]
