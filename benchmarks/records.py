"""What a run of the benchmarks found: a value for each side and round, and the ratios that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The median of some values, the lowest and the highest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: tuple[float, ...]) -> Self:
        """Of at least one value."""
        return cls(median=median(values), low=min(values), high=max(values))


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a comparison: who, and a value for each round in the comparison's unit.

    Raises ValueError without values, and for values that are not above 0, of which there are no ratios.
    """

    who: str
    rounds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.rounds or min(self.rounds) <= 0:
            raise ValueError(f"{self.who} has {self.rounds}: every round needs a value above 0")

    @property
    def spread(self) -> Spread:
        """Its median over the rounds."""
        return Spread.of(self.rounds)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """hostemr's side of one thing that was measured, and those of the alternatives, if it has any.

    Raises ValueError where a side has more or fewer rounds than ours: ratios are of the same round.
    """

    what: str
    unit: str
    more_is_better: bool
    ours: Side
    others: tuple[Side, ...] = ()

    def __post_init__(self) -> None:
        for other in self.others:
            if len(other.rounds) != len(self.ours.rounds):
                raise ValueError(
                    f"{self.what}: {other.who} has {len(other.rounds)} rounds, not {len(self.ours.rounds)}"
                )

    def ahead(self, other: Side) -> Spread:
        """How many times better ours is than another side: 2 is twice as fast, or half as much memory.

        The median of the rounds' ratios: the two values of one lie a minute apart, not a run.
        """
        pairs = zip(self.ours.rounds, other.rounds, strict=True)
        return Spread.of(tuple(ours / theirs if self.more_is_better else theirs / ours for ours, theirs in pairs))


@dataclass(frozen=True, kw_only=True)
class Record:
    """What one benchmark found, and how long it took in seconds, its preparations included."""

    benchmark: str
    seconds: float
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, kw_only=True)
class Run:
    """All that one run of the benchmarks found. `machine` has what decides the figures, by name."""

    machine: Mapping[str, str]
    records: tuple[Record, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs; `run_of` reads it back."""
        return asdict(self)


def run_of(found: Mapping[str, Any]) -> Run:
    """A run from its JSON. Raises KeyError or ValueError for anything else."""
    return Run(
        machine=dict(found["machine"]),
        records=tuple(
            Record(
                benchmark=record["benchmark"],
                seconds=record["seconds"],
                comparisons=tuple(map(_comparison, record["comparisons"])),
            )
            for record in found["records"]
        ),
    )


def _comparison(found: Mapping[str, Any]) -> Comparison:
    return Comparison(
        what=found["what"],
        unit=found["unit"],
        more_is_better=found["more_is_better"],
        ours=_side(found["ours"]),
        others=tuple(map(_side, found["others"])),
    )


def _side(found: Mapping[str, Any]) -> Side:
    return Side(who=found["who"], rounds=tuple(found["rounds"]))
