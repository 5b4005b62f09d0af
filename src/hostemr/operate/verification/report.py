"""A verification as lines and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from hostemr.operate.verification.outcome import Outcome, State

_COLOURS = {State.OK: "green", State.FAILED: "red", State.SKIPPED: "yellow"}


@dataclass(frozen=True)
class Verification:
    """What came of every check. `application` is None where it could not be told."""

    url: str
    application: str | None
    started: str
    outcomes: tuple[Outcome, ...]

    def count(self, state: State) -> int:
        """How many checks came out so."""
        return sum(outcome.state is state for outcome in self.outcomes)

    @property
    def failed(self) -> list[str]:
        """The ids of the checks that failed."""
        return [outcome.id for outcome in self.outcomes if outcome.state is State.FAILED]

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "url": self.url,
            "application": self.application,
            "started": self.started,
            "ok": self.count(State.OK),
            "failed": self.count(State.FAILED),
            "skipped": self.count(State.SKIPPED),
            "checks": [asdict(outcome) for outcome in self.outcomes],
        }


def line(outcome: Outcome) -> str:
    """One check; of a failed one, what was asked and what to do."""
    state = click.style(f"{outcome.state:<8}", fg=_COLOURS[outcome.state])
    told = f"{state}{outcome.id:<18}{outcome.title}: {outcome.detail}"
    if outcome.state is State.FAILED:
        told += f"\n{'':8}{'':18}asked: {outcome.asked}\n{'':8}{'':18}to do: {outcome.remedy}"
        told += f"\n{'':8}{'':18}see:   {outcome.source}"
    return told


def summary(outcomes: Sequence[Outcome]) -> str:
    """The counts."""
    counts = {state: sum(outcome.state is state for outcome in outcomes) for state in State}
    return f"{counts[State.OK]} ok, {counts[State.FAILED]} failed, {counts[State.SKIPPED]} skipped"
