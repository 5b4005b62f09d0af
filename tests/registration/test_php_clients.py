"""PHP's cURL, as each OpenEMR generation uses it, against a running registration service.

The second half runs the same clients against a server that answers wrongly: a client that could
not fail would prove nothing in the first half.
"""

from __future__ import annotations

import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl

import httpx
import pytest
from cryptography import x509

from tests.peers import php_clients
from tests.peers.certificates import self_signed
from tests.peers.php_clients import ClientBroken, ClientOutcome, run_client

pytestmark = pytest.mark.skipif(not php_clients.installed(), reason="needs php-cli and php-curl")

SINCE_5_0_2 = ("register_5_0_2.php", "register_7_0_4.php", "register_8.php")
REGISTERING = ("register_5_0_0.php", *SINCE_5_0_2)
REPORTING = ("usage_7_0_4.php", "usage_8.php")

SITE = "0b0d8a6e-3f0a-4c9c-8d2e-6a4f3f1f7b55"

CONTINUE_THRESHOLD_BYTES = 1024 * 1024
COUNT_FRESH_WITHIN_SECONDS = 10


TYPED_ADDRESSES = {
    "leading space": " a@example.org",
    "trailing blanks": "b@example.org\t ",
    "uppercase": "C@Example.ORG",
    "Unicode domain": "d@bücher.example.org",
    "all at once": " E+Desk@BÜCHER.example.org ",
}

INVALID_ADDRESSES = {
    "no domain": "clinic@",
    "no local part": "@example.org",
    "two at signs": "a@b@example.org",
    "space within": "clinic@exa mple.org",
    "line break": "clinic@example.org\r\nBcc: all@example.org",
    "address literal": "clinic@[127.0.0.1]",
    "too long": "x" * 300 + "@example.org",
    # How Python writes bytes that are no text into a command line.
    "not UTF-8": "\udcff\udcfe@example.org",
}


class RunningServer(Protocol):
    """What the `server` fixture yields: a registration service on an empty database."""

    @property
    def url(self) -> str: ...


def visit(script: str, server: RunningServer, **options: str | int | bool | Path) -> ClientOutcome:
    """Run a client against the real service, which must never redirect: no client follows."""
    outcome = run_client(script, server.url, **options)
    assert outcome.redirect is None, outcome
    assert outcome.status is None or not 300 <= outcome.status < 400, outcome
    return outcome


def addresses_become(server: RunningServer, expected: int) -> bool:
    """Whether the service counts so many different addresses, now or once its count is fresh again."""
    deadline = time.monotonic() + COUNT_FRESH_WITHIN_SECONDS
    while True:
        count: int = httpx.get(f"{server.url}/api/registration/unique", timeout=30).json()["count"]
        if count == expected or time.monotonic() > deadline:
            return count == expected
        time.sleep(0.1)


class TestRegistration:
    @pytest.mark.parametrize("script", REGISTERING)
    def test_every_client_registers_a_new_address(self, server: RunningServer, script: str) -> None:
        outcome = visit(script, server, email="clinic@example.org")
        assert (outcome.outcome, outcome.status) == ("registered", 201), outcome.stderr
        assert outcome.product_id
        assert addresses_become(server, 1)

    def test_the_oldest_client_is_told_that_its_address_is_known(self, server: RunningServer) -> None:
        first = visit("register_5_0_0.php", server, email="clinic@example.org")
        again = visit("register_5_0_0.php", server, email="clinic@example.org", expect="already-registered")
        assert (first.outcome, again.outcome, again.status) == ("registered", "already-registered", 409)

    @pytest.mark.parametrize("script", SINCE_5_0_2)
    def test_a_newer_client_registers_again_as_another_installation(self, server: RunningServer, script: str) -> None:
        first = visit(script, server, email="clinic@example.org")
        again = visit(script, server, email="clinic@example.org")
        assert (first.outcome, again.outcome) == ("registered", "registered"), again.stderr
        assert again.product_id not in (None, first.product_id)
        assert addresses_become(server, 1)

    def test_each_generation_after_the_other_is_one_more_installation(self, server: RunningServer) -> None:
        outcomes = [visit(script, server, email="clinic@example.org") for script in REGISTERING]
        assert [outcome.outcome for outcome in outcomes] == ["registered"] * len(REGISTERING)
        assert len({outcome.product_id for outcome in outcomes}) == len(REGISTERING)
        assert addresses_become(server, 1)

    def test_the_oldest_client_finds_an_address_that_a_newer_one_registered(self, server: RunningServer) -> None:
        visit("register_8.php", server, email="clinic@example.org")
        outcome = visit("register_5_0_0.php", server, email="clinic@example.org", expect="already-registered")
        assert outcome.status == 409

    def test_the_fields_of_containers_and_snapshots_are_taken(self, server: RunningServer) -> None:
        outcome = visit(
            "register_5_0_2.php",
            server,
            email="clinic@example.org",
            version="5.0.2-dev",
            distribution="flex-3.20 (déjà vu)",
            date=True,
        )
        assert outcome.outcome == "registered", outcome.stderr

    @pytest.mark.parametrize("script", ["register_5_0_0.php", "register_5_0_2.php"])
    def test_what_the_old_dialogs_let_through_is_registered(
        self, server: RunningServer, subtests: pytest.Subtests, script: str
    ) -> None:
        for what, email in TYPED_ADDRESSES.items():
            with subtests.test(what):
                outcome = visit(script, server, email=email)
                assert outcome.outcome == "registered", outcome.stderr

    def test_two_spellings_are_one_address(self, server: RunningServer) -> None:
        visit("register_5_0_0.php", server, email=" Clinic@Bücher.EXAMPLE.org")
        outcome = visit(
            "register_5_0_0.php", server, email="clinic@xn--bcher-kva.example.org ", expect="already-registered"
        )
        assert outcome.outcome == "already-registered", outcome.stderr
        assert addresses_become(server, 1)

    def test_an_invalid_address_is_refused_in_the_way_of_each_generation(
        self, server: RunningServer, subtests: pytest.Subtests
    ) -> None:
        for what, email in INVALID_ADDRESSES.items():
            with subtests.test(what):
                oldest = visit("register_5_0_0.php", server, email=email, expect="invalid-email")
                assert (oldest.outcome, oldest.status) == ("invalid-email", 400), oldest.stderr
                middle = visit("register_5_0_2.php", server, email=email, expect="failure")
                assert (middle.outcome, middle.status) == ("failure", 400), middle.stderr

    @pytest.mark.parametrize("script", ["register_7_0_4.php", "register_8.php"])
    def test_an_address_that_php_accepts_and_mail_does_not_is_a_failure(
        self, server: RunningServer, script: str
    ) -> None:
        outcome = visit(script, server, email="clinic@[127.0.0.1]", expect="failure")
        assert (outcome.outcome, outcome.status, outcome.sent) == ("failure", 400, True)

    @pytest.mark.parametrize("script", REGISTERING)
    def test_a_trailing_slash_is_answered_as_well(self, server: RunningServer, script: str) -> None:
        outcome = visit(script, server, email="clinic@example.org", path="/api/registration/")
        assert outcome.outcome == "registered", outcome.stderr


class TestUsage:
    @pytest.mark.parametrize("script", REPORTING)
    def test_a_report_empties_the_clients_table(self, server: RunningServer, tmp_path: Path, script: str) -> None:
        outcome = visit(script, server, site=SITE, events=12, table=tmp_path / "events.json")
        assert (outcome.outcome, outcome.records, outcome.left) == ("cleared", 12, 0), outcome.stderr

    @pytest.mark.parametrize("script", REPORTING)
    def test_a_report_without_events_is_accepted(self, server: RunningServer, script: str) -> None:
        outcome = visit(script, server, site=SITE, events=0)
        assert outcome.outcome == "cleared", outcome.stderr

    @pytest.mark.parametrize("script", REPORTING)
    def test_the_same_counts_are_accepted_again_after_a_lost_reply(
        self, server: RunningServer, tmp_path: Path, script: str
    ) -> None:
        table = tmp_path / "events.json"
        lost = visit(script, server, site=SITE, events=5, table=table, lose_reply=True, expect="kept")
        resent = visit(script, server, site=SITE, events=0, table=table)
        assert (lost.outcome, lost.status, lost.left) == ("kept", 0, 5)
        assert (resent.outcome, resent.records, resent.left) == ("cleared", 5, 0), resent.stderr

    def test_counts_that_grew_after_a_lost_reply_are_accepted(self, server: RunningServer, tmp_path: Path) -> None:
        table = tmp_path / "events.json"
        visit("usage_8.php", server, site=SITE, events=5, table=table, lose_reply=True, expect="kept")
        grown = visit("usage_8.php", server, site=SITE, events=7, table=table)
        assert (grown.outcome, grown.records) == ("cleared", 7), grown.stderr

    def test_an_installation_without_an_id_is_answered_too(self, server: RunningServer) -> None:
        outcome = visit("usage_8.php", server, site="", events=4)
        assert (outcome.outcome, outcome.status) == ("cleared", 200), outcome.stderr

    @pytest.mark.parametrize("script", REPORTING)
    def test_a_large_report_is_let_through(self, server: RunningServer, script: str) -> None:
        outcome = visit(script, server, site=SITE, events=2500, url_length=400)
        assert outcome.bytes is not None
        assert outcome.bytes > CONTINUE_THRESHOLD_BYTES
        assert outcome.outcome == "cleared", outcome.stderr
        # Without the interim answer each of these clients would stand still for a second.
        assert (outcome.expected_continue, outcome.continued) == (True, True)

    @pytest.mark.parametrize("script", REPORTING)
    def test_a_trailing_slash_is_answered_as_well(self, server: RunningServer, script: str) -> None:
        outcome = visit(script, server, site=SITE, path="/api/usage/")
        assert outcome.outcome == "cleared", outcome.stderr


@dataclass(frozen=True)
class Answer:
    """What the stub server says to every request."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One request as the stub server read it."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class StubServer(ThreadingHTTPServer):
    """Gives one answer to everything, and remembers what it was asked."""

    # So that closing the server waits for the threads of its requests.
    daemon_threads = False

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), StubRequestHandler)
        self.answer = answer
        self.requests: list[Request] = []
        self.scheme = "http"

    @property
    def url(self) -> str:
        """Where a client reaches it."""
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that loses its reply on purpose closes the connection in the middle of it."""


class StubRequestHandler(BaseHTTPRequestHandler):
    """Answers as its server was told."""

    protocol_version = "HTTP/1.1"
    server: StubServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(Request(self.path, dict(self.headers.items()), body))
        answer = self.server.answer
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body.encode())))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body.encode())

    def log_message(
        self,
        format: str,  # noqa: A002, the base class's
        *args: object,
    ) -> None:
        """Keep the test's output clean."""


@contextmanager
def stub(answer: Answer, certificate: Path | None = None) -> Iterator[StubServer]:
    """A stub server in a thread; over TLS when it has a certificate."""
    with StubServer(answer) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            server.scheme = "https"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for the stub server's own address."""
    return self_signed(tmp_path, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


CREATED = Answer(201, json.dumps({"productId": "5a2e9c1e-6a55-4a0e-8f3b-0c1d2e3f4a5b"}))
REPORTED = Answer(200, json.dumps({"status": "success"}))


class TestTheStandInsCanFail:
    @pytest.mark.parametrize("script", REGISTERING)
    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(Answer(500, "oops"), id="500"),
            pytest.param(Answer(503, "{}"), id="503"),
            pytest.param(Answer(204, ""), id="204"),
            pytest.param(Answer(200, CREATED.body), id="200 instead of 201"),
            pytest.param(Answer(422, CREATED.body), id="422"),
        ],
    )
    def test_any_other_status_is_a_failure(self, script: str, answer: Answer) -> None:
        with stub(answer) as server:
            outcome = run_client(script, server.url, email="clinic@example.org")
        assert (outcome.outcome, outcome.status, outcome.exit_status) == ("failure", answer.status, 1)
        assert 'concluded "failure", expected "registered"' in outcome.stderr

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    @pytest.mark.parametrize("script", [*REGISTERING, *REPORTING])
    def test_a_redirect_is_reported_and_not_followed(self, script: str, status: int) -> None:
        options = {"email": "clinic@example.org"} if script in REGISTERING else {"site": SITE}
        with stub(Answer(status, CREATED.body, {"Location": "/elsewhere"})) as server:
            outcome = run_client(script, server.url, **options)
            assert len(server.requests) == 1
            assert outcome.redirect == f"{server.url}/elsewhere"
        assert outcome.outcome in ("failure", "kept")
        assert outcome.exit_status == 1

    @pytest.mark.parametrize("body", ["", "{}", "[]", "null", '{"productId": ""}', '{"productId": 7}', "<html>"])
    def test_only_the_oldest_client_needs_the_product_id(self, body: str) -> None:
        with stub(Answer(201, body)) as server:
            oldest = run_client("register_5_0_0.php", server.url, email="clinic@example.org")
            newer = [run_client(script, server.url, email="clinic@example.org") for script in SINCE_5_0_2]
        assert (oldest.outcome, oldest.product_id, oldest.exit_status) == ("failure", None, 1)
        assert {outcome.outcome for outcome in newer} == {"registered"}

    @pytest.mark.parametrize(("status", "understood"), [(400, "invalid-email"), (409, "already-registered")])
    def test_only_the_oldest_client_understands_a_refusal(self, status: int, understood: str) -> None:
        with stub(Answer(status, "{}")) as server:
            oldest = run_client("register_5_0_0.php", server.url, email="clinic@example.org", expect=understood)
            newer = [
                run_client(script, server.url, email="clinic@example.org", expect=understood) for script in SINCE_5_0_2
            ]
        assert (oldest.outcome, oldest.exit_status) == (understood, 0)
        assert {(outcome.outcome, outcome.exit_status) for outcome in newer} == {("failure", 1)}

    @pytest.mark.parametrize("script", REPORTING)
    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(Answer(204, ""), id="204"),
            pytest.param(Answer(202, REPORTED.body), id="202"),
            pytest.param(Answer(500, REPORTED.body), id="500"),
            *[pytest.param(Answer(200, body), id=f"200 {body}") for body in ("", "{}", "[]", "null", "0", '"0"', "ok")],
        ],
    )
    def test_events_are_kept_unless_the_answer_is_true_to_php(
        self, tmp_path: Path, script: str, answer: Answer
    ) -> None:
        table = tmp_path / "events.json"
        with stub(answer) as server:
            outcome = run_client(script, server.url, events=6, table=table)
        assert (outcome.outcome, outcome.left, outcome.exit_status) == ("kept", 6, 1)
        assert len(json.loads(table.read_text())) == 6

    @pytest.mark.parametrize("script", REPORTING)
    @pytest.mark.parametrize(
        "answer",
        [REPORTED, Answer(201, REPORTED.body), Answer(200, "true"), Answer(200, "[0]")],
        ids=lambda it: it.body,
    )
    def test_events_are_cleared_by_an_answer_that_is_true_to_php(
        self, tmp_path: Path, script: str, answer: Answer
    ) -> None:
        table = tmp_path / "events.json"
        with stub(answer) as server:
            outcome = run_client(script, server.url, events=6, table=table)
        assert (outcome.outcome, outcome.left, outcome.exit_status) == ("cleared", 0, 0)
        assert json.loads(table.read_text()) == []

    @pytest.mark.parametrize("script", [*REGISTERING, *REPORTING])
    def test_a_server_that_is_down_is_a_failure(self, script: str) -> None:
        options = {"email": "clinic@example.org"} if script in REGISTERING else {"site": SITE}
        with stub(CREATED) as server:
            url = server.url
        outcome = run_client(script, url, **options)
        assert (outcome.status, outcome.exit_status) == (0, 1)
        assert "no answer came" in outcome.stderr


class TestWhatTheStandInsSend:
    @pytest.mark.parametrize(
        ("script", "options", "fields"),
        [
            ("register_5_0_0.php", {}, {"email": " Ü@b.org"}),
            ("register_5_0_2.php", {"version": "7.0.2 (1)"}, {"email": " Ü@b.org", "version": "7.0.2 (1)"}),
            (
                "register_5_0_2.php",
                {"version": "6.0.0", "distribution": "docker"},
                {"email": " Ü@b.org", "version": "6.0.0", "distribution": "docker"},
            ),
        ],
    )
    def test_the_old_clients_send_the_address_as_it_was_typed(
        self, script: str, options: dict[str, str], fields: dict[str, str]
    ) -> None:
        with stub(CREATED) as server:
            outcome = run_client(script, server.url, email=" Ü@b.org", **options)
        (request,) = server.requests
        assert outcome.outcome == "registered"
        assert request.path == "/api/registration"
        assert request.body.startswith(b"email=+%C3%9C%40b.org")
        assert dict(parse_qsl(request.body.decode("ascii"), strict_parsing=True)) == fields

    def test_a_snapshot_before_5_0_2_also_sent_the_date(self) -> None:
        with stub(CREATED) as server:
            run_client("register_5_0_2.php", server.url, email="a@b.org", date=True)
        (request,) = server.requests
        assert [name for name, _ in parse_qsl(request.body.decode("ascii"))] == ["email", "date", "version"]

    @pytest.mark.parametrize("script", ["register_7_0_4.php", "register_8.php"])
    def test_the_new_clients_trim_the_address(self, script: str) -> None:
        with stub(CREATED) as server:
            run_client(script, server.url, email=" a@b.org\n", version="7.0.4")
        (request,) = server.requests
        assert request.body == b"email=a%40b.org&version=7.0.4"

    @pytest.mark.parametrize(
        ("script", "email"),
        [
            *[(script, "clinic.example.org") for script in REGISTERING],
            *[("register_7_0_4.php", email) for email in ("clinic@", "clinic@bücher.example.org", "a b@c.org")],
            ("register_8.php", "clinic@bücher.example.org"),
        ],
    )
    def test_what_a_client_itself_refuses_is_never_sent(self, script: str, email: str) -> None:
        with stub(CREATED) as server:
            outcome = run_client(script, server.url, email=email, expect="invalid-email")
            assert server.requests == []
        assert (outcome.outcome, outcome.sent, outcome.status, outcome.exit_status) == ("invalid-email", False, None, 0)

    @pytest.mark.parametrize("script", REGISTERING)
    def test_a_registration_has_curls_own_headers_and_no_user_agent(self, script: str) -> None:
        with stub(CREATED) as server:
            run_client(script, server.url, email="a@b.org")
        (request,) = server.requests
        assert set(request.headers) == {"Host", "Accept", "Content-Length", "Content-Type"}
        assert request.headers["Accept"] == "*/*"
        assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"

    @pytest.mark.parametrize("script", REPORTING)
    def test_a_report_is_json_with_json_in_its_strings(self, script: str) -> None:
        with stub(REPORTED) as server:
            run_client(script, server.url, site=SITE, events=3, version="7.0.4")
        (request,) = server.requests
        assert request.path == f"/api/usage?SiteID={SITE}"
        assert set(request.headers) == {"Host", "Accept", "Content-Length", "Content-Type"}
        assert request.headers["Content-Type"] == "application/json"
        report: dict[str, Any] = json.loads(request.body)
        assert len(report["usageRecords"]) == 3
        assert list(report["usageRecords"][0]) == [
            "event_type",
            "event_label",
            "event_url",
            "event_target",
            "first_event",
            "last_event",
            "count",
        ]
        assert all(isinstance(value, str) for record in report["usageRecords"] for value in record.values())
        locale = report["localeData"]
        assert all(isinstance(value, str) for value in locale.values())
        nested = {name for name, value in locale.items() if value.startswith(("{", "["))}
        added = {"populationData", "moduleCounts", "enabledEncounterForms"} if script == "usage_8.php" else set()
        assert nested == {"location", "settings"} | added
        assert all(json.loads(locale[name]) for name in nested)

    def test_only_the_newest_client_reports_without_a_site(self) -> None:
        with stub(REPORTED) as server:
            older = run_client("usage_7_0_4.php", server.url, site="", expect="kept")
            assert (older.outcome, older.sent, server.requests) == ("kept", False, [])
            newer = run_client("usage_8.php", server.url, site="")
        (request,) = server.requests
        assert newer.outcome == "cleared"
        assert request.path == "/api/usage?SiteID="

    def test_a_lost_reply_makes_the_client_send_the_same_counts_again(self, tmp_path: Path) -> None:
        table = tmp_path / "events.json"
        with stub(REPORTED) as server:
            lost = run_client("usage_8.php", server.url, events=2, table=table, lose_reply=True, expect="kept")
            assert (lost.outcome, lost.status, lost.exit_status) == ("kept", 0, 0)
            run_client("usage_8.php", server.url, events=0, table=table, lose_reply=True, expect="kept")
            run_client("usage_8.php", server.url, events=2, table=table)
        first, second, third = (json.loads(request.body)["usageRecords"] for request in server.requests)
        assert first == second
        assert [record["count"] for record in first] == ["1", "1"]
        assert [record["count"] for record in third] == ["2", "2"]
        assert [record["first_event"] for record in third] == [record["first_event"] for record in first]

    @pytest.mark.parametrize(("events", "asks"), [(1000, False), (2500, True)])
    def test_only_a_large_report_asks_before_it_sends(self, events: int, *, asks: bool) -> None:
        with stub(REPORTED) as server:
            outcome = run_client("usage_8.php", server.url, events=events, url_length=400)
        assert outcome.bytes is not None
        assert (outcome.bytes > CONTINUE_THRESHOLD_BYTES) == asks
        assert (outcome.expected_continue, outcome.continued) == (asks, asks)
        assert outcome.outcome == "cleared"


class TestTls:
    @pytest.mark.parametrize("script", ["register_5_0_0.php", "register_5_0_2.php", "register_7_0_4.php"])
    def test_the_clients_before_8_trust_any_issuer(self, certificate: Path, script: str) -> None:
        with stub(CREATED, certificate) as server:
            outcome = run_client(script, server.url, email="a@b.org")
        assert outcome.outcome == "registered", outcome.stderr

    def test_version_8_needs_an_issuer_it_trusts(
        self, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with stub(CREATED, certificate) as server:
            refused = run_client("register_8.php", server.url, email="a@b.org", expect="failure")
            told = run_client("register_8.php", server.url, email="a@b.org", http_verify_ssl=0)
            (tmp_path / "trust.ini").write_text(f'curl.cainfo = "{certificate}"\n')
            # The empty part keeps the folder that loads the cURL extension.
            monkeypatch.setenv("PHP_INI_SCAN_DIR", f":{tmp_path}")
            trusting = run_client("register_8.php", server.url, email="a@b.org")
        assert (refused.outcome, refused.status) == ("failure", 0)
        assert (told.outcome, trusting.outcome) == ("registered", "registered"), trusting.stderr

    def test_usage_reports_follow_the_same_rule(self, certificate: Path) -> None:
        with stub(REPORTED, certificate) as server:
            older = run_client("usage_7_0_4.php", server.url)
            refused = run_client("usage_8.php", server.url, expect="kept")
            told = run_client("usage_8.php", server.url, http_verify_ssl=0)
        assert (older.outcome, refused.outcome, told.outcome) == ("cleared", "kept", "cleared")

    @pytest.mark.parametrize("script", REGISTERING)
    def test_every_client_refuses_the_certificate_of_another_host(self, tmp_path: Path, script: str) -> None:
        with stub(CREATED, self_signed(tmp_path, x509.DNSName("elsewhere.example.org"))) as server:
            outcome = run_client(script, server.url, email="a@b.org", expect="failure")
        assert (outcome.outcome, outcome.status) == ("failure", 0)


class TestTheCommandLine:
    @pytest.mark.parametrize(
        ("script", "url", "options", "sentence"),
        [
            ("register_8.php", "ftp://127.0.0.1", {"email": "a@b.org"}, "BASE_URL"),
            ("register_8.php", "http://127.0.0.1:1", {}, "--email is missing"),
            ("register_8.php", "http://127.0.0.1:1", {"email": ""}, "--email is missing"),
            ("register_8.php", "http://127.0.0.1:1", {"email": "a@b.org", "expect": "cleared"}, "--expect"),
            ("register_5_0_0.php", "http://127.0.0.1:1", {"email": "a@b.org", "version": "5"}, "not an option"),
            ("usage_8.php", "http://127.0.0.1:1", {"events": "many"}, "expected a whole number"),
        ],
    )
    def test_wrong_use_is_told_apart_from_a_failure(
        self, script: str, url: str, options: dict[str, str], sentence: str
    ) -> None:
        with pytest.raises(ClientBroken, match=sentence) as broken:
            run_client(script, url, **options)
        assert f"status {php_clients.WRONG_USE}" in str(broken.value)
