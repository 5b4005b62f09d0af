"""Verifying a registration service: the real one behind a real nginx, and ones with something wrong."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostemr.errors import FindingsError, SettingsError
from hostemr.operate.trust import trust
from hostemr.operate.verification.address import parse_address
from hostemr.operate.verification.openmrs import Account
from hostemr.operate.verification.outcome import Outcome
from hostemr.operate.verification.web import Web
from hostemr.operate.verify import REGISTRATION, Question, verify
from hostemr.operate.verify_commands import verify as verify_command
from tests.operate.verification.asking import Person, failing, ignored, outcomes, states
from tests.peers.certificates import self_signed
from tests.peers.loopback import free_port
from tests.peers.mariadb import find_program
from tests.peers.nginx import installed, private_folder, until
from tests.peers.openemr_stand_in import HEADERS, Answer, Request, Served, data, redirect
from tests.peers.server import ServerProcess

CSP = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
OWN = ("http.closed", "registration.alive", "registration.ready", "registration.count", "registration.slash")
_CONFIGURATION = """daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; server_tokens off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {certificate};
    ssl_protocols TLSv1.2 TLSv1.3;
    add_header Strict-Transport-Security "max-age=31536000; includeSubDomains" always;
    {more}
    location / {{ proxy_pass {upstream}; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto https; proxy_set_header Host localhost; {within}  }}
  }}
}}
"""
_AS_A_FIREWALL = 'if ($http_user_agent = "") { return 403; }'
_ADDING_NO_SLASH = "rewrite ^/(.*)/$ /$1 permanent;"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real service, as a task has it."""
    folder = tmp_path_factory.mktemp("service")
    settings = {
        "HOSTEMR_SECRET_KEY": "a key for the tests, of sufficient length",
        "HOSTEMR_BASE_URL": "https://localhost",
        "HOSTEMR_PROXY_HOPS": "1",
    }
    with ServerProcess(f"sqlite:///{folder}/registration.db", folder, **settings) as server:
        yield server.url


@contextlib.contextmanager
def nginx(upstream: str, certificate: Path, *, more: str = "", within: str = "") -> Iterator[Served]:
    """A real load balancer's stand-in, with TLS and nothing on port 80; answers where it is."""
    if not installed():
        pytest.fail("nginx is not installed: make system-packages")
    program = find_program("nginx")
    assert program is not None
    with private_folder() as folder:
        # Its worker is nobody, who may not read the tests' folders.
        shutil.copy(certificate, folder / "certificate.pem")
        port = free_port()
        configuration = folder / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                folder=folder, port=port, certificate=folder / "certificate.pem", upstream=upstream, more=more,
                within=within,
            )
        )  # fmt: skip
        with subprocess.Popen([program, "-c", str(configuration), "-p", str(folder)]) as process:
            try:
                until(lambda: _listens(port), "nginx")
                yield _At(port)
            finally:
                process.send_signal(signal.SIGQUIT)


class _At(Served):
    """Where something real answers, in the form that the tests' `outcomes` takes."""

    def __init__(self, port: int) -> None:
        self.port = port
        # Nothing listens there: the deployment has no listener of port 80.
        self.http_port = free_port()
        self.url = f"https://localhost:{port}"


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


class StandIn(Served):
    """A good registration service in small; `answers` puts others in the place of single ones."""

    def __init__(self, certificate: Path) -> None:
        super().__init__(certificate)
        self.instead: dict[str, Callable[[Request], Answer]] = {}
        self.plain = lambda _: Answer(403, b"blocked")

    def reply(self, request: Request) -> Answer:
        answer = self.instead.get(request.path, self._good)(request)
        return Answer(answer.status, answer.body, [*HEADERS.items(), *answer.headers])

    def _good(self, request: Request) -> Answer:
        if request.path in {"/healthz", "/readyz"}:
            return data({"status": "ok"})
        if request.path.rstrip("/") == "/api/registration/unique":
            return data({"count": 7})
        if request.path == "/api/registration":
            return data(refusal("InvalidEmailException"), 400)
        if request.path == "/board/sign-in":
            return Answer(200, b"<form>", [("Content-Security-Policy", CSP)])
        return Answer(200, b"<h1>Welcome</h1>") if request.path == "/" else data(refusal("NotFoundException"), 404)


def refusal(kind: str) -> dict[str, str]:
    """An error as the service says it."""
    return {"error": kind, "message": "no", "requestId": "1"}


@pytest.fixture
def stand_in(certificate: Path) -> Iterator[StandIn]:
    with StandIn(certificate) as served:
        yield served


class TestTheRealOne:
    def test_all_is_well_behind_a_load_balancer_without_port_80(self, service: str, certificate: Path) -> None:
        with nginx(service, certificate) as served:
            found = outcomes(served, certificate)
        assert failing(found) == set()
        assert states(found, *OWN, "registration.nameless", "registration.metrics", "board.policy") == ["ok"] * 8
        assert found["http.closed"].detail == f"nothing answers on port {served.http_port}"
        assert found["registration.nameless"].detail == "the service refuses what is no address"
        assert found["board.policy"].detail.startswith("scripts: ")
        assert "http.redirect" not in found
        assert "login.page" not in found, "it is recognized, and nothing of OpenEMR is asked"

    def test_nothing_is_registered_by_it(self, service: str, certificate: Path) -> None:
        with nginx(service, certificate) as served:
            before = outcomes(served, certificate)["registration.count"].detail
            assert outcomes(served, certificate)["registration.count"].detail == before == "0 are registered"

    def test_a_firewall_that_wants_a_user_agent_is_found_out(self, service: str, certificate: Path) -> None:
        with nginx(service, certificate, within=_AS_A_FIREWALL) as served:
            found = outcomes(served, certificate, application=REGISTRATION)
        assert failing(found) == {"registration.nameless"}
        assert found["registration.nameless"].detail == "it answers HTTP 403; expected the service's own refusal, 400"
        assert "firewall" in found["registration.nameless"].remedy

    def test_a_proxy_that_redirects_slashes_away_is_found_out(self, service: str, certificate: Path) -> None:
        with nginx(service, certificate, more=_ADDING_NO_SLASH) as served:
            found = outcomes(served, certificate, application=REGISTRATION)
        assert failing(found) == {"registration.slash"}
        assert "answers HTTP 301 to " in found["registration.slash"].detail

    def test_a_proxy_that_takes_the_policy_away_is_found_out(self, service: str, certificate: Path) -> None:
        with nginx(service, certificate, within="proxy_hide_header Content-Security-Policy;") as served:
            found = outcomes(served, certificate, application=REGISTRATION)
        assert failing(found) == {"board.policy"}

    def test_the_verb_tells_as_json_and_exits_with_1_for_a_failed_check(
        self, service: str, certificate: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with nginx(service, certificate, within=_AS_A_FIREWALL) as served, pytest.raises(FindingsError) as told:
            verify_command.main(
                [served.url, "--application", "registration", "--ca-file", str(certificate), "--json"],
                prog_name="hostemr verify",
                standalone_mode=False,
            )
        assert told.value.exit_status == 1
        said = json.loads(capsys.readouterr().out)
        assert said["application"] == "registration"
        assert {one["id"]: one["state"] for one in said["checks"]}["registration.nameless"] == "failed"

    def test_without_its_service_a_load_balancer_is_told_by_one_failure(self, certificate: Path) -> None:
        with nginx(f"http://127.0.0.1:{free_port()}", certificate) as served:
            found = outcomes(served, certificate, application=REGISTRATION)
        assert found["registration.alive"].detail == "it answers HTTP 502"
        assert found["registration.count"].detail == "it needs registration.alive"


class TestPlainHttp:
    def test_a_redirect_loses_registrations(self, stand_in: StandIn, certificate: Path) -> None:
        stand_in.plain = lambda request: redirect(f"https://localhost{request.path}", 301)
        found = outcomes(stand_in, certificate)
        assert failing(found) == {"http.closed"}
        assert "redirects with 301, which installations do not follow" in found["http.closed"].detail

    @pytest.mark.parametrize("answer", [data(refusal("InvalidEmailException"), 400), Answer(200, b"hello")])
    def test_a_service_that_takes_addresses_in_the_clear_fails(
        self, stand_in: StandIn, certificate: Path, answer: Answer
    ) -> None:
        stand_in.plain = lambda _: answer
        assert failing(outcomes(stand_in, certificate)) == {"http.closed"}

    def test_what_refuses_all_is_as_good_as_nothing(self, stand_in: StandIn, certificate: Path) -> None:
        found = outcomes(stand_in, certificate)
        assert found["http.closed"].detail == "refused with 403"
        assert [
            (one.method, one.path) for one in stand_in.asked if one.headers["host"].endswith(f":{stand_in.http_port}")
        ] == [("POST", "/api/registration")]

    def test_where_it_would_be_is_not_guessed(self, stand_in: StandIn, certificate: Path) -> None:
        assert states(outcomes(stand_in, certificate, http_port=None), "http.closed") == ["skipped"]


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ("path", "answer", "check"),
        [
            ("/readyz", data(refusal("DatabaseUnavailable"), 503), "registration.ready"),
            ("/readyz", data({"status": "fine"}), "registration.ready"),
            ("/api/registration/unique", data({"count": "7"}), "registration.count"),
            ("/api/registration/unique", data({"count": True}), "registration.count"),
            ("/api/registration/unique", data({"count": -1}), "registration.count"),
            ("/api/registration/unique", data([7]), "registration.count"),
            ("/api/registration/unique/", redirect("/api/registration/unique"), "registration.slash"),
            ("/api/registration", redirect("/api/registration/", 307), "registration.nameless"),
            ("/api/registration", data({"id": "1"}, 201), "registration.nameless"),
            ("/api/registration", data(refusal("Other"), 400), "registration.nameless"),
            ("/metrics", Answer(200, b"hostemr_sns_refused_total 0"), "registration.metrics"),
            ("/board/sign-in", Answer(200, b"<form>"), "board.policy"),
            ("/board/sign-in", Answer(200, b"", [("Content-Security-Policy", "img-src 'self'")]), "board.policy"),
            (
                "/board/sign-in",
                Answer(200, b"", [("Content-Security-Policy", "default-src 'self'; script-src 'unsafe-inline'")]),
                "board.policy",
            ),
        ],
    )
    def test_each_wrong_answer_fails_its_check_and_no_other(
        self, stand_in: StandIn, certificate: Path, path: str, answer: Answer, check: str
    ) -> None:
        stand_in.instead[path] = lambda _: answer
        found = outcomes(stand_in, certificate, application=REGISTRATION)
        assert failing(found) == {check}
        assert found[check].remedy

    def test_a_policy_counts_wherever_it_stands_in_the_line(self, stand_in: StandIn, certificate: Path) -> None:
        written = "; ;IMG-SRC *;Script-Src 'self';script-src *" + ";x" * 20_000
        stand_in.instead["/board/sign-in"] = lambda _: Answer(200, b"", [("Content-Security-Policy", written)])
        assert outcomes(stand_in, certificate, application=REGISTRATION)["board.policy"].detail == "scripts: 'self'"

    def test_what_the_firewall_keeps_to_the_board_is_left_out(self, stand_in: StandIn, certificate: Path) -> None:
        stand_in.instead["/board/sign-in"] = lambda _: Answer(403, b"<html>403 Forbidden</html>")
        found = outcomes(stand_in, certificate)
        assert states(found, "board.policy") == ["skipped"]
        assert "board_ip_range" in found["board.policy"].detail

    def test_a_limit_that_is_reached_says_nothing_about_the_firewall(
        self, stand_in: StandIn, certificate: Path
    ) -> None:
        stand_in.instead["/api/registration"] = lambda _: data(refusal("TooManyRequests"), 429)
        assert states(outcomes(stand_in, certificate), "registration.nameless") == ["skipped"]

    def test_the_request_of_an_installation_names_no_user_agent(self, stand_in: StandIn, certificate: Path) -> None:
        outcomes(stand_in, certificate)
        (sent,) = [
            one for one in stand_in.asked if one.method == "POST" and "hostemr" not in one.headers.get("user-agent", "")
        ]
        assert "user-agent" not in sent.headers
        assert sent.form == {"email": "hostemr-verify"}

    def test_nothing_is_sent_to_what_nobody_vouches_for(self, stand_in: StandIn, tmp_path: Path) -> None:
        other = self_signed(tmp_path, "localhost", days=90)
        found = outcomes(stand_in, other, application=REGISTRATION)
        assert failing(found) == {"tls.trusted"}
        assert [one.path for one in stand_in.asked] == ["/api/registration"], "only what port 80 was asked"


def test_what_is_for_openemr_and_openmrs_is_refused_before_anything_is_sent(
    stand_in: StandIn, certificate: Path
) -> None:
    web = Web(parse_address(stand_in.url), trust(certificate), timeout=5)
    told: list[Outcome] = []
    question = Question(application=REGISTRATION, account=Account("nurse", "secret"))
    with pytest.raises(SettingsError, match="--api and --user are for OpenEMR and OpenMRS"):
        verify(web, question, operator=Person(ignored), told=told.append)
    assert not stand_in.asked
    assert not told
