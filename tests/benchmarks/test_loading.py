"""Load generators on a real nginx."""

from __future__ import annotations

import http.client
import sys
from pathlib import Path

import pytest

from benchmarks.loading import PAGE_BYTES, Generator, GeneratorError, generators, measure, serving
from tests.peers import nginx

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not nginx.installed(), reason="nginx is missing"),
]


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def test_nginx_serves_the_page_and_counts_it(tmp_path: Path) -> None:
    with serving(tmp_path, 0) as server:
        before = server.requests()
        assert get(server.port, "/") == (200, b"x" * PAGE_BYTES)
        assert server.requests() == before + 2, "the page, and the question itself"


def test_a_generator_that_ends_badly_or_says_so_has_no_figures(tmp_path: Path) -> None:
    ends = Generator("ends", lambda *_: [sys.executable, "-c", "import sys; sys.exit('no route')"])
    says = Generator("says", lambda *_: [sys.executable, "-c", "print('no page')"], lambda said: "no page" in said)
    with serving(tmp_path, 0) as server:
        for generator, expected in ((ends, "ends ended with 1: no route"), (says, "says ended with 0")):
            with pytest.raises(GeneratorError, match=expected):
                measure(generator, server, users=1, seconds=0.1, home=tmp_path, lead=0.1)


def test_wrk_and_siege_are_told_apart_from_their_own_errors(tmp_path: Path) -> None:
    chosen = generators(tmp_path)
    assert chosen["wrk"].wrong("  Non-2xx or 3xx responses: 7\n")
    assert not chosen["wrk"].wrong("Requests/sec: 7\n")
    assert chosen["siege"].wrong('New template\n{"failed_transactions": 2}')
    assert not chosen["siege"].wrong('{"failed_transactions": 0}')
    assert chosen["hostemr load"].wrong('{"problems": ["Stopped"]}')
    assert not chosen["hostemr load"].wrong('{"problems": []}')
