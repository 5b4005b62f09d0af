"""`/board/people`: the members of the board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.registration.board.members import MemberRefused, MemberStore, WrongEntry, join_url
from hostemr.registration.board.persons import Person
from hostemr.registration.board.roles import MEANINGS, ROLES, Permission
from hostemr.registration.board.shell import Console, Endpoint, Visit

PEOPLE = "/board/people"
MEMBER = f"{PEOPLE}/{{id:int}}"
MANAGE: Permission = "manage people"
ROLE_CHOICES = [(role, role.capitalize()) for role in ROLES]
STEPS = ("reset", "disable")
"""What has a page of its own that says what will happen."""


def people_routes(console: Console, members: MemberStore, base_url: str) -> list[BaseRoute]:
    """The routes of these pages. `base_url` begins the links for people who were invited."""
    pages = _PeoplePages(console, members, base_url)
    return [
        console.get(PEOPLE, pages.everybody),
        console.post(PEOPLE, pages.invite, MANAGE, confirm=True),
        console.get(MEMBER, pages.member, MANAGE),
        console.post(MEMBER, pages.change, MANAGE, confirm=True),
        *(console.get(f"{MEMBER}/{step}", pages.warning(step), MANAGE) for step in STEPS),
        console.post(f"{MEMBER}/reset", pages.reset, MANAGE, confirm=True),
        console.post(f"{MEMBER}/disable", pages.disable, MANAGE, confirm=True),
        console.post(f"{MEMBER}/enable", pages.enable, MANAGE, confirm=True),
    ]


class _PeoplePages:
    def __init__(self, console: Console, members: MemberStore, base_url: str) -> None:
        self._console = console
        self._members = members
        self._base_url = base_url

    async def everybody(self, _request: Request, visit: Visit) -> Response:
        return await self._show_everybody(visit, {})

    async def invite(self, _request: Request, visit: Visit) -> Response:
        email, name, role = (visit.fields.get(field, "") for field in ("email", "name", "role"))
        try:
            token = await self._members.invite(email, name, role, visit.member.actor)
        except WrongEntry as error:
            return await self._show_everybody(visit, error.problems)
        return await self._show_link(visit, await self._members.id_of(email), token)

    async def member(self, request: Request, visit: Visit) -> Response:
        return await self._show(visit, await self._members.find(_id(request)))

    def warning(self, step: str) -> Endpoint:
        """The page that says what a step will do, before it is done."""

        async def show(request: Request, visit: Visit) -> Response:
            return await self._show(visit, await self._members.find(_id(request)), step=step)

        return show

    async def change(self, request: Request, visit: Visit) -> Response:
        person, typed = await self._members.find(_id(request)), visit.fields
        try:
            await self._members.change(person.id, typed.get("name", ""), typed.get("role", ""), visit.member.actor)
        except WrongEntry as error:
            return await self._show(visit, person, problems=error.problems, typed=typed)
        except MemberRefused as error:
            words = f"{error.message} {error.hint[:1].upper()}{error.hint[1:]}."
            return await self._show(visit, person, problems={"role": words}, typed=typed)
        return await self._console.redirect(visit, f"{PEOPLE}/{person.id}", notice="Saved.")

    async def reset(self, request: Request, visit: Visit) -> Response:
        token = await self._members.reset(_id(request), visit.member.actor)
        return await self._show_link(visit, _id(request), token)

    async def disable(self, request: Request, visit: Visit) -> Response:
        await self._members.disable(_id(request), visit.member.actor)
        return await self._tell(request, visit, "is disabled and signed out everywhere")

    async def enable(self, request: Request, visit: Visit) -> Response:
        status = await self._members.enable(_id(request), visit.member.actor)
        joined = status == "active"
        return await self._tell(
            request, visit, "can sign in again" if joined else "never joined: reset them, to make a new link"
        )

    async def _tell(self, request: Request, visit: Visit, done: str) -> Response:
        person = await self._members.find(_id(request))
        return await self._console.redirect(visit, f"{PEOPLE}/{person.id}", notice=f"{person.name} {done}.")

    async def _show_everybody(self, visit: Visit, problems: Mapping[str, str]) -> Response:
        return await self._console.page(
            visit,
            "board/people.html",
            status=422 if problems else 200,
            people=await self._members.list(),
            meanings=MEANINGS,
            roles=ROLE_CHOICES,
            seconds=self._members.invitation.total_seconds(),
            problems=problems,
            typed=visit.fields,
        )

    async def _show_link(self, visit: Visit, member_id: int, token: str) -> Response:
        # On the answer itself: the token is kept nowhere, so another page could not show it.
        person = await self._members.find(member_id)
        return await self._show(visit, person, link=join_url(self._base_url, token))

    async def _show(self, visit: Visit, person: Person, *, step: str = "", link: str = "", **entry: Any) -> Response:
        values = {"problems": {}, "typed": {}, **entry}
        return await self._console.page(
            visit,
            "board/member.html",
            status=422 if values["problems"] else 200,
            person=person,
            step=step,
            link=link,
            roles=ROLE_CHOICES,
            **values,
        )


def _id(request: Request) -> int:
    return int(request.path_params["id"])
