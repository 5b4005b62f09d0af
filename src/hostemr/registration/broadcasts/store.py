"""Stores broadcasts, their approvals and their audiences."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from hostemr.errors import RefusedError, RequestError
from hostemr.registration.broadcasts.audience import CanarySize, count, freeze, wants
from hostemr.registration.broadcasts.draft import Draft
from hostemr.registration.database import Database, upsert
from hostemr.registration.lifecycle import NOT_PAUSED, Action, State, after, paused
from hostemr.registration.links import Category
from hostemr.registration.progress import totals_of
from hostemr.registration.schema import approval, broadcast

ONCE_WITHIN = timedelta(minutes=10)
FREEZE_SECONDS = 600.0
"""A million recipients take about 20 s on a small machine."""


class UnknownBroadcast(RequestError):
    """There is no broadcast of that name."""

    exit_status = 1
    http_status = 404
    wire_name = "UnknownBroadcastException"


class KeyReused(RequestError):
    """The same Idempotency-Key with something else (draft-ietf-httpapi-idempotency-key-header, 2.7)."""

    http_status = 422
    wire_name = "IdempotencyKeyReusedException"


class NotAllowed(RefusedError):
    """The member may not do this to this broadcast."""

    http_status = 403
    wire_name = "NotAllowedException"


@dataclass(frozen=True, slots=True)
class QueuedBroadcast:
    """A broadcast that will be sent, and to how many; `repeated` where it was queued before."""

    uuid: str
    audience: int
    repeated: bool = False


class BroadcastStore:
    """Broadcasts from draft to queued, and what people do to them afterwards.

    Each change is one transaction on the locked row, so that of two people who do contrary things
    at once the second is told that he comes too late (WrongState).
    """

    def __init__(
        self,
        database: Database,
        *,
        canary: CanarySize,
        approvals: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._canary = canary
        self._approvals = approvals
        self._clock = clock

    async def queue_at_once(self, draft: Draft, key: str | None) -> QueuedBroadcast:
        """Store a broadcast and freeze its audience, in one transaction: either all of it exists or nothing.

        The same content to the same people within ten minutes is the same broadcast: somebody
        clicked twice, or tried again after a reply that did not arrive. With `key` (an
        Idempotency-Key) it is the same for ever, and another content with it raises KeyReused.
        """

        def work(connection: Connection) -> QueuedBroadcast:
            now = self._clock()
            earlier = None if key else self._earlier(connection, draft, now)
            if earlier is not None:
                return earlier
            once_key = _hash("key", key) if key else _content_key(_identity(draft), _window(now))
            row = self._row(draft, now) | {"once_key": once_key, "source": "api", "state": "queued"}
            # Of two at the same instant the second waits here for the first, and then adds nothing.
            connection.execute(upsert(self._database.dialect, broadcast, ("once_key",), lambda _: {}), [row])
            stored = connection.execute(select(broadcast).where(broadcast.c.once_key == once_key)).one()
            if stored.uuid == row["uuid"]:
                twin = None if key else self._twin(connection, draft, now)
                if twin is not None:
                    connection.execute(delete(broadcast).where(broadcast.c.id == stored.id))
                    return twin
                condition = wants(draft.category, draft.fixed_version_order)
                return QueuedBroadcast(stored.uuid, freeze(connection, stored.id, condition, self._canary, now))
            if _identity_of(stored) != _identity(draft):
                message = "This Idempotency-Key was used for another broadcast."
                raise KeyReused(message)
            return QueuedBroadcast(stored.uuid, stored.audience, repeated=True)

        return await self._database.write(work, timeout_seconds=FREEZE_SECONDS)

    async def create(self, draft: Draft, author: str) -> str:
        """Store a draft of a member of the board; answers its name."""

        def work(connection: Connection) -> str:
            row = self._row(draft, self._clock())
            row |= {"once_key": _hash("draft", row["uuid"]), "source": "board", "state": "draft", "author": author}
            connection.execute(insert(broadcast), [row])
            return str(row["uuid"])

        return await self._database.write(work)

    async def edit(self, name: str, draft: Draft, member: str) -> None:
        """Replace a draft's content. Whoever edits becomes its author; every approval is void."""

        def edited(connection: Connection, row: Any) -> dict[str, Any]:
            _void_approvals(connection, row.id)
            return {**_content(draft), "author": member}

        await self._change(name, "edit", edited)

    async def submit(self, name: str) -> State:
        """Ask for approval; where the policy wants none, it is approved at once."""

        def submitted(_connection: Connection, _row: Any) -> dict[str, Any]:
            return {} if self._approvals else {"state": "approved"}

        return await self._change(name, "submit", submitted)

    async def approve(self, name: str, member: str, sha256: str) -> State:
        """Approve the content whose hash is `sha256`, which is what the member has read.

        Raises NotAllowed for the author, and where the content is another one by now.
        """

        def approved(connection: Connection, row: Any) -> dict[str, Any]:
            if member == row.author:
                message = "Who wrote a broadcast cannot approve it."
                raise NotAllowed(message)
            if sha256 != row.content_sha256:
                message = "The broadcast has been edited since it was read."
                raise NotAllowed(message, hint="read it again")
            vote = {"broadcast_id": row.id, "content_sha256": sha256, "member": member, "created_at": self._clock()}
            keys = ("broadcast_id", "content_sha256", "member")
            connection.execute(upsert(self._database.dialect, approval, keys, lambda _: {}), [vote])
            votes = connection.scalar(
                select(func.count()).where(approval.c.broadcast_id == row.id, approval.c.content_sha256 == sha256)
            )
            return {} if (votes or 0) >= self._approvals else {"state": "review"}

        return await self._change(name, "approve", approved)

    async def reject(self, name: str) -> None:
        """Send a broadcast back to its author; approvals that it had are void."""

        def rejected(connection: Connection, row: Any) -> dict[str, Any]:
            _void_approvals(connection, row.id)
            return {}

        await self._change(name, "reject", rejected)

    async def queue(self, name: str) -> int:
        """Freeze the audience of an approved broadcast, and let workers send it; answers how many get it."""
        audience = 0

        def queued(connection: Connection, row: Any) -> dict[str, Any]:
            nonlocal audience
            condition = wants(cast("Category", row.category), row.fixed_version_order)
            audience = freeze(connection, row.id, condition, self._canary, self._clock())
            return {} if audience else {"state": "done"}

        await self._change(name, "queue", queued, timeout_seconds=FREEZE_SECONDS)
        return audience

    async def pause(self, name: str, reason: str) -> None:
        """Stop sending after the chunks at hand; a pause that would end by itself no longer does."""
        await self._change(name, "pause", lambda _connection, _row: paused("member", reason))

    async def resume(self, name: str) -> None:
        """Go on sending. What was known of bounces and complaints until now no longer speaks against it."""

        def resumed(connection: Connection, row: Any) -> dict[str, Any]:
            totals, _, _ = totals_of(connection, row.id)
            forgiven = {f"forgiven_{name}": number for name, number in asdict(totals).items()}
            return {**NOT_PAUSED, **forgiven}

        await self._change(name, "resume", resumed)

    async def cancel(self, name: str) -> None:
        """End it after the chunks at hand; who was not sent to never will be."""

        def cancelled(_connection: Connection, row: Any) -> dict[str, Any]:
            # The same content may be queued anew at once; an Idempotency-Key stays this broadcast's.
            own = _content_key(_identity_of(row), _window(row.created_at))
            freed = {"once_key": _hash("cancelled", row.uuid)} if row.once_key == own else {}
            return {"finished_at": self._clock(), **freed}

        await self._change(name, "cancel", cancelled)

    async def count_audience(self, category: Category, fixed_version_order: int | None) -> int:
        """How many would get a broadcast at this moment."""
        async with self._database.read() as connection:
            return await connection.run_sync(count, wants(category, fixed_version_order))

    async def _change(
        self,
        name: str,
        action: Action,
        change: Callable[[Connection, Any], dict[str, Any]],
        timeout_seconds: float | None = None,
    ) -> State:
        def work(connection: Connection) -> State:
            row = connection.execute(select(broadcast).where(broadcast.c.uuid == name).with_for_update()).first()
            if row is None:
                message = f"There is no broadcast {name[:64]!r}."
                raise UnknownBroadcast(message)
            # A pause for the account's sake ends by itself; a person can make it one that does not.
            state: State = "sending" if action == "pause" and row.resume_at is not None else row.state
            values = {"state": after(action, state)}
            values |= change(connection, row)
            connection.execute(update(broadcast).where(broadcast.c.id == row.id).values(values))
            return values["state"]

        return await self._database.write(work, timeout_seconds=timeout_seconds)

    @staticmethod
    def _row(draft: Draft, now: datetime) -> dict[str, Any]:
        return {"uuid": str(uuid.uuid4()), "audience": 0, "created_at": now, **_content(draft)}

    @staticmethod
    def _earlier(connection: Connection, draft: Draft, now: datetime) -> QueuedBroadcast | None:
        recent = and_(broadcast.c.source == "api", broadcast.c.created_at > now - ONCE_WITHIN)
        for row in connection.execute(
            select(broadcast)
            .where(broadcast.c.content_sha256 == draft.sha256, recent, broadcast.c.state != "cancelled")
            .order_by(broadcast.c.id)
        ):
            if _identity_of(row) == _identity(draft):
                return QueuedBroadcast(row.uuid, row.audience, repeated=True)
        return None

    @staticmethod
    def _twin(connection: Connection, draft: Draft, now: datetime) -> QueuedBroadcast | None:
        """The same broadcast, queued at the same instant beyond the edge of ten minutes.

        Read with a lock, which waits for whoever has not committed it yet. Two that wait for each
        other are a deadlock, of which the database lets one go on, and the other begins anew.
        """
        keys = [_content_key(_identity(draft), _window(now) + step) for step in (-1, 1)]
        row = connection.execute(
            select(broadcast)
            .where(broadcast.c.once_key.in_(keys), broadcast.c.created_at > now - ONCE_WITHIN)
            .with_for_update()
        ).first()
        return None if row is None else QueuedBroadcast(row.uuid, row.audience, repeated=True)


def _void_approvals(connection: Connection, identity: int) -> None:
    connection.execute(delete(approval).where(approval.c.broadcast_id == identity))


def _content(draft: Draft) -> dict[str, Any]:
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


def _identity(draft: Draft) -> tuple[Any, ...]:
    """What makes two broadcasts the same one: what is said, and to whom."""
    return draft.sha256, draft.category, draft.severity, draft.fixed_version_order


def _identity_of(row: Any) -> tuple[Any, ...]:
    return row.content_sha256, row.category, row.severity, row.fixed_version_order


def _window(now: datetime) -> int:
    return int(now.timestamp() // ONCE_WITHIN.total_seconds())


def _content_key(identity: tuple[Any, ...], window: int) -> str:
    return _hash("content", *identity, window)


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
