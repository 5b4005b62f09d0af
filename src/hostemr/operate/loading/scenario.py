"""What a simulated user does, as data: steps, journeys made of steps, and a scenario made of journeys."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
BUILT_IN = {
    "user": "the log-in name of this simulated user",
    "password": "its password",
    "today": "the date, such as 2026-05-31",
    "unique": "a new number in every journey",
}
"""What `${…}` may name besides the scenario's own [data] and what steps extract."""
SPREAD = 0.5
"""Sigma of the log-normal think times: two thirds lie between 0.6 and 1.6 times the median."""
LONGEST_THINK = 5.0
"""A think time is cut at so many medians, so that no user falls asleep."""


@dataclass(frozen=True, slots=True)
class Think:
    """How long a person reads and types. `low` alone is the median of a log-normal; with `high`, evenly between."""

    low: float = 0.0
    high: float | None = None

    def draw(self, dice: random.Random) -> float:
        """One think time, in seconds."""
        if self.high is not None:
            return dice.uniform(self.low, self.high)
        return self.low and min(dice.lognormvariate(0, SPREAD), LONGEST_THINK) * self.low


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a step sends: a made-up text of `size` bytes, which says what it is."""

    field: str
    filename: str
    size: int
    content_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class Extract:
    """A value taken from an answer: the group of `regex`, or the JSON at `path`; of several, `pick` says which.

    Without any, `otherwise` is the value; or the journey ends quietly if `may_lack`; or the step has failed.
    """

    name: str
    regex: re.Pattern[str] | None = None
    path: tuple[str, ...] = ()
    pick: str = "first"
    otherwise: str | None = None
    may_lack: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One request, what must be true of its answer, and the time a person then thinks."""

    name: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    upload: Upload | None = None
    basic: bool = False
    statuses: frozenset[int] = frozenset()
    contains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    extracts: tuple[Extract, ...] = ()
    think: Think = Think()
    writes: bool = False

    def texts(self) -> Iterator[str]:
        """Every text in which a placeholder may stand."""
        yield self.path
        for table in (self.query, self.headers, self.form):
            yield from table.values()
        if self.upload:
            yield self.upload.filename
        yield from self.contains
        yield from _texts(self.json)

    def names(self) -> set[str]:
        """The placeholders that this step needs."""
        needed = {name for text in self.texts() for name in PLACEHOLDER.findall(text)}
        return needed | {"user", "password"} if self.basic else needed


@dataclass(frozen=True, slots=True)
class Journey:
    """Steps one after the other; `weight` is how often it is chosen, compared with the others."""

    name: str
    steps: tuple[Step, ...]
    weight: float = 1.0
    pause: Think = Think()

    @property
    def writes(self) -> bool:
        """Whether it leaves something in the medical records."""
        return any(step.writes for step in self.steps)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`start` is done once by every user, then one journey after the other, chosen by weight."""

    name: str
    title: str
    about: str
    journeys: tuple[Journey, ...]
    start: tuple[Step, ...] = ()
    data: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in the order in which they are written."""
        return (*self.start, *(step for journey in self.journeys for step in journey.steps))

    @property
    def logs_in(self) -> bool:
        """Whether it needs names and passwords."""
        return any(step.names() & {"user", "password"} for step in self.steps)

    def reading_only(self) -> Scenario:
        """The same without the journeys that write."""
        return replace(self, journeys=tuple(one for one in self.journeys if not one.writes))


def fill(text: str, values: Mapping[str, str], quote: Callable[[str], str] = str) -> str:
    """The text with its placeholders filled in; `quote` makes each value fit for where it goes."""
    return PLACEHOLDER.sub(lambda found: quote(values[found[1]]), text)


def fill_json(value: Any, values: Mapping[str, str]) -> Any:
    """The same for every text inside a JSON value."""
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, list):
        return [fill_json(one, values) for one in value]
    if isinstance(value, dict):
        return {name: fill_json(one, values) for name, one in value.items()}
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
