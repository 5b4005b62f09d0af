"""The page of one broadcast: what it says, where it stands, and what whoever looks may do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import Connection, select
from starlette.responses import Response

from hostemr.registration.board.shell import Console, Visit
from hostemr.registration.broadcasts.catalogue import approvers, names_of
from hostemr.registration.broadcasts.content import Rendered
from hostemr.registration.broadcasts.next_step import Review, next_step
from hostemr.registration.broadcasts.recipients import RecipientCount
from hostemr.registration.broadcasts.store import BroadcastStore, UnknownBroadcast
from hostemr.registration.database import Database
from hostemr.registration.lifecycle import TRANSITIONS, Action, State
from hostemr.registration.links import Category
from hostemr.registration.schema import broadcast

AT_ONCE_SECONDS = 1.0
"""How long the page itself waits for the number of recipients; a script asks for it again then."""
PATIENCE_SECONDS = 9.0
NOT_SENT: frozenset[State] = frozenset({"draft", "review", "approved"})
SENT: frozenset[State] = frozenset({"queued", "sending", "paused", "done"})
FORMATS = {"markdown": "Markdown", "html": "HTML", "text": "plain text"}


def parts_of(row: Any) -> Rendered:
    """What the readers of a broadcast get."""
    # Queued by hostemr 0.1 before it rendered: the contents are the text.
    return Rendered(row.contents, None) if row.text_part is None else Rendered(row.text_part, row.html_part)


class DetailPage:
    """Shows one broadcast, also again after something about it was refused."""

    def __init__(self, console: Console, store: BroadcastStore, database: Database, recipients: RecipientCount) -> None:
        self._console = console
        self._store = store
        self._database = database
        self._recipients = recipients

    async def row(self, name: str) -> Any:
        """The broadcast of this name. Raises UnknownBroadcast."""
        row = await self._store.find(name)
        if row is None:
            message = "There is no such broadcast."
            raise UnknownBroadcast(message, hint="look for it in the list of broadcasts")
        return row

    async def recipients_in_words(self, row: Any, patience_seconds: float) -> str:
        """How many would get it now; empty where that takes longer."""
        category = cast("Category", row.category)
        found = await self._recipients.of(category, row.fixed_version_order, patience_seconds)
        return "" if found is None else found.in_words(category, row.fixed_version)

    async def show(
        self,
        visit: Visit,
        row: Any,
        *,
        status: int = 200,
        problems: Mapping[str, str] | None = None,
        typed: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Response:
        """The page; `problems` and `typed` are those of a form on it that was refused."""
        votes = await self._store.approvals_of(row.uuid)
        required = await self._store.required()
        others = [vote for vote in votes if vote.member != row.author]

        def read(connection: Connection) -> tuple[dict[str, str], list[str], Any]:
            names = names_of(connection, [row.author, row.overridden_by, *(vote.member for vote in votes)])
            original = (
                connection.execute(
                    select(broadcast.c.uuid, broadcast.c.title).where(broadcast.c.id == row.resend_of)
                ).first()
                if row.resend_of is not None
                else None
            )
            return names, approvers(connection, row.author), original

        async with self._database.read() as connection:
            names, able, original = await connection.run_sync(read)
        own = str(visit.member.id)
        voted = any(vote.member == own for vote in others)
        review = Review(required, len(others), able, voted)
        return await self._console.page(
            visit,
            "board/broadcast.html",
            status=status,
            row=row,
            names=names,
            original=original,
            approvals=[(names.get(vote.member, vote.member), vote.created_at) for vote in others],
            review=review,
            step=next_step(row, visit.member, review),
            may=_possible(row, visit, required, voted=voted),
            text=parts_of(row).text,
            format=FORMATS[row.format],
            recipients=await self.recipients_in_words(row, AT_ONCE_SECONDS) if row.state in NOT_SENT else "",
            counts_recipients=row.state in NOT_SENT and row.resend_of is None,
            was_sent=row.queued_at is not None,
            frame=f"/board/broadcasts/{row.uuid}/preview.html",
            problems=problems or {},
            typed=typed or {},
            **{"replies": [], "trial_problem": None, **values},
        )


def _possible(row: Any, visit: Visit, required: int, *, voted: bool) -> dict[str, bool]:
    """What this member may do to this broadcast now, as the store would have it."""

    def can(action: Action) -> bool:
        return row.state in TRANSITIONS[action][0]

    board = row.source == "board"
    is_author = str(visit.member.id) == row.author
    return {
        "edit": visit.may("write") and can("edit") and board,
        "submit": visit.may("write") and can("submit") and board,
        "delete": visit.may("write") and row.state == "draft",
        "try": visit.may("write") and row.state in NOT_SENT,
        "approve": visit.may("approve") and can("approve") and not is_author and not voted,
        "is_barred": visit.may("approve") and can("approve") and is_author,
        "reject": visit.may("approve") and can("reject") and row.resend_of is None,
        "override": visit.may("approve") and can("override") and required > 0,
        "send": visit.may("send") and row.state == "approved",
        "cancel": visit.may("steer") and row.state == "approved",
        "publish": visit.may("approve") and row.state != "cancelled",
        "watch": row.state in SENT or (row.state == "cancelled" and row.queued_at is not None),
    }
