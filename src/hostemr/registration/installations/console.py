"""`/board/registrations`: find, export, erase, let mail go again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from hostemr.registration.board.audit import AuditLog, Detail
from hostemr.registration.board.mentions import number_in, shown_address
from hostemr.registration.board.shell import Console, Visit
from hostemr.registration.database import Database
from hostemr.registration.feedback.desk import RegistrationDesk, UnknownRegistration
from hostemr.registration.feedback.erasure import Erasure, Holdings
from hostemr.registration.feedback.leftovers import remove_leftovers
from hostemr.registration.installations.detail import Detail as Registration
from hostemr.registration.installations.detail import detail_of
from hostemr.registration.installations.export import RegistrationsAsCSV
from hostemr.registration.installations.listing import Listed, RegistrationList
from hostemr.registration.installations.search_form import STATE_NAMES, FilterForm, read_box, read_filter
from hostemr.registration.installations.version import text_of_order
from hostemr.registration.keys import Keys

LIST = "/board/registrations"
ONE = f"{LIST}/{{number:int}}"
WORD = "erase"
LONGEST_REASON = 300


class RegistrationPages:
    """The endpoints of these pages."""

    def __init__(self, console: Console, database: Database, keys: Keys, audit: AuditLog) -> None:
        self._console = console
        self._database = database
        self._keys = keys
        self._audit = audit
        self._list = RegistrationList(database)
        self._desk = RegistrationDesk(database, audit)

    async def overview(self, request: Request, visit: Visit) -> Response:
        """The newest registrations that the filter lets through."""
        query = request.query_params
        form = read_filter(query)
        before = number_in(query.get("before"))
        page = await self._list.page(form.chosen, before)
        orders, distributions = await self._list.known()
        following = f"{LIST}?{urlencode({**_given(form), 'before': page.before})}" if page.before else ""
        return await self._console.page(
            visit,
            "board/registrations.html",
            status=422 if form.problems else 200,
            form=form,
            filtered=bool(form.query),
            rows=() if form.problems else self._rows(page.rows, visit),
            complete=page.complete,
            first=f"{LIST}?{form.query}" if before else "",
            following=following if not form.problems else "",
            before=page.before,
            state_names=STATE_NAMES,
            versions=[text_of_order(order) for order in orders],
            distributions=distributions,
            box="",
            box_problem="",
        )

    async def find(self, _request: Request, visit: Visit) -> Response:
        """To what the one box asks for. By POST: an address does not belong into a link, which logs keep."""
        text = visit.fields.get("box", "")
        wanted = read_box(text, addresses=visit.may("see addresses"))
        if wanted.domain is not None:
            return RedirectResponse(f"{LIST}?{urlencode({'domain': wanted.domain})}", 303)
        number = wanted.number
        if wanted.product_id is not None or wanted.address is not None:
            number = await self._list.number_of(product_id=wanted.product_id, email_key=wanted.address)
        if number is not None and await detail_of(self._database, number) is not None:
            return RedirectResponse(f"{LIST}/{number}", 303)
        rows: tuple[Listed, ...] = ()
        after = ""
        if wanted.beginning is not None:
            rows, after = await self._list.beginning_with(wanted.beginning, visit.fields.get("after", ""))
        return await self._console.page(
            visit,
            "board/registrations_found.html",
            status=422 if wanted.problem else 200,
            box=text,
            box_problem=wanted.problem or "",
            rows=self._rows(rows, visit),
            after=after,
        )

    async def export(self, _request: Request, visit: Visit) -> Response:
        """The filtered list as a download."""
        form = read_filter(visit.fields)
        if form.problems:
            return await self._console.redirect(visit, f"{LIST}?{form.query}")
        await self._note(visit, "registration.export", "", what="list", filter=form.words)

        async def finished(rows: int, complete: bool) -> None:  # noqa: FBT001, a callable's argument
            await self._note(visit, "registration.export", "", what="list ended", rows=rows, complete=complete)

        return RegistrationsAsCSV(self._list, form.chosen, finished)

    async def show(self, request: Request, visit: Visit) -> Response:
        """Everything that is kept of one registration."""
        return await self._page_of(await self._found(request), visit)

    async def enable(self, request: Request, visit: Visit) -> Response:
        """Let mail go again to an address that bounced."""
        registration = await self._found(request)
        reason = visit.fields.get("reason", "").strip()
        if not reason or len(reason) > LONGEST_REASON:
            problem = "Write why mail will arrive now." if not reason else f"At most {LONGEST_REASON} characters."
            return await self._page_of(registration, visit, problems={"reason": problem}, reason=reason)
        await self._desk.enable(registration.subscriber.id, reason, visit.member.actor)
        # Both kinds of mail may have been stopped one by one, which its status does not say.
        stopped = (await self._found(request)).subscriber.mailing == "opted_out"
        notice = (
            "The bounces are forgotten. Its owner has opted out as well, so still no mail is sent."
            if stopped
            else "Mail goes to this address again, from the next broadcast on."
        )
        return await self._console.redirect(visit, f"{LIST}/{registration.subscriber.id}", notice)

    async def export_one(self, request: Request, visit: Visit) -> Response:
        """Everything that is kept of one address, as a file for its owner."""
        registration = await self._found(request)
        found = await self._desk.export(registration.subscriber.email_key, self._keys.suppression, visit.member.actor)
        name = f"registration-{registration.subscriber.id}.json"
        return Response(
            json.dumps(found, indent=2, ensure_ascii=False),
            media_type="application/json",
            headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"},
        )

    async def ask_erase(self, request: Request, visit: Visit) -> Response:
        """What erasing would do, before it is done."""
        return await self._erase_page(await self._found(request), visit)

    async def erase(self, request: Request, visit: Visit) -> Response:
        """Erase one address, after the word was typed."""
        registration = await self._found(request)
        typed = visit.fields.get("word", "")
        if typed.strip().lower() != WORD:
            return await self._erase_page(registration, visit, typed=typed, problem=f"Type the word {WORD}.")
        erasure = Erasure(self._database, self._keys, self._audit)
        erased = await erasure.erase(registration.subscriber.email_key, visit.member.actor)
        await remove_leftovers(self._database)
        if erased is None:
            raise _unknown(registration.subscriber.id)
        kept = " A keyed hash stays, so that no mail is sent to it again." if erased.suppressed else ""
        return await self._console.redirect(visit, LIST, f"Registration {registration.subscriber.id} is erased.{kept}")

    async def _erase_page(
        self, registration: Registration, visit: Visit, *, typed: str = "", problem: str = ""
    ) -> Response:
        erasure = Erasure(self._database, self._keys, self._audit)
        holdings: Holdings | None = await erasure.holdings(registration.subscriber.email_key)
        if holdings is None:
            raise _unknown(registration.subscriber.id)
        return await self._console.page(
            visit,
            "board/registration_erase.html",
            status=422 if problem else 200,
            subscriber=registration.subscriber,
            address=shown_address(registration.subscriber.email, visit),
            holdings=holdings,
            word=WORD,
            typed=typed,
            problem=problem,
        )

    async def _page_of(
        self, registration: Registration, visit: Visit, *, problems: dict[str, str] | None = None, reason: str = ""
    ) -> Response:
        return await self._console.page(
            visit,
            "board/registration.html",
            status=422 if problems else 200,
            subscriber=registration.subscriber,
            address=shown_address(registration.subscriber.email, visit),
            installations=registration.installations,
            installation_count=registration.installation_count,
            deliveries=registration.deliveries,
            asked=registration.asked,
            problems=problems or {},
            reason=reason,
            longest_reason=LONGEST_REASON,
        )

    async def _found(self, request: Request) -> Registration:
        number: int = request.path_params["number"]
        registration = await detail_of(self._database, number)
        if registration is None:
            raise _unknown(number)
        return registration

    def _rows(self, rows: Sequence[Listed], visit: Visit) -> list[Listed]:
        return [replace(one, email=shown_address(one.email, visit)) for one in rows]

    async def _note(self, visit: Visit, action: str, subject: str, **details: Detail) -> None:
        def work(connection: Connection) -> None:
            self._audit.append(connection, visit.member.actor, action, subject, **details)

        await self._database.write(work)


def registration_pages(console: Console, database: Database, keys: Keys, audit: AuditLog) -> list[BaseRoute]:
    """The routes of these pages."""
    pages = RegistrationPages(console, database, keys, audit)
    return [
        console.get(LIST, pages.overview),
        console.post(f"{LIST}/find", pages.find),
        console.post(f"{LIST}/export", pages.export, "manage registrations", confirm=True),
        console.get(ONE, pages.show),
        console.post(f"{ONE}/enable", pages.enable, "manage registrations"),
        console.post(f"{ONE}/export", pages.export_one, "manage registrations", confirm=True),
        console.get(f"{ONE}/erase", pages.ask_erase, "manage registrations"),
        console.post(f"{ONE}/erase", pages.erase, "manage registrations", confirm=True),
    ]


def _given(form: FilterForm) -> dict[str, Any]:
    return {name: value for name, value in form.typed.items() if value}


def _unknown(number: int) -> UnknownRegistration:
    message = f"There is no registration {number}."
    return UnknownRegistration(message, hint="an erased one is not known any more either")
