from __future__ import annotations

import random
import re

import pytest

from hostemr.operate.loading.browser import Answer
from hostemr.operate.loading.scenario import Extract, Step, Upload
from hostemr.operate.loading.visitor import Account, Failed, Lacking, build, check, taken

VALUES = {"user": "ann", "password": "p&=ä", "pid": "a b/../&c"}
DICE = random.Random(1)


def _answer(body: str | bytes = "", status: int = 200) -> Answer:
    return Answer(status, body.encode() if isinstance(body, str) else body, len(body), "http://x/")


class TestBuild:
    def test_a_value_cannot_change_where_a_request_goes(self) -> None:
        step = Step("s", "GET", "/p/${pid}/x", query={"q": "${pid}", "file[]": "1"})
        assert build(step, "http://x/emr", VALUES).url == (
            "http://x/emr/p/a%20b%2F..%2F%26c/x?q=a%20b%2F..%2F%26c&file%5B%5D=1"
        )

    def test_a_query_joins_the_one_that_the_path_has(self) -> None:
        step = Step("s", "GET", "/controller.php?document&upload", query={"id": "1"})
        assert build(step, "http://x", VALUES).url == "http://x/controller.php?document&upload&id=1"

    def test_form_json_and_headers_are_filled(self) -> None:
        step = Step("s", "POST", "/", form={"a": "${user}!"}, json={"b": ["${pid}", 7]}, headers={"X": "${user}"})
        request = build(step, "http://x", VALUES)
        assert (request.form, request.json, request.headers) == (
            {"a": "ann!"},
            {"b": ["a b/../&c", 7]},
            {"X": "ann"},
        )

    def test_an_upload_has_its_size_and_says_what_it_is(self) -> None:
        step = Step("s", "POST", "/", upload=Upload("file", "load-${user}.txt", 1000), writes=True)
        file = build(step, "http://x", VALUES).file
        assert file
        assert (file.filename, len(file.content)) == ("load-ann.txt", 1000)
        assert file.content.startswith(b"This file was made by a load test")

    def test_a_password_is_not_shown_by_what_holds_it(self) -> None:
        assert "p&" not in repr(build(Step("s", "GET", "/", basic=True), "http://x", VALUES))
        assert "secret" not in repr(Account("ann", "secret"))


class TestCheck:
    def test_an_error_status_fails_unless_it_is_expected(self) -> None:
        with pytest.raises(Failed) as caught:
            check(Step("s", "GET", "/"), _answer(status=404), VALUES)
        assert (caught.value.kind, caught.value.lost) == ("status 404", False)
        check(Step("s", "GET", "/", statuses=frozenset({404})), _answer(status=404), VALUES)
        with pytest.raises(Failed):
            check(Step("s", "GET", "/", statuses=frozenset({201})), _answer(status=200), VALUES)

    def test_a_refused_session_is_lost(self) -> None:
        with pytest.raises(Failed) as caught:
            check(Step("s", "GET", "/"), _answer(status=403), VALUES)
        assert caught.value.lost

    @pytest.mark.parametrize(("body", "good"), [("hello ann", True), ("hello", False), ("hello ann, log in", False)])
    def test_texts_must_be_there_or_not(self, body: str, good: bool) -> None:
        step = Step("s", "GET", "/", contains=("hello ${user}",), lacks=("log in",))
        if good:
            check(step, _answer(body), VALUES)
        else:
            with pytest.raises(Failed):
                check(step, _answer(body), VALUES)


class TestTaken:
    def test_a_group_of_a_regular_expression(self) -> None:
        extract = Extract("pid", regex=re.compile(r"pid_(\d+)"))
        assert taken(extract, _answer("pid_7 pid_8"), DICE) == "7"

    def test_one_of_several_by_chance(self) -> None:
        extract = Extract("id", path=("results", "*", "id"), pick="random")
        answer = _answer('{"results": [{"id": 1}, {"id": 2}, {"no": 3}]}')
        assert {taken(extract, answer, DICE) for _ in range(50)} == {"1", "2"}

    def test_an_element_by_its_number(self) -> None:
        assert taken(Extract("id", path=("a", "1", "b")), _answer('{"a": [0, {"b": "x"}]}'), DICE) == "x"

    @pytest.mark.parametrize("body", ["", "{", "[]", '{"results": {"*": 1}}', b"\xff"])
    def test_nothing_found_fails_ends_the_journey_or_has_another_value(self, body: str | bytes) -> None:
        extract = Extract("id", path=("results", "*", "id"))
        with pytest.raises(Failed, match=r"no id at 'results.\*.id'"):
            taken(extract, _answer(body), DICE)
        with pytest.raises(Lacking):
            taken(Extract("id", path=("results",), may_lack=True), _answer("{}"), DICE)
        assert taken(Extract("id", path=("results",), otherwise="none"), _answer("{}"), DICE) == "none"
