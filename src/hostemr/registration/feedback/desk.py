"""What the board and the operator do to a registration for somebody else; each step is in the audit log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select, update

from hostemr.errors import RefusedError, RequestError
from hostemr.registration.board.audit import AuditLog
from hostemr.registration.database import Database
from hostemr.registration.feedback.export import export_of
from hostemr.registration.feedback.store import stop_mail
from hostemr.registration.links import Category
from hostemr.registration.schema import subscriber


class UnknownRegistration(RequestError):
    """There is no registration of this number, or it was erased."""

    http_status = 404
    wire_name = "UnknownRegistrationException"


class NotEnabled(RefusedError):
    """Mail was not stopped by bounces, so it is not the board's to start again."""

    http_status = 409
    wire_name = "NotEnabledException"


class RegistrationDesk:
    """`opt_out`, `enable` and `export`. `actor` is who does it, as the audit log names them."""

    def __init__(
        self, database: Database, audit: AuditLog, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    async def opt_out(self, email_key: str, category: Category | None, actor: str) -> bool:
        """Stop one category, or everything; False where it was stopped, or nobody is known by that address."""

        def work(connection: Connection) -> bool:
            if not stop_mail(connection, self._clock(), email_key=email_key, category=category):
                return False
            identity = connection.scalar(select(subscriber.c.id).where(subscriber.c.email_key == email_key))
            self._audit.append(
                connection, actor, "registration.opt-out", f"registration:{identity}", category=category or "all"
            )
            return True

        return await self._database.write(work)

    async def enable(self, identity: int, reason: str, actor: str) -> str:
        """Let mail go again to an address that bounced; answers its status then.

        Somebody who opted out while the address bounced stays opted out: that is theirs to undo.
        Raises UnknownRegistration, and NotEnabled where it was anything but bounces that stopped mail.
        """

        def work(connection: Connection) -> str:
            found = _found(connection, identity)
            if found.status != "bounced":
                message = "Mail to this address was not stopped by bounces, so the board cannot start it again."
                raise NotEnabled(message, hint="whoever opted out or complained can do it by the link in any mail")
            status = "opted_out" if found.opted_out_at is not None else "active"
            connection.execute(
                update(subscriber).where(subscriber.c.id == identity).values(status=status, soft_bounces=0)
            )
            self._audit.append(connection, actor, "registration.enable", f"registration:{identity}", reason=reason)
            return status

        return await self._database.write(work)

    async def export(self, email_key: str, key: bytes | None, actor: str) -> dict[str, Any] | None:
        """Everything that is kept of one address, as hostemr.registration.feedback.export has it."""

        def work(connection: Connection) -> dict[str, Any] | None:
            found = export_of(connection, email_key, key)
            if found is not None:
                named = found.get("subscriber")
                subject = f"registration:{named['id']}" if named else ""
                self._audit.append(connection, actor, "registration.export", subject, what="one registration")
            return found

        return await self._database.write(work)


def _found(connection: Connection, identity: int) -> Any:
    found = connection.execute(
        select(subscriber).where(subscriber.c.id == identity, subscriber.c.status != "erased").with_for_update()
    ).first()
    if found is None:
        message = f"There is no registration {identity}."
        raise UnknownRegistration(message, hint="an erased one is not known any more either")
    return found
