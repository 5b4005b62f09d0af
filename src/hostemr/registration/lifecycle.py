"""The life of a broadcast: its states, and what leads from one to the next.

    draft -> review -> approved -> queued -> sending <-> paused -> done or cancelled

A broadcast of the API begins as queued. From `approved` on its content never changes; rejecting
and editing lead back to draft, where every approval is void since it is bound to the content's hash.
In an emergency an override leads past the review.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from hostemr.errors import RefusedError

State = Literal["draft", "review", "approved", "queued", "sending", "paused", "done", "cancelled"]
Action = Literal[
    "edit", "submit", "reject", "approve", "override", "queue", "start", "pause", "resume", "cancel", "finish"
]

TRANSITIONS: dict[Action, tuple[frozenset[State], State]] = {
    "edit": (frozenset({"draft", "review"}), "draft"),
    "submit": (frozenset({"draft"}), "review"),
    "reject": (frozenset({"review", "approved"}), "draft"),
    "approve": (frozenset({"review"}), "approved"),
    "override": (frozenset({"draft", "review"}), "approved"),
    "queue": (frozenset({"approved"}), "queued"),
    "start": (frozenset({"queued"}), "sending"),
    "pause": (frozenset({"queued", "sending"}), "paused"),
    "resume": (frozenset({"paused"}), "queued"),
    "cancel": (frozenset({"draft", "review", "approved", "queued", "sending", "paused"}), "cancelled"),
    "finish": (frozenset({"queued", "sending"}), "done"),
}
PausedBy = Literal["member", "canary", "quota", "account", "content"]
LONGEST_REASON = 500
NOT_PAUSED: dict[str, Any] = {"paused_by": None, "pause_reason": None, "resume_at": None}
"""The columns of a broadcast that goes on."""

SENDABLE: frozenset[State] = TRANSITIONS["finish"][0]
ENDED: frozenset[State] = frozenset({"done", "cancelled"})


class WrongState(RefusedError):
    """The broadcast is in a state in which this cannot be done to it."""

    http_status = 409
    wire_name = "WrongStateException"


def after(action: Action, state: State) -> State:
    """The state to which `action` leads from `state`. Raises WrongState."""
    sources, target = TRANSITIONS[action]
    if state not in sources:
        possible = [name for name, (states, _) in TRANSITIONS.items() if state in states]
        message = f"A broadcast that is {state} cannot be changed by «{action}»."
        raise WrongState(message, hint=f"possible now: {', '.join(possible) or 'nothing, it has ended'}")
    return target


def paused(by: PausedBy, reason: str, resume_at: datetime | None = None) -> dict[str, Any]:
    """The columns of a broadcast that is paused; without `resume_at`, until a person lets it go on."""
    return {"state": "paused", "paused_by": by, "pause_reason": reason[:LONGEST_REASON], "resume_at": resume_at}
