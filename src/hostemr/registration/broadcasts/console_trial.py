"""`/board/broadcasts/UUID/test`: a broadcast goes to its author and a few others before it goes to everyone."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.errors import OutsideWorldError
from hostemr.registration.board.audit import AuditLog
from hostemr.registration.board.shell import Console, Visit
from hostemr.registration.broadcasts.detail import NOT_SENT, DetailPage, parts_of
from hostemr.registration.broadcasts.trial import TrialMessage, TrialSend, other_addresses
from hostemr.registration.database import Database
from hostemr.registration.lifecycle import WrongState
from hostemr.registration.links import Category


def trial_pages(
    console: Console, database: Database, audit: AuditLog, trial_send: TrialSend, detail: DetailPage
) -> list[BaseRoute]:
    """The routes of these pages."""

    async def send(request: Request, visit: Visit) -> Response:
        row = await detail.row(str(request.path_params["name"]))
        if row.state not in NOT_SENT:
            refusal = "A broadcast that was queued can no longer be tried out."
            raise WrongState(refusal, hint="its page shows what it says")
        typed = visit.fields.get("others", "")
        others, problem = other_addresses(typed)
        if problem:
            return await detail.show(visit, row, status=422, problems={"others": problem}, typed={"others": typed})
        own = visit.member.email
        addresses = [own, *(one for one in others if one.lower() != own.lower())]
        parts = parts_of(row)

        def log(connection: Connection) -> None:
            subject = f"broadcast:{row.uuid}"
            audit.append(connection, visit.member.actor, "broadcast.test", subject, addresses=len(addresses))

        # Before anything leaves: a test of which nothing is written down must not happen.
        await database.write(log)
        message = TrialMessage(row.title, parts.text, parts.html, cast("Category", row.category))
        try:
            replies = await trial_send(message, addresses)
        except OutsideWorldError as error:
            return await detail.show(visit, row, status=502, trial_problem=error, typed={"others": typed})
        return await detail.show(visit, row, replies=replies, typed={"others": typed})

    return [console.post("/board/broadcasts/{name}/test", send, "write")]
