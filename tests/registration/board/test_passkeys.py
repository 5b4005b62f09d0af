"""Passkeys: what a browser sends is believed only for a challenge of this form, once, from this site."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hostemr.registration.board.factors import party_of
from hostemr.registration.board.passkeys import GOOD_FOR, Party, PasskeyRefused, Passkeys, Purpose
from hostemr.registration.board.roles import Member as BoardMember
from tests.registration.board.authenticator import Authenticator
from tests.registration.board.browser import Member, browser, member, options_of
from tests.registration.conftest import NewService, Service
from tests.registration.console import SETTINGS

pytestmark = pytest.mark.anyio
PARTY = Party("board.test", "https://board.test")


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


class Desk:
    """The passkeys of one board, without its pages."""

    def __init__(self, service: Service, who: Member) -> None:
        self.service, self.clock = service, Clock()
        self.passkeys = Passkeys(b"k" * 32, self.clock)
        self.member = BoardMember(who.id, "0b1e4c1e-6d0a-4d5e-9f39-0a8ad1f4ad2e", who.email, "Grace", "viewer")

    def to_add(self) -> str:
        return self.passkeys.options_to_add(PARTY, self.member, [])

    def to_ask(self, purpose: Purpose = "sign-in", member_id: int | None = None) -> str:
        return self.passkeys.options_to_ask(PARTY, purpose, member_id, [])

    async def add(self, answer: str) -> str:
        """`added`, or why not."""

        def work(connection: Any) -> str:
            try:
                self.passkeys.add(connection, PARTY, self.member.id, answer, "phone")
            except PasskeyRefused as error:
                return str(error)
            return "added"

        return await self.service.database.write(work)

    async def use(self, answer: str, purpose: Purpose = "sign-in", member_id: int | None = None) -> str | int:
        """The member's id, or why not."""

        def work(connection: Any) -> str | int:
            try:
                return self.passkeys.use(connection, PARTY, answer, purpose, member_id)[0]
            except PasskeyRefused as error:
                return str(error)

        return await self.service.database.write(work)


@pytest.fixture
async def board(new_service: NewService) -> Service:
    return await new_service(**SETTINGS)


@pytest.fixture
async def desk(board: Service) -> Desk:
    return Desk(board, await member(board))


async def test_a_passkey_proves_who_it_is_and_looking_at_a_page_writes_nothing(desk: Desk) -> None:
    device = Authenticator()
    assert await desk.add(device.create(desk.to_add())) == "added"
    for _ in range(3):
        desk.to_ask()
    assert await desk.service.rows("SELECT COUNT(*) FROM passkey_challenge") == [(1,)]
    assert await desk.use(device.get(desk.to_ask())) == desk.member.id
    assert await desk.use(device.get(desk.to_ask("confirm", 1)), "confirm", 1) == desk.member.id
    ((count, used),) = await desk.service.rows("SELECT sign_count, used_at FROM passkey")
    assert count == device.count
    assert used is not None


async def test_an_answer_counts_once(desk: Desk) -> None:
    device = Authenticator()
    made = device.create(desk.to_add())
    assert await desk.add(made) == "added"
    assert await desk.add(made) == "the challenge was used before"
    assert await desk.add(device.create(desk.to_add())) == "this passkey is registered already"
    answer = device.get(desk.to_ask())
    assert await desk.use(answer) == desk.member.id
    assert await desk.use(answer) == "the challenge was used before"
    stranger = Authenticator().get(options := desk.to_ask())
    assert await desk.use(stranger) == "this passkey is not known here"
    assert await desk.use(device.get(options)) == "the challenge was used before", "a wrong answer uses it up"


async def test_a_challenge_ends_after_five_minutes_and_used_ones_are_forgotten_then(desk: Desk) -> None:
    device = Authenticator()
    await desk.add(device.create(desk.to_add()))
    options = desk.to_ask()
    desk.clock.now += GOOD_FOR + timedelta(seconds=1)
    assert await desk.use(device.get(options)) == "the challenge has ended"
    await desk.use(device.get(desk.to_ask()))
    assert await desk.service.rows("SELECT COUNT(*) FROM passkey_challenge") == [(1,)]


async def test_a_challenge_is_good_only_for_what_and_whom_it_was_made(desk: Desk) -> None:
    device = Authenticator()
    await desk.add(device.create(desk.to_add()))
    foreign = "the challenge is not one of this form's"
    assert await desk.use(device.get(desk.to_ask("confirm", 1)), "sign-in", None) == foreign
    assert await desk.use(device.get(desk.to_ask("sign-in", None)), "confirm", 1) == foreign
    assert await desk.use(device.get(desk.to_ask("confirm", 2)), "confirm", 1) == foreign
    invented = json.dumps({"challenge": base64.urlsafe_b64encode(bytes(56)).decode(), "rpId": "board.test"})
    assert await desk.use(device.get(invented)) == foreign
    theirs = device.get(desk.to_ask("confirm", 99))
    assert await desk.use(theirs, "confirm", 99) == "this passkey is not known here", "another member's passkey"


async def test_answers_made_elsewhere_or_without_the_user_are_refused(desk: Desk) -> None:
    device = Authenticator()
    await desk.add(device.create(desk.to_add()))
    device.origin = "https://board.test.evil.example"
    assert "origin" in str(await desk.use(device.get(desk.to_ask())))
    device.origin = "https://board.test"
    asked = json.loads(desk.to_ask())
    assert "RP ID" in str(await desk.use(device.get(json.dumps({**asked, "rpId": "evil.example"}))))
    device.verifies = False
    assert "verification" in str(await desk.use(device.get(desk.to_ask())))
    assert "verification" in await desk.add(Authenticator(verifies=False).create(desk.to_add()))
    assert "origin" in await desk.add(Authenticator(origin="https://evil.example").create(desk.to_add()))
    device.verifies = True
    copy = Authenticator(key=device.key, credential_id=device.credential_id, count=0)
    assert "count" in str(await desk.use(copy.get(desk.to_ask()))), "a copied key"
    forged = Authenticator(credential_id=device.credential_id, count=50)
    assert "signature" in str(await desk.use(forged.get(desk.to_ask())))
    assert await desk.use(device.get(desk.to_ask())) == desk.member.id


@pytest.mark.parametrize(
    "junk",
    [
        "", "{", "null", "[]", "[" * 15000, '{"response":{}}', '{"response":{"clientDataJSON":5}}', "x" * 30000,
        '{"id":"é","response":{"clientDataJSON":"e30"}}', '{"response":{"clientDataJSON":"bm90IGpzb24"}}',
        '{"response":{"clientDataJSON":"eyJjaGFsbGVuZ2UiOiJBQSJ9"}}', '{"response":{"clientDataJSON":"////"}}',
    ],
)  # fmt: skip
async def test_what_no_browser_sends_is_refused(desk: Desk, junk: str) -> None:
    assert isinstance(await desk.use(junk), str)
    assert await desk.add(junk) != "added"


async def test_a_true_challenge_in_a_broken_answer_is_refused(desk: Desk) -> None:
    device = Authenticator()
    await desk.add(device.create(desk.to_add()))
    for name, value in (
        ("signature", "AA"), ("authenticatorData", ""), ("authenticatorData", "AAAA"), ("signature", None),
        ("userHandle", 5), ("authenticatorData", "é"),
    ):  # fmt: skip
        answer = json.loads(device.get(desk.to_ask()))
        answer["response"][name] = value
        assert isinstance(await desk.use(json.dumps(answer)), str), name
    for name, value in (("id", "é" * 30), ("rawId", 7), ("type", "other"), ("id", "A" * 3000)):
        answer = {**json.loads(device.get(desk.to_ask())), name: value}
        assert isinstance(await desk.use(json.dumps(answer)), str), name
    for value in ("", "AA", "oA", base64.urlsafe_b64encode(b"\xa3cfmtdnonegattStmt\xa0hauthDataA\0").decode()):
        answer = json.loads(Authenticator().create(desk.to_add()))
        answer["response"]["attestationObject"] = value
        assert await desk.add(json.dumps(answer)) != "added"


async def test_a_passkey_alone_signs_in_and_only_its_active_member(board: Service) -> None:
    grace, device = await member(board), Authenticator()
    one = await browser(board).signed_in(grace)
    page = await one.get("/board/account/passkey")
    added = await one.send(
        page, "/board/account/passkey", {"assertion": device.create(options_of(page.text)), "name": "my phone"}
    )
    assert (added.status_code, added.headers["location"]) == (303, "/board/account")

    two = browser(board)
    page = await two.get("/board/sign-in?to=%2Fboard%2Faudit")
    answer = {"assertion": device.get(options_of(page.text)), "to": "/board/audit"}
    foreign = await two.post("/board/sign-in/passkey", answer, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    done = await two.post("/board/sign-in/passkey", answer)
    assert (done.status_code, done.headers["location"]) == (303, "/board/audit")
    assert (await two.get("/board/account")).status_code == 200
    replayed = await browser(board).post("/board/sign-in/passkey", answer)
    assert replayed.status_code == 422

    three = browser(board)
    await three.sign_in(grace)
    page = await three.get("/board/second-factor")
    for_two = await three.send(page, "/board/second-factor", {"assertion": device.get(options_of(page.text))})
    assert for_two.status_code == 303

    await board.database.write(
        lambda connection: connection.exec_driver_sql("UPDATE board_member SET status = 'disabled'")
    )
    page = await browser(board).get("/board/sign-in")
    refused = await browser(board).post("/board/sign-in/passkey", {"assertion": device.get(options_of(page.text))})
    assert refused.status_code == 422
    assert "set-cookie" not in refused.headers


def test_passkeys_belong_to_the_name_of_the_site() -> None:
    assert party_of("https://Board.Example:8443/x") == Party("board.example", "https://board.example:8443")
    assert party_of("https://Board.Example:443") == Party("board.example", "https://board.example")
    assert party_of("http://127.0.0.1:8080") == Party("localhost", "http://localhost:8080")
    assert party_of("https://192.0.2.1") is None
    assert party_of("https://[2001:db8::1]") is None
