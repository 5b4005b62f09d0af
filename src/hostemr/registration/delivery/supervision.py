"""What any worker does beside sending: leases that ended, canaries, pauses, and broadcasts that are done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import structlog
from sqlalchemy import Connection, and_, select, update

from hostemr.registration.database import Database
from hostemr.registration.delivery.canary import Limits, verdict
from hostemr.registration.lifecycle import NOT_PAUSED, SENDABLE, PausedBy, paused
from hostemr.registration.progress import COUNTS, Totals, totals_of
from hostemr.registration.schema import broadcast

TRY_AGAIN_AFTER = timedelta(hours=1)
"""A pause for the account's sake ends by itself: an advisory must not wait for somebody to notice."""


@dataclass(frozen=True, slots=True)
class CanaryRules:
    """How long feedback on the canary is waited for, and the limits."""

    wait_seconds: int
    limits: Limits


class Supervision:
    """Any number of workers may do it at once: each change names the state that it is made from."""

    def __init__(
        self, database: Database, rules: CanaryRules, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._rules = rules
        self._clock = clock
        self._log = structlog.get_logger("hostemr.delivery")

    async def look_after(self) -> int:
        """Judge, let go on, or finish every broadcast that is under way; answers how many were finished."""
        return await self._database.write(self._look_after)

    async def pause_all(self, by: Literal["quota", "account"], reason: str) -> int:
        """Pause everything that is under way, since the account cannot send; it is tried again in an hour."""
        return await self._pause(
            broadcast.c.state.in_(sorted(SENDABLE)), by, reason, resume_at=self._clock() + TRY_AGAIN_AFTER
        )

    async def pause_one(self, identity: int, by: PausedBy, reason: str) -> int:
        """Pause one broadcast until a person lets it go on."""
        return await self._pause(and_(broadcast.c.id == identity, broadcast.c.state.in_(sorted(SENDABLE))), by, reason)

    async def _pause(self, which: Any, by: PausedBy, reason: str, resume_at: datetime | None = None) -> int:
        pause = update(broadcast).where(which).values(paused(by, reason, resume_at))
        changed = await self._database.write_each(lambda connection: connection.execute(pause).rowcount)
        if changed:
            self._log.warning("broadcasts paused", by=by, reason=reason, broadcasts=changed)
        return changed

    def _look_after(self, connection: Connection) -> int:
        now = self._clock()
        over = and_(broadcast.c.state == "paused", broadcast.c.resume_at <= now)
        connection.execute(update(broadcast).where(over).values(state="queued", **NOT_PAUSED))
        sendable = select(broadcast).where(broadcast.c.state.in_(sorted(SENDABLE))).order_by(broadcast.c.id)
        return sum(self._look_after_one(connection, row, now) for row in connection.execute(sendable).all())

    def _look_after_one(self, connection: Connection, row: Any, now: datetime) -> bool:
        totals, unfinished, unfinished_canary = totals_of(connection, row.id)
        final = row.wave == 0 and row.canary_until is not None and row.canary_until <= now
        forgiven = Totals(**{name: getattr(row, f"forgiven_{name}") for name in COUNTS})
        reason = verdict(totals, forgiven, self._rules.limits, final=final)
        if reason is not None and unfinished:
            self._log.warning("broadcast stopped itself", broadcast=row.uuid, reason=reason)
            self._set(connection, row, paused("canary", reason))
            return False
        if not unfinished:
            finished = self._set(connection, row, {"state": "done", "finished_at": now})
            if finished:
                self._log.info("broadcast done", broadcast=row.uuid, sent=totals.sent, failed=totals.failed)
            return finished
        if row.wave == 0 and not unfinished_canary:
            if row.canary_until is None:
                until = now + timedelta(seconds=self._rules.wait_seconds)
                self._set(connection, row, {"canary_until": until})
            elif final:
                self._log.info("canary passed", broadcast=row.uuid, sent=totals.sent)
                self._set(connection, row, {"wave": 1})
        return False

    @staticmethod
    def _set(connection: Connection, row: Any, values: dict[str, Any]) -> bool:
        same = and_(broadcast.c.id == row.id, broadcast.c.state == row.state, broadcast.c.wave == row.wave)
        return connection.execute(update(broadcast).where(same).values(values)).rowcount == 1
