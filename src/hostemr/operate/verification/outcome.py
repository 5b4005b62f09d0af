"""Checks as rows, and what came of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, quote_plus

from hostemr.operate.printable import printable
from hostemr.operate.verification.web import NoAnswer

LONGEST_DETAIL = 600
"""Parts of a detail are the server's words, which may be megabytes."""


class State(StrEnum):
    """What came of a check."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class Failed(Exception):
    """A check's verdict: what was found, and what to do where it is not what the check says anyway."""

    def __init__(self, detail: str, *, remedy: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


class Skipped(Exception):
    """A check could not be made; the text says why."""


@dataclass(frozen=True)
class Check:
    """One question to the deployment.

    `judge` answers what it saw, or raises Failed or Skipped. `asked` is what is sent, `remedy` what to do when it
    fails, `source` the page that says what is right. It is made only if the checks in `needs` succeeded.
    """

    id: str
    title: str
    asked: str
    judge: Callable[[], str]
    remedy: str
    source: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of one check; `seconds` is how long it took, an operator's log-in included."""

    id: str
    title: str
    asked: str
    state: State
    detail: str
    seconds: float
    remedy: str
    source: str


class Secrets:
    """Passwords, codes and tokens of this run, which no text may show."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def add(self, *values: str | None) -> None:
        """Keep these out of every text from now on."""
        self._known |= {value for value in values if value}

    def clean(self, text: str) -> str:
        """The text without any of them, as they are or as in a URL."""
        for value in sorted(self._known, key=len, reverse=True):
            for written in (value, quote(value), quote(value, safe=""), quote_plus(value)):
                text = text.replace(written, "***")
        return text


def run(
    checks: Iterable[Check],
    *,
    secrets: Secrets,
    told: Callable[[Outcome], None],
    before: Sequence[Outcome] = (),
    clock: Callable[[], float] = time.monotonic,
) -> list[Outcome]:
    """Make the checks in order and tell of each as it ends. `before` are outcomes that some may need."""
    done = {outcome.id: outcome.state for outcome in before}
    outcomes = []
    for check in checks:
        started = clock()
        state, detail, remedy = _judge(check, done)
        outcome = Outcome(
            id=check.id,
            title=check.title,
            asked=check.asked,
            state=state,
            # Cut only when it is clean: a part of a token is no longer found.
            detail=printable(secrets.clean(detail), LONGEST_DETAIL),
            seconds=round(clock() - started, 3),
            remedy=(remedy or check.remedy) if state is State.FAILED else "",
            source=check.source,
        )
        done[check.id] = state
        outcomes.append(outcome)
        told(outcome)
    return outcomes


def _judge(check: Check, done: dict[str, State]) -> tuple[State, str, str]:
    missing = [name for name in check.needs if done.get(name) is not State.OK]
    if missing:
        return State.SKIPPED, f"it needs {', '.join(missing)}", ""
    try:
        return State.OK, check.judge(), ""
    except Failed as verdict:
        return State.FAILED, verdict.detail, verdict.remedy
    except Skipped as reason:
        return State.SKIPPED, str(reason), ""
    except NoAnswer as error:
        return State.FAILED, error.message, error.hint
