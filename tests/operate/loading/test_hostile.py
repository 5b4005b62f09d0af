"""Servers under load that mean harm, and scenarios that somebody else wrote."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import Iterator

import pytest

from hostemr.errors import FindingsError, OutsideWorldError, SettingsError
from hostemr.operate.loading.aiohttp_browser import MOST_KEPT, browsers
from hostemr.operate.loading.browser import Answer, NoAnswer, Request
from hostemr.operate.loading.engine import Load
from hostemr.operate.loading.run import run_load
from hostemr.operate.loading.scenario_file import parse
from hostemr.operate.loading.target import parse_target
from tests.peers.rude import always, page, redirecting, rude

ONE_STEP = '[[journey]]\nname = "j"\n[[journey.step]]\nname = "s"\nget = "/"\n'


def _ask(url: str, *allowed: str, basic: tuple[str, str] | None = None) -> Answer:
    make = browsers(parse_target(url, allowed), timeout_seconds=5, context=ssl.create_default_context())

    async def ask() -> Answer:
        browser = make()
        try:
            return await browser.send(Request("GET", f"{url}/", basic=basic))
        finally:
            await browser.close()

    return asyncio.run(ask())


def _trial(url: str, scenario: str) -> None:
    run_load(parse_target(url), parse(scenario, "mine"), Load(0.1, 1))


class TestAnswers:
    @pytest.mark.parametrize("location", [b"http://[", b"http://127.0.0.1:99999/", "http://a℀b/".encode()])
    def test_a_redirect_to_no_url_is_an_error_of_the_server(self, location: bytes) -> None:
        with (
            rude(redirecting(location)) as url,
            pytest.raises(OutsideWorldError, match=r"no URL to go to|another host"),
        ):
            _trial(url, ONE_STEP)

    def test_its_words_cannot_steer_the_terminal(self) -> None:
        with rude(always(b"\x1b[2J nonsense\r\n\r\n")) as url, pytest.raises(NoAnswer) as told:
            _ask(url)
        assert "\x1b" not in str(told.value) + told.value.detail
        assert "\x1b" not in NoAnswer("a", "b\x1b[2J").detail
        assert len(NoAnswer("a", "b" * 10_000).detail) == 300

    def test_a_packed_answer_of_any_size_is_counted_and_not_kept(self) -> None:
        packed = gzip.compress(bytes(4 * MOST_KEPT), compresslevel=1)
        with rude(page(packed, b"Content-Encoding: gzip")) as url:
            answer = _ask(url)
        assert answer.size == 4 * MOST_KEPT
        assert len(answer.body) == MOST_KEPT

    @pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff", b'{"a": ' + b"9" * 5000 + b"}"])
    def test_json_that_nobody_can_read_holds_nothing(self, body: bytes) -> None:
        with (
            rude(page(body)) as url,
            pytest.raises(FindingsError, match="nothing to extract"),
        ):
            _trial(url, ONE_STEP + 'extract = { a = { json = "a" } }\n')

    def test_what_an_answer_gave_cannot_end_a_header(self) -> None:
        scenario = ONE_STEP + (
            "extract = { a = { regex = '(?s)<(.*)>' } }\n"
            '[[journey.step]]\nname = "t"\nget = "/t"\nheaders = { X-A = "${a}" }\n'
        )
        with (
            rude(page(b"<one\r\nX-Evil: 1>")) as url,
            pytest.raises(OutsideWorldError, match="cannot be sent") as told,
        ):
            _trial(url, scenario)
        assert "X-Evil" not in told.value.message


def test_a_password_stays_with_the_host_that_it_is_for() -> None:
    heads: list[bytes] = []

    def elsewhere(head: bytes) -> Iterator[bytes]:
        heads.append(head)
        return page(b"ok")(head)

    with rude(elsewhere) as address:
        other = address.replace("127.0.0.1", "localhost")

        def leads_there(head: bytes) -> Iterator[bytes]:
            heads.append(head)
            return redirecting(f"{other}/".encode())(head)

        with rude(leads_there) as url:
            assert _ask(url, "localhost", basic=("ann", "s3cret")).body == b"ok"
    assert [b"Authorization: Basic" in head for head in heads] == [True, False]


class TestScenarios:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("a = " + "[" * 10_000, "nested too deeply"),
            (ONE_STEP.replace('"/"', '"/a b"'), "without spaces"),
            (ONE_STEP.replace('"/"', r'"/a HTTP/1.1\r\nX: y"'), "without spaces"),
            (ONE_STEP.replace("get", "post") + "writes = false\njson = { on = 2026-05-01 }", "no dates"),
            (ONE_STEP.replace("get", "post") + "writes = false\njson = [nan]", "no dates"),
        ],
    )
    def test_what_could_not_be_sent_is_told_before_anything_is(self, text: str, problem: str) -> None:
        with pytest.raises(SettingsError, match=problem):
            parse(text, "mine")
