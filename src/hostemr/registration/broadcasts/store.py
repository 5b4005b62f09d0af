"""Stores broadcasts, their approvals and their audiences."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from hostemr.errors import RequestError
from hostemr.registration.board.approvals import required_approvals
from hostemr.registration.board.audit import API, AuditLog, Detail
from hostemr.registration.broadcasts.audience import CanarySize, count, freeze, wants
from hostemr.registration.broadcasts.draft import Draft
from hostemr.registration.broadcasts.repetition import content_key, earlier, identity, identity_of, once_key, twin
from hostemr.registration.broadcasts.resending import PARTS, check_resendable, family_of, missed
from hostemr.registration.broadcasts.review import (
    LONGEST_NOTE,
    check_hash,
    check_reason,
    check_sendable,
    count_votes,
    standing,
    void,
    vote,
)
from hostemr.registration.broadcasts.review import NotAllowed as NotAllowed  # noqa: PLC0414, who uses the store meets it
from hostemr.registration.broadcasts.review import ReasonWanting as ReasonWanting  # noqa: PLC0414
from hostemr.registration.database import Database, upsert
from hostemr.registration.lifecycle import NOT_PAUSED, Action, State, after, paused
from hostemr.registration.links import Category
from hostemr.registration.progress import totals_of
from hostemr.registration.schema import approval, broadcast

FREEZE_SECONDS = 600.0
"""A million recipients take about 20 s on a small machine."""
Values = dict[str, Any]
Details = Mapping[str, Detail]
Change = Callable[[Connection, Any], tuple[Values, Details]]
"""From the locked row: the columns that change, and what the audit log says about it."""


class UnknownBroadcast(RequestError):
    """There is no broadcast of that name."""

    exit_status = 1
    http_status = 404
    wire_name = "UnknownBroadcastException"


class KeyReused(RequestError):
    """The same Idempotency-Key with something else (draft-ietf-httpapi-idempotency-key-header, 2.7)."""

    http_status = 422
    wire_name = "IdempotencyKeyReusedException"


@dataclass(frozen=True, slots=True)
class QueuedBroadcast:
    """A broadcast that will be sent, and to how many; `repeated` where it was queued before."""

    uuid: str
    audience: int
    repeated: bool = False


class BroadcastStore:
    """Broadcasts from draft to queued, and what people do to them afterwards.

    Each change is one transaction on the locked row, with its entry in the audit log, so that of two
    people who do contrary things at once the second is told that he comes too late (WrongState).
    `actor` is whoever does it, as the audit log names them; members are named by their id.
    `approvals` is the setting; None lets the number of the board's members decide.
    """

    def __init__(
        self,
        database: Database,
        *,
        canary: CanarySize,
        approvals: int | None,
        audit: AuditLog,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._canary = canary
        self._approvals = approvals
        self._audit = audit
        self._clock = clock

    async def queue_at_once(self, draft: Draft, key: str | None) -> QueuedBroadcast:
        """Store a broadcast of the API and freeze its audience, in one transaction: all of it exists or nothing.

        The same content to the same people within ten minutes is the same broadcast: somebody
        clicked twice, or tried again after a reply that did not arrive. With `key` (an
        Idempotency-Key) it is the same for ever, and another content with it raises KeyReused.
        """

        def work(connection: Connection) -> QueuedBroadcast:
            now = self._clock()
            before = None if key else earlier(connection, draft, now)
            if before is not None:
                return QueuedBroadcast(before.uuid, before.audience, repeated=True)
            once = once_key("key", key) if key else content_key(identity(draft), now)
            row = self._row(draft, now) | {"once_key": once, "source": "api", "state": "queued"}
            # Of two at the same instant the second waits here for the first, and then adds nothing.
            connection.execute(upsert(self._database.dialect, broadcast, ("once_key",), lambda _: {}), [row])
            stored = connection.execute(select(broadcast).where(broadcast.c.once_key == once)).one()
            if stored.uuid == row["uuid"]:
                same = None if key else twin(connection, draft, now)
                if same is not None:
                    connection.execute(delete(broadcast).where(broadcast.c.id == stored.id))
                    return QueuedBroadcast(same.uuid, same.audience, repeated=True)
                condition = wants(draft.category, draft.fixed_version_order)
                audience = freeze(connection, stored.id, condition, self._canary, now)
                self._log(connection, API, "queue", stored.uuid, audience=audience, sha256=draft.sha256)
                return QueuedBroadcast(stored.uuid, audience)
            if identity_of(stored) != identity(draft):
                message = "This Idempotency-Key was used for another broadcast."
                raise KeyReused(message)
            return QueuedBroadcast(stored.uuid, stored.audience, repeated=True)

        return await self._database.write(work, timeout_seconds=FREEZE_SECONDS)

    async def create(self, draft: Draft, author: str, actor: str) -> str:
        """Store a draft of a member of the board; answers its name."""

        def work(connection: Connection) -> str:
            name = self._insert(connection, self._row(draft, self._clock()) | {"state": "draft", "author": author})
            self._log(connection, actor, "create", name, sha256=draft.sha256)
            return name

        return await self._database.write(work)

    async def edit(self, name: str, draft: Draft, member: str, actor: str, *, read: str | None = None) -> None:
        """Replace a draft's content. Whoever edits becomes its author; every approval, and an override, is void.

        `read` is the hash of the content that the member began with. Raises NotAllowed where somebody
        saved another one meanwhile.
        """

        def edited(connection: Connection, row: Any) -> tuple[Values, Details]:
            if read is not None:
                check_hash(row, read)
            return {**void(connection, row.id), **_content(draft), "author": member}, {"sha256": draft.sha256}

        await self._change(name, "edit", actor, edited)

    async def submit(self, name: str, actor: str) -> State:
        """Ask for approval; where the policy wants none, it is approved at once."""

        def submitted(connection: Connection, row: Any) -> tuple[Values, Details]:
            needed = required_approvals(connection, self._approvals)
            state = "review" if needed else "approved"
            return {"state": state, "review_note": None}, {"sha256": row.content_sha256, "required": needed}

        return await self._change(name, "submit", actor, submitted)

    async def approve(self, name: str, member: str, sha256: str, actor: str) -> State:
        """Approve the content whose hash is `sha256`, which is what the member has read.

        Raises NotAllowed for the author, and where the content is another one by now.
        """

        def approved(connection: Connection, row: Any) -> tuple[Values, Details]:
            if member == row.author:
                message = "Who wrote a broadcast cannot approve it."
                raise NotAllowed(message, hint="ask another member of the board who may approve")
            check_hash(row, sha256)
            vote(connection, self._database.dialect, row, member, self._clock())
            votes, needed = count_votes(connection, row), required_approvals(connection, self._approvals)
            state = "approved" if votes >= needed else "review"
            return {"state": state}, {"sha256": sha256, "approvals": votes, "required": needed}

        return await self._change(name, "approve", actor, approved)

    async def reject(self, name: str, actor: str, note: str = "") -> None:
        """Send a broadcast back to its author, who reads `note`; approvals that it had are void."""

        def rejected(connection: Connection, row: Any) -> tuple[Values, Details]:
            kept = note.strip()[:LONGEST_NOTE]
            return {**void(connection, row.id), "review_note": kept or None}, {"note": kept}

        await self._change(name, "reject", actor, rejected)

    async def override(self, name: str, member: str, sha256: str, reason: str, actor: str) -> None:
        """Let the content whose hash is `sha256` go without approval, for a reason that stays for ever.

        Raises ReasonWanting, and NotAllowed where the content is another one by now.
        """
        reason = check_reason(reason)

        def overridden(_connection: Connection, row: Any) -> tuple[Values, Details]:
            check_hash(row, sha256)
            values = {"overridden_by": member, "override_reason": reason}
            return values, {"sha256": sha256, "reason": reason}

        await self._change(name, "override", actor, overridden)

    async def queue(self, name: str, actor: str) -> int:
        """Freeze the audience of an approved broadcast, and let workers send it; answers how many get it.

        Raises NotAllowed where fewer have approved it than must by now.
        """
        audience = 0

        def queued(connection: Connection, row: Any) -> tuple[Values, Details]:
            nonlocal audience
            check_sendable(connection, row, required_approvals(connection, self._approvals))
            now = self._clock()
            audience = freeze(connection, row.id, _audience(connection, row, now), self._canary, now)
            values: Values = {} if audience else {"state": "done"}
            return values, {"audience": audience, "sha256": row.content_sha256}

        await self._change(name, "queue", actor, queued, timeout_seconds=FREEZE_SECONDS)
        return audience

    async def pause(self, name: str, reason: str, actor: str) -> None:
        """Stop sending after the chunks at hand; a pause that would end by itself no longer does."""
        await self._change(name, "pause", actor, lambda *_: (paused("member", reason), {"reason": reason}))

    async def resume(self, name: str, actor: str) -> None:
        """Go on sending. What was known of bounces and complaints until now no longer speaks against it."""

        def resumed(connection: Connection, row: Any) -> tuple[Values, Details]:
            totals, _, _ = totals_of(connection, row.id)
            forgiven = {f"forgiven_{name}": number for name, number in asdict(totals).items()}
            return {**NOT_PAUSED, **forgiven}, {"paused_by": row.paused_by, "reason": row.pause_reason}

        await self._change(name, "resume", actor, resumed)

    async def cancel(self, name: str, actor: str) -> None:
        """End it after the chunks at hand; who was not sent to never will be."""

        def cancelled(_connection: Connection, row: Any) -> tuple[Values, Details]:
            # The same content may be queued anew at once; an Idempotency-Key stays this broadcast's.
            own = content_key(identity_of(row), row.created_at)
            freed = {"once_key": once_key("cancelled", row.uuid)} if row.once_key == own else {}
            return {"finished_at": self._clock(), **freed}, {"state": row.state}

        await self._change(name, "cancel", actor, cancelled)

    async def publish(self, name: str, *, shown: bool, actor: str) -> None:
        """Show a broadcast among the public advisories once it is sent, or take it from there."""

        def work(connection: Connection) -> None:
            row = _locked(connection, name)
            if bool(row.published) != shown:
                connection.execute(update(broadcast).where(broadcast.c.id == row.id).values(published=int(shown)))
                self._log(connection, actor, "publish" if shown else "withdraw", name)

        await self._database.write(work)

    async def resend(self, name: str, author: str, actor: str) -> str:
        """A new broadcast with the same parts for those whom this one did not reach; answers its name.

        It is approved, as what it repeats was, and queued like any other. Raises WrongState before the
        broadcast has ended, NotAllowed if it never was sent, ResendOpen while another resend has not ended.
        """

        def work(connection: Connection) -> str:
            found = connection.execute(select(broadcast).where(broadcast.c.uuid == name)).first()
            # Of two at once the second waits here, and then finds the first one's resend.
            if found is not None:
                first = broadcast.c.id == family_of(found)
                connection.execute(select(broadcast.c.id).where(first).with_for_update())
            row = _locked(connection, name)
            check_resendable(connection, row)
            values = {column: getattr(row, column) for column in PARTS}
            values |= {"uuid": str(uuid.uuid4()), "audience": 0, "created_at": self._clock()}
            # The public page has shown what it says already.
            values |= {"state": "approved", "author": author, "resend_of": family_of(row), "published": 0}
            resent = self._insert(connection, values)
            self._log(connection, actor, "resend", resent, of=name, sha256=row.content_sha256)
            return resent

        return await self._database.write(work)

    async def find(self, name: str) -> Any:
        """The whole row of a broadcast; None where there is none."""
        async with self._database.read() as connection:
            return (await connection.execute(select(broadcast).where(broadcast.c.uuid == name))).first()

    async def find_by_id(self, identity: int) -> Any:
        """The same by its number, as `resend_of` has it."""
        async with self._database.read() as connection:
            return (await connection.execute(select(broadcast).where(broadcast.c.id == identity))).first()

    async def approvals_of(self, name: str) -> list[Any]:
        """Whose approval of the content as it is counts, the first one first: `member` and `created_at`."""
        of_this = and_(
            approval.c.broadcast_id == broadcast.c.id, approval.c.content_sha256 == broadcast.c.content_sha256
        )
        votes = (
            select(approval.c.member, approval.c.created_at)
            .join(broadcast, of_this)
            .where(broadcast.c.uuid == name)
            .order_by(approval.c.id)
        )
        async with self._database.read() as connection:
            return await connection.run_sync(lambda opened: standing(opened, opened.execute(votes).all()))

    async def required(self) -> int:
        """How many members besides the author must approve a broadcast at this moment."""
        async with self._database.read() as connection:
            return await connection.run_sync(required_approvals, self._approvals)

    async def count_audience(self, category: Category, fixed_version_order: int | None) -> int:
        """How many would get a broadcast at this moment."""
        async with self._database.read() as connection:
            return await connection.run_sync(count, wants(category, fixed_version_order))

    async def count_recipients(self, row: Any) -> int:
        """How many would get this broadcast, as `find` has it, if it were queued at this moment."""
        now = self._clock()
        async with self._database.read() as connection:
            return await connection.run_sync(lambda opened: count(opened, _audience(opened, row, now)))

    async def _change(
        self,
        name: str,
        action: Action,
        actor: str,
        change: Change,
        timeout_seconds: float | None = None,
    ) -> State:
        def work(connection: Connection) -> State:
            row = _locked(connection, name)
            # A pause for the account's sake ends by itself; a person can make it one that does not.
            state: State = "sending" if action == "pause" and row.resume_at is not None else row.state
            values: Values = {"state": after(action, state)}
            changed, details = change(connection, row)
            values |= changed
            connection.execute(update(broadcast).where(broadcast.c.id == row.id).values(values))
            self._log(connection, actor, action, name, **details)
            return cast("State", values["state"])

        return await self._database.write(work, timeout_seconds=timeout_seconds)

    def _log(self, connection: Connection, actor: str, verb: str, name: str, **details: Detail) -> None:
        """The last statement of each change: it holds the log's lock until the end."""
        self._audit.append(connection, actor, f"broadcast.{verb}", f"broadcast:{name}", **details)

    @staticmethod
    def _insert(connection: Connection, values: Values) -> str:
        name = str(values["uuid"])
        connection.execute(insert(broadcast), [{**values, "once_key": once_key("draft", name), "source": "board"}])
        return name

    @staticmethod
    def _row(draft: Draft, now: datetime) -> Values:
        return {"uuid": str(uuid.uuid4()), "audience": 0, "created_at": now, **_content(draft)}


def _locked(connection: Connection, name: str) -> Any:
    row = connection.execute(select(broadcast).where(broadcast.c.uuid == name).with_for_update()).first()
    if row is None:
        message = f"There is no broadcast {name[:64]!r}."
        raise UnknownBroadcast(message)
    return row


def _audience(connection: Connection, row: Any, now: datetime) -> ColumnElement[bool]:
    """The condition on a subscriber to get a broadcast at this moment."""
    wanting = wants(cast("Category", row.category), row.fixed_version_order)
    return wanting if row.resend_of is None else and_(missed(connection, row, now), wanting)


def _content(draft: Draft) -> Values:
    return {
        "title": draft.title,
        "contents": draft.contents,
        "content_sha256": draft.sha256,
        "format": draft.format,
        "text_part": draft.rendered.text,
        "html_part": draft.rendered.html,
        "category": draft.category,
        "severity": draft.severity,
        "fixed_version": draft.fixed_version,
        "fixed_version_order": draft.fixed_version_order,
    }
