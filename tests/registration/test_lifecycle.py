"""The states of a broadcast: what leads from one to the next, and nothing else."""

from __future__ import annotations

from typing import get_args

import pytest

from hostemr.registration.lifecycle import ENDED, SENDABLE, Action, State, WrongState, after

STATES: tuple[State, ...] = get_args(State)
ACTIONS: tuple[Action, ...] = get_args(Action)
TABLE: dict[tuple[Action, State], State] = {
    ("edit", "draft"): "draft",
    ("edit", "review"): "draft",
    ("submit", "draft"): "review",
    ("reject", "review"): "draft",
    ("reject", "approved"): "draft",
    ("approve", "review"): "approved",
    ("override", "draft"): "approved",
    ("override", "review"): "approved",
    ("queue", "approved"): "queued",
    ("start", "queued"): "sending",
    ("pause", "queued"): "paused",
    ("pause", "sending"): "paused",
    ("resume", "paused"): "queued",
    ("cancel", "draft"): "cancelled",
    ("cancel", "review"): "cancelled",
    ("cancel", "approved"): "cancelled",
    ("cancel", "queued"): "cancelled",
    ("cancel", "sending"): "cancelled",
    ("cancel", "paused"): "cancelled",
    ("finish", "queued"): "done",
    ("finish", "sending"): "done",
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_in_every_state(action: Action, state: State) -> None:
    if (action, state) in TABLE:
        assert after(action, state) == TABLE[action, state]
        return
    with pytest.raises(WrongState) as error:
        after(action, state)
    assert error.value.message == f"A broadcast that is {state} cannot be changed by «{action}»."
    named = error.value.hint.removeprefix("possible now: ")
    possible: set[str] = {one for one, source in TABLE if source == state}
    assert set(named.split(", ")) == (possible or {"nothing", "it has ended"})


def test_a_wrong_state_is_a_refusal() -> None:
    assert (WrongState.exit_status, WrongState.http_status, WrongState.wire_name) == (4, 409, "WrongStateException")


def test_what_has_ended_stays_so() -> None:
    assert set(STATES) - {source for _, source in TABLE} == {"done", "cancelled"}
    assert {"done", "cancelled"} == ENDED


def test_only_what_a_worker_may_send_can_come_to_its_end() -> None:
    assert {"queued", "sending"} == SENDABLE


def test_every_state_can_be_reached() -> None:
    assert {"draft", *TABLE.values()} == set(STATES)
