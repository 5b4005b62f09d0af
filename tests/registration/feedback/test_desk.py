"""What the operator and the board do for somebody else is in the audit log, in the same transaction."""

from __future__ import annotations

import pytest

from hostemr.errors import DatabaseUnavailable
from hostemr.registration.board.audit import COMMAND_LINE, AuditLog
from hostemr.registration.console import create_audit_log
from hostemr.registration.feedback.desk import NotEnabled, RegistrationDesk, UnknownRegistration
from hostemr.registration.keys import resolve_keys
from tests.registration.conftest import Service
from tests.registration.feedback.subscribers import ADDRESS, NOON, change, erase, registered, status_of

pytestmark = pytest.mark.anyio


def log_of(service: Service) -> AuditLog:
    return create_audit_log(resolve_keys(service.settings), service.database)


def desk_of(service: Service) -> RegistrationDesk:
    return RegistrationDesk(service.database, log_of(service))


class BrokenLog(AuditLog):
    """The disk is full when the entry is to be written."""

    def append(self, *_arguments: object, **_details: object) -> int:
        message = "the disk is full"
        raise DatabaseUnavailable(message)


async def entries(service: Service) -> list[tuple[object, ...]]:
    return await service.rows("SELECT actor, action, subject, details FROM audit_entry ORDER BY number")


async def test_opting_somebody_out_is_logged_once_by_number(service: Service) -> None:
    await registered(service)
    [(number,)] = await service.rows("SELECT id FROM subscriber")
    desk = desk_of(service)
    assert await desk.opt_out(ADDRESS, "news", COMMAND_LINE)
    assert not await desk.opt_out(ADDRESS, "news", COMMAND_LINE)
    assert await desk.opt_out(ADDRESS, None, COMMAND_LINE)
    assert not await desk.opt_out("nobody@example.org", None, COMMAND_LINE)
    subject = f"registration:{number}"
    assert await entries(service) == [
        ("command-line", "registration.opt-out", subject, '{"category":"news"}'),
        ("command-line", "registration.opt-out", subject, '{"category":"all"}'),
    ]
    verdict = await service.database.write(log_of(service).verify)
    assert (verdict.entries, verdict.problem) == (2, None)


async def test_an_export_is_logged_where_there_was_something(service: Service) -> None:
    key = resolve_keys(service.settings).suppression
    await registered(service)
    [(number,)] = await service.rows("SELECT id FROM subscriber")
    desk = desk_of(service)
    found = await desk.export(ADDRESS, key, "member:7")
    assert found is not None
    assert found["subscriber"]["email"] == ADDRESS
    assert await desk.export("nobody@example.org", key, "member:7") is None
    await change(service, status="opted_out")
    await erase(service)
    assert await desk.export(ADDRESS, key, "member:7") is not None
    exports = [row for row in await entries(service) if row[1] == "registration.export"]
    assert [row[2] for row in exports] == [f"registration:{number}", ""]
    assert ADDRESS not in str(await entries(service))


async def test_what_cannot_be_logged_is_not_done(service: Service) -> None:
    await registered(service)
    [(number,)] = await service.rows("SELECT id FROM subscriber")
    desk = RegistrationDesk(service.database, BrokenLog(b"", service.database.dialect))
    with pytest.raises(DatabaseUnavailable):
        await desk.opt_out(ADDRESS, None, COMMAND_LINE)
    assert await status_of(service) == "active"
    await change(service, status="bounced")
    with pytest.raises(DatabaseUnavailable):
        await desk.enable(number, "a reason", "member:7")
    assert await status_of(service) == "bounced"


async def test_without_a_key_for_the_log_it_is_done_and_no_entry_forged(service: Service) -> None:
    await registered(service)
    assert await RegistrationDesk(service.database, AuditLog(None, service.database.dialect)).opt_out(
        ADDRESS, None, COMMAND_LINE
    )
    assert await status_of(service) == "opted_out"
    assert await entries(service) == []


async def test_only_bounces_are_undone(service: Service) -> None:
    await registered(service)
    [(number,)] = await service.rows("SELECT id FROM subscriber")
    desk = desk_of(service)
    for status in ("active", "opted_out", "complained"):
        await change(service, status=status)
        with pytest.raises(NotEnabled):
            await desk.enable(number, "a reason", "member:7")
        assert await status_of(service) == status
    await change(service, status="bounced", soft_bounces=3)
    assert await desk.enable(number, "a reason", "member:7") == "active"
    assert await service.rows("SELECT status, soft_bounces FROM subscriber") == [("active", 0)]
    await erase(service)
    for missing in (number, number + 1):
        with pytest.raises(UnknownRegistration):
            await desk.enable(missing, "a reason", "member:7")


async def test_who_opted_out_stays_so_through_a_bounce_an_erasure_and_the_board(service: Service) -> None:
    await registered(service)
    await change(service, status="bounced", opted_out_at=NOON)
    await erase(service)
    await registered(service)
    assert await status_of(service) == "opted_out", "a bounce could be undone, but not their will"
