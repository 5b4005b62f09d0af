"""The pages about the board's members."""

from __future__ import annotations

import re

import pytest

from tests.registration.conftest import NewService, Service
from tests.registration.console import BASE_URL, SETTINGS, text_of, visitor

pytestmark = pytest.mark.anyio
NEW = {"name": "Cy Young", "email": "cy@example.org", "role": "approver"}
MARKUP = "<script>alert(1)</script>\"'>"


@pytest.fixture
async def service(new_service: NewService) -> Service:
    return await new_service(**SETTINGS)


async def changes(service: Service) -> list[str]:
    return [str(action) for (action,) in await service.rows("SELECT action FROM audit_entry ORDER BY number")]


async def test_everyone_sees_names_and_roles_and_only_administrators_more(service: Service) -> None:
    ada, bo = await visitor(service), await visitor(service, "approver", name="Bo Nguyen")
    for_bo, for_ada = await bo.get("/board/people"), await ada.get("/board/people")
    for page in (for_bo, for_ada):
        assert "Bo Nguyen" in page.text
        assert "sees figures, broadcasts and the audit log" in page.text
    assert ada.email in for_ada.text
    assert ada.email not in for_bo.text
    assert "<form" not in for_bo.text.partition("<main")[2]
    assert (await bo.get(f"/board/people/{ada.member_id}")).status_code == 403


async def test_an_invitation_shows_its_link_once_and_the_link_is_the_one_that_counts(service: Service) -> None:
    ada = await visitor(service)
    page = await ada.post("/board/people", NEW)
    assert page.status_code == 200
    token = re.findall(rf"{re.escape(BASE_URL)}/board/join/([A-Za-z0-9_-]{{43}})", page.text)
    assert len(token) == 1
    assert page.headers["cache-control"] == "no-store"
    again = await ada.get(f"/board/people/{ada.member_id + 1}")
    assert "Invited: has not joined yet" in text_of(again.text)
    assert token[0] not in again.text
    assert await changes(service) == ["member.invite"]


async def test_a_wrong_invitation_keeps_what_was_typed_and_says_what_is_wrong_beside_it(service: Service) -> None:
    ada = await visitor(service)
    page = await ada.post("/board/people", {**NEW, "email": "cy@nowhere", "name": ""})
    assert page.status_code == 422
    assert 'value="cy@nowhere"' in page.text
    assert 'id="email-problem"' in page.text
    assert 'id="name-problem"' in page.text
    assert re.search(r'value="approver"\s+selected', page.text)
    taken = {**NEW, "name": "Another"}
    await ada.post("/board/people", NEW)
    assert "on the board already" in text_of((await ada.post("/board/people", taken)).text)
    assert await changes(service) == ["member.invite"]


async def test_a_change_of_name_and_role_is_kept_and_a_wrong_one_told(service: Service) -> None:
    ada, bo = await visitor(service), await visitor(service, "author", name="Bo")
    place = f"/board/people/{bo.member_id}"
    done = await ada.post(place, {"name": "Bo Nguyen", "role": "approver"})
    assert (done.status_code, done.headers["location"]) == (303, place)
    assert "Saved." in text_of((await ada.get(place)).text)
    assert await changes(service) == ["member.rename", "member.role"]
    wrong = await ada.post(place, {"name": "x" * 121, "role": "queen"})
    assert wrong.status_code == 422
    assert "x" * 121 in wrong.text
    assert {'id="name-problem"', 'id="role-problem"'} <= set(re.findall(r'id="[a-z-]+problem"', wrong.text))


async def test_what_a_reset_and_disabling_will_do_is_said_before_and_then_done(service: Service) -> None:
    ada, bo = await visitor(service), await visitor(service, "author", name="Bo")
    place = f"/board/people/{bo.member_id}"
    assert "signed out everywhere, at once: 1 open session." in text_of((await ada.get(f"{place}/disable")).text)
    assert "password is removed" in text_of((await ada.get(f"{place}/reset")).text)
    assert await changes(service) == [], "looking changes nothing"
    assert (await bo.get("/board/people")).status_code == 200
    reset = await ada.post(f"{place}/reset")
    assert "/board/join/" in reset.text
    assert (await bo.get("/board/people")).status_code == 303
    assert (await ada.post(f"{place}/disable")).status_code == 303
    shown = text_of((await ada.get(place)).text)
    assert "Bo is disabled and signed out everywhere." in shown
    assert (await ada.post(f"{place}/enable")).status_code == 303
    assert "Bo never joined: reset them" in text_of((await ada.get(place)).text)
    assert await changes(service) == ["member.reset", "member.disable", "member.enable"]


async def test_the_only_administrator_cannot_be_locked_out_by_hand_made_forms(service: Service) -> None:
    ada = await visitor(service)
    place = f"/board/people/{ada.member_id}"
    beside = await ada.post(place, {"name": "Ada", "role": "viewer"})
    assert beside.status_code == 422
    assert "the only administrator" in text_of(beside.text[beside.text.index('id="role-problem"') :])
    for step in ("disable", "reset"):
        assert (await ada.post(f"{place}/{step}")).status_code == 409
    assert await changes(service) == []
    assert "Reset…" not in (await ada.get(place)).text


async def test_each_form_needs_its_role_its_token_its_place_and_a_fresh_proof(service: Service) -> None:
    ada, bo = await visitor(service), await visitor(service, "approver", name="Bo")
    stale = await visitor(service, confirmed=False, name="Dee")
    place = f"/board/people/{bo.member_id}"
    forms = [("/board/people", NEW), (place, {"name": "B", "role": "administrator"})]
    forms += [(f"{place}/{verb}", {}) for verb in ("reset", "disable", "enable")]
    for path, fields in forms:
        assert (await bo.post(path, fields)).status_code == 403, "the role"
        assert (await ada.post(path, {**fields, "csrf": "0" * 64})).status_code == 403, "the token"
        foreign = await ada.post(path, fields, headers={"origin": "https://evil.test", "sec-fetch-site": "cross-site"})
        assert foreign.status_code == 403, "the place"
        asked = await stale.post(path, fields)
        assert "Confirm it is you" in text_of(asked.text), "the proof"
        assert "/board/join/" not in asked.text
    assert await changes(service) == []


async def test_markup_in_names_is_shown_as_it_was_typed(service: Service) -> None:
    ada = await visitor(service, name=MARKUP)
    invited = await ada.post("/board/people", {**NEW, "name": MARKUP})
    refused = await ada.post("/board/people", {"name": MARKUP, "email": MARKUP, "role": MARKUP})
    assert refused.status_code == 422
    other = f"/board/people/{ada.member_id + 1}"
    for page in (invited, refused, *[await ada.get(path) for path in ("/board/people", other, f"{other}/reset")]):
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert(1)" in page.text


async def test_who_is_not_there_is_said_to_be_not_there(service: Service) -> None:
    ada = await visitor(service)
    for number in ("0", "999", "99999999999999999999999999"):
        assert (await ada.get(f"/board/people/{number}")).status_code == 404
        assert (await ada.post(f"/board/people/{number}/disable")).status_code == 404
