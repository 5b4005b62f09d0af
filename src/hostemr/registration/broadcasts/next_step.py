"""What a broadcast's state means, what happens next, and who can do it: for people who do not know the states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hostemr.registration.board.roles import Member
from hostemr.registration.lifecycle import State


@dataclass(frozen=True, slots=True)
class Review:
    """How far the approval is: `votes` of `required`; `able` are the names of those who could approve."""

    required: int
    votes: int
    able: Sequence[str]
    voted: bool
    """Whether whoever looks has approved already."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """`meaning` says where it stands, `next_step` what happens now and by whom; `kind` is a notice's."""

    meaning: str
    next_step: str
    kind: str = "note"


def next_step(row: Any, member: Member, review: Review) -> NextStep:
    """The words for one broadcast, as one member sees it."""
    state: State = row.state
    if state == "draft":
        return _draft(row, review)
    if state == "review":
        return _review(row, member, review)
    if state == "approved":
        if row.overridden_by is not None:
            meaning = "It may be sent without approval: an approver has overridden the rule."
            return NextStep(meaning, _SEND_NEXT, "warning")
        meaning = "It is a resend of what was approved before." if row.resend_of is not None else "It may be sent."
        return NextStep(meaning, _SEND_NEXT, "good")
    if state == "paused":
        reason = f": {row.pause_reason}" if row.pause_reason else ""
        goes_on = "It goes on by itself." if row.resume_at else "It goes on when an author resumes it."
        return NextStep(f"Sending is paused{reason}.", goes_on, "warning")
    return _SIMPLE[state]


_SEND_NEXT = "An author or an approver looks at the send page, which shows how long it will take, and sends it."
_SIMPLE: dict[str, NextStep] = {
    "queued": NextStep("It is in the queue.", "Sending begins within seconds. Nobody has to do anything."),
    "sending": NextStep("It is being sent.", "Nobody has to do anything. It can be paused at any time."),
    "done": NextStep("It was sent.", "Nobody has to do anything. Look who did not get it, and resend to them.", "good"),
    "cancelled": NextStep("It was cancelled.", "It stays here for the record and will not be sent any more."),
}


def _draft(row: Any, review: Review) -> NextStep:
    back = row.review_note is not None
    meaning = "It was sent back to its author." if back else "It is a draft. Nobody outside the board can see it."
    if review.required:
        people = "one other member" if review.required == 1 else f"{review.required} other members"
        then = f"then {people} of the board must approve it before it can be sent"
    else:
        then = "no approval is needed as the board stands, so it can be sent right after"
    mend = "mends it and asks again" if back else "asks for approval when it is ready"
    return NextStep(meaning, f"An author {mend}; {then}.", "warning" if back else "note")


def _review(row: Any, member: Member, review: Review) -> NextStep:
    missing = max(review.required - review.votes, 1)
    meaning = f"It waits for approval: {review.votes} of {max(review.required, 1)} given."
    if not review.able:
        words = "No other member may approve it. An administrator has to make somebody an approver first."
        return NextStep(meaning, words, "warning")
    people = _list(review.able)
    if str(member.id) == row.author:
        words = f"You wrote it, so you cannot approve it. It needs {missing} more: {people}."
    elif review.voted:
        words = f"You have approved it. It needs {missing} more: {people}."
    elif member.may("approve"):
        words = "Read what it says and whom it goes to. Then approve it, or send it back with a note."
    else:
        words = f"It needs {missing} more approval{'' if missing == 1 else 's'}. Who may give it: {people}."
    return NextStep(meaning, words)


def _list(names: Sequence[str], most: int = 5) -> str:
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    return " or ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]
