"""Where the browser brings the code."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from hostemr.errors import SettingsError
from hostemr.operate.verification.callback import Callback
from hostemr.operate.verification.outcome import Failed


@pytest.fixture(scope="module")
def browser() -> Iterator[httpx.Client]:
    with httpx.Client(follow_redirects=True, timeout=5) as one:
        yield one


@pytest.fixture
def callback() -> Iterator[Callback]:
    with Callback() as waiting:
        yield waiting


def _brings(browser: httpx.Client, callback: Callback, query: str) -> httpx.Response:
    return browser.get(f"{callback.redirect_uri}?{query}")


def test_the_code_arrives_and_does_not_stay_in_the_address_bar(browser: httpx.Client, callback: Callback) -> None:
    callback.expect("s")
    shown = _brings(browser, callback, "code=abc&state=s")
    assert callback.wait(1) == "abc"
    assert "You can close this window" in shown.text
    assert shown.url.path == "/done"
    assert not shown.url.query
    assert shown.headers["Cache-Control"] == "no-store"
    assert shown.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("query", "failure"),
    [
        ("code=abc&state=other", "may be forged"),
        ("code=abc", "may be forged"),
        ("state=s", "no code"),
        ("error=access_denied&error_description=no&state=s", "OpenEMR answered access_denied: no"),
    ],
)
def test_anything_else_is_a_failure_that_the_page_shows_without_repeating_it(
    browser: httpx.Client, callback: Callback, query: str, failure: str
) -> None:
    callback.expect("s")
    shown = _brings(browser, callback, query)
    with pytest.raises(Failed, match=failure):
        callback.wait(1)
    assert "That did not work" in shown.text
    assert "denied" not in shown.text, "what a URL says is not put on a page"


def test_only_the_first_answer_counts_and_only_once_there_was_a_question(
    browser: httpx.Client, callback: Callback
) -> None:
    assert _brings(browser, callback, "code=early&state=s").status_code == 404
    callback.expect("s")
    _brings(browser, callback, "code=first&state=s")
    assert _brings(browser, callback, "code=second&state=s").status_code == 404
    assert callback.wait(1) == "first"


def test_other_paths_and_other_names_get_nothing(browser: httpx.Client, callback: Callback) -> None:
    callback.expect("s")
    at = f"http://127.0.0.1:{callback.port}"
    assert browser.get(f"{at}/favicon.ico").status_code == 404
    rebound = browser.get(f"{at}/callback?code=a&state=s", headers={"Host": f"attacker.example:{callback.port}"})
    assert rebound.status_code == 400
    assert browser.post(f"{at}/callback?code=a&state=s").status_code == 501
    with pytest.raises(Failed, match="did not come back"):
        callback.wait(0.1)


def test_it_is_reached_over_ipv4_and_over_ipv6_but_from_this_machine_only(
    browser: httpx.Client, callback: Callback
) -> None:
    callback.expect("s")
    assert browser.get(f"http://127.0.0.1:{callback.port}/done").status_code == 200
    if socket.has_ipv6 and _has_ipv6():
        assert browser.get(f"http://[::1]:{callback.port}/done").status_code == 200
    assert {server.server_address[0] for server in callback._servers} <= {"127.0.0.1", "::1"}


def _has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


def test_a_port_that_is_taken_is_said_with_what_to_do(browser: httpx.Client, callback: Callback) -> None:
    with pytest.raises(SettingsError, match=f"port {callback.port} of this machine cannot be used") as refused:
        Callback(callback.port)
    assert "--callback-port" in refused.value.hint


def test_a_browser_that_holds_a_connection_open_delays_nobody(browser: httpx.Client, callback: Callback) -> None:
    callback.expect("s")
    with socket.create_connection(("127.0.0.1", callback.port)):
        started = time.monotonic()
        threading.Thread(target=_brings, args=(browser, callback, "code=abc&state=s"), daemon=True).start()
        assert callback.wait(5) == "abc"
        assert time.monotonic() - started < 4
