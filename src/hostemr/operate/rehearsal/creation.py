"""A creation: the order, what waits for what, and how long it takes, as CloudFormation schedules it.

A resource starts as soon as everything that it needs is made; stacks that need no others start together, the others
when theirs are complete (CloudFormation User Guide, "CloudFormation stack creation events").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hostemr.operate.joined import Joined
from hostemr.operate.order import creation_order, needs
from hostemr.operate.rehearsal.durations import Duration, duration
from hostemr.operate.rehearsal.prerequisites import Prerequisite, prerequisites
from hostemr.operate.stacks import stack_order
from hostemr.operate.template import Template


@dataclass(frozen=True, slots=True)
class Seconds:
    """An estimate: between `low` and `high`, `typical` as a rule."""

    low: float
    typical: float
    high: float


@dataclass(frozen=True, slots=True)
class Step:
    """One resource of a schedule; `start` and `end` are typical seconds since the stack began.

    `waits_for` is what ended last of all that it needs, None if it needs nothing.
    """

    logical_id: str
    type_name: str
    start: float
    end: float
    waits_for: str | None
    duration: Duration


@dataclass(frozen=True, slots=True)
class StackCreation:
    """One stack: its resources in waves, the chain of resources that decides when it is complete."""

    name: str
    waves: tuple[tuple[str, ...], ...]
    steps: Mapping[str, Step]
    critical_path: tuple[Step, ...]
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class Creation:
    """All stacks, in waves; `seconds` from the first one's start to the last one's end."""

    order: tuple[tuple[str, ...], ...]
    stacks: Mapping[str, StackCreation]
    seconds: Seconds
    prerequisites: tuple[Prerequisite, ...]

    @property
    def guessed(self) -> frozenset[str]:
        """The types on critical paths whose time is from memory."""
        return frozenset(
            step.type_name
            for stack in self.stacks.values()
            for step in stack.critical_path
            if step.duration.basis == "from memory"
        )

    def as_data(self) -> dict[str, Any]:
        """As JSON's types."""
        return {
            "order": [list(wave) for wave in self.order],
            "seconds": _data(self.seconds),
            "stacks": {
                name: {
                    "waves": [list(wave) for wave in stack.waves],
                    "seconds": _data(stack.seconds),
                    "critical_path": [step.logical_id for step in stack.critical_path],
                    "resources": {
                        step.logical_id: {
                            "type": step.type_name,
                            "start": step.start,
                            "end": step.end,
                            "waits_for": step.waits_for,
                            "duration": step.duration.as_data(),
                        }
                        for step in stack.steps.values()
                    },
                }
                for name, stack in self.stacks.items()
            },
            "prerequisites": [
                {"what": one.what, "why": one.why, "of": list(one.of), "source": one.source}
                for one in self.prerequisites
            ],
        }


def creation(templates: Mapping[str, Template], *, region: str = "us-east-1") -> Creation:
    """What creating these stacks does, by their names.

    Raises InvalidTemplate where CloudFormation could not: a reference to nothing, a circle. Exports of stacks that
    are not among the templates are prerequisites.
    """
    joined = Joined(templates, region=region)
    found = prerequisites(joined)
    order = tuple(stack_order(templates, outside=joined.exports.missing()))
    stacks = {name: _stack(joined, name) for wave in order for name in wave}
    totals = [
        sum(max(getattr(stacks[name].seconds, which) for name in wave) for wave in order)
        for which in ("low", "typical", "high")
    ]
    return Creation(order, stacks, Seconds(*totals), found)


def _stack(joined: Joined, name: str) -> StackCreation:
    made = {one.logical_id: one for one in joined.resources.values() if one.stack == name}
    waves = [tuple(one for one in wave if one in made) for wave in creation_order(joined.templates[name])]
    needed = {logical_id: needs(logical_id, one.body) & made.keys() for logical_id, one in made.items()}
    lengths = {logical_id: duration(one.body) for logical_id, one in made.items()}
    steps: dict[str, Step] = {}
    for logical_id in (one for wave in waves for one in wave):
        last = max(sorted(needed[logical_id]), key=lambda one: steps[one].end, default=None)
        start = steps[last].end if last else 0.0
        length = lengths[logical_id]
        steps[logical_id] = Step(logical_id, made[logical_id].type, start, start + length.typical, last, length)
    ends = [_end(waves, needed, {one: getattr(lengths[one], which) for one in made}) for which in ("low", "high")]
    path = _path(steps)
    seconds = Seconds(ends[0], path[-1].end if path else 0.0, ends[1])
    return StackCreation(name, tuple(wave for wave in waves if wave), steps, path, seconds)


def _end(waves: list[tuple[str, ...]], needed: Mapping[str, set[str]], lengths: Mapping[str, float]) -> float:
    ends: dict[str, float] = {}
    for logical_id in (one for wave in waves for one in wave):
        ends[logical_id] = max((ends[one] for one in needed[logical_id]), default=0.0) + lengths[logical_id]
    return max(ends.values(), default=0.0)


def _path(steps: Mapping[str, Step]) -> tuple[Step, ...]:
    """Back from the resource that ends last, over what each waited for."""
    step = max(steps.values(), key=lambda one: (one.end, one.logical_id), default=None)
    path = []
    while step is not None:
        path.append(step)
        step = steps[step.waits_for] if step.waits_for else None
    return tuple(reversed(path))


def _data(seconds: Seconds) -> dict[str, float]:
    return {"low": seconds.low, "typical": seconds.typical, "high": seconds.high}
