"""What lies around the application: TLS, redirect, headers, cookies."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from hostemr.errors import SettingsError
from hostemr.operate.trust import trust
from hostemr.operate.verification.address import parse_address
from hostemr.operate.verification.web import MOST_BYTES, NoAnswer, Web
from hostemr.operate.verify import Question, verify
from tests.operate.verification.asking import Person, around, failing, ignored, outcomes, states, web_of
from tests.peers.certificates import self_signed
from tests.peers.openemr_stand_in import CORE_COOKIE, Answer, OpenEmrStandIn, redirect


class TestTls:
    def test_a_certificate_that_nobody_vouches_for_fails_and_nothing_is_sent_over_it(
        self, emr: OpenEmrStandIn, tmp_path: Path
    ) -> None:
        found = outcomes(emr, self_signed(tmp_path, "localhost", days=90), application="openemr")
        assert failing(found) == {"tls.trusted"}
        assert "self-signed certificate" in found["tls.trusted"].detail
        assert "--ca-file" in found["tls.trusted"].remedy
        assert found["login.page"].detail == "it needs tls.trusted"
        assert states(found, "login.default", "login.page", "fhir.metadata") == ["skipped"] * 3
        assert [request.path for request in emr.asked] == ["/"], "only what port 80 was asked"

    def test_what_runs_there_is_not_guessed_without_trust(self, emr: OpenEmrStandIn, tmp_path: Path) -> None:
        found = outcomes(emr, self_signed(tmp_path, "localhost", days=90))
        assert failing(found) == {"tls.trusted"}
        assert "login.page" not in found

    def test_a_certificate_for_another_name_fails(self, tmp_path: Path) -> None:
        certificate = self_signed(tmp_path, "emr.example.org", days=90)
        with OpenEmrStandIn(certificate) as emr:
            found = outcomes(emr, certificate)
        assert "Hostname mismatch" in found["tls.trusted"].detail

    def test_the_final_name_can_be_checked_before_dns_knows_it(self, tmp_path: Path) -> None:
        certificate = self_signed(tmp_path, "emr.example.org", days=90)
        with OpenEmrStandIn(certificate) as emr:
            emr.behaviour.address = f"https://emr.example.org:{emr.port}"
            emr.plain = lambda _: redirect("https://emr.example.org/", 301)
            address = parse_address(emr.behaviour.address, f"127.0.0.1:{emr.port}")
            question = Question(http_port=emr.http_port)
            web = Web(address, trust(certificate), timeout=5)
            done = verify(web, question, operator=Person(), told=ignored)
        assert done.failed == []
        assert {request.headers["host"] for request in emr.asked} >= {f"emr.example.org:{emr.port}"}

    def test_a_certificate_that_ends_soon_fails_but_the_rest_goes_on(
        self, emr: OpenEmrStandIn, certificate: Path
    ) -> None:
        found = outcomes(emr, certificate, today=dt.datetime.now(dt.UTC) + dt.timedelta(days=77))
        assert failing(found) == {"tls.days"}
        assert found["tls.days"].detail.startswith("13 days left")

    @pytest.mark.parametrize("old", [True, False])
    def test_a_server_that_takes_old_versions_is_found_out(self, certificate: Path, *, old: bool) -> None:
        with OpenEmrStandIn(certificate, old_tls=old) as emr:
            found = outcomes(emr, certificate)
        assert failing(found) == ({"tls.versions"} if old else set())
        if old:
            assert found["tls.versions"].detail == "the server takes TLS 1.0 and TLS 1.1"

    def test_an_address_without_tls_fails_and_the_rest_is_asked_all_the_same(self, emr: OpenEmrStandIn) -> None:
        emr.plain = emr.reply
        emr.behaviour.address = f"http://localhost:{emr.http_port}"
        web = Web(parse_address(emr.behaviour.address), trust(None), timeout=5)
        done = verify(web, Question(), operator=Person(), told=ignored)
        found = {one.id: one for one in done.outcomes}
        assert failing(found) == {"tls.trusted"}
        assert "would travel in the clear" in found["tls.trusted"].detail
        assert found["headers.hsts"].detail == "it needs tls.trusted"
        assert states(found, "tls.versions", "http.redirect", "login.page") == ["skipped", "skipped", "ok"]

    def test_a_file_of_authorities_that_is_none_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        with pytest.raises(SettingsError, match="No such file"):
            trust(file)
        file.write_text("no certificate")
        with pytest.raises(SettingsError, match=r"ca\.pem cannot be read as certificates"):
            trust(file)


class TestRedirect:
    @pytest.mark.parametrize(
        ("answer", "detail"),
        [
            (Answer(200, b"records"), "answers 200 without a redirect"),
            (redirect("https://localhost/", 302), "the redirect is 302, which browsers do not remember"),
            (redirect("http://localhost/login", 301), "redirects to http://localhost/login"),
            (redirect("https://elsewhere.example/", 301), "redirects to https://elsewhere.example/"),
            (redirect("https://localhost.elsewhere.example/", 301), "redirects to https://localhost.elsewhere"),
        ],
    )
    def test_anything_but_a_lasting_redirect_to_this_host_fails(
        self, emr: OpenEmrStandIn, certificate: Path, answer: Answer, detail: str
    ) -> None:
        emr.plain = lambda _: answer
        found = around(emr, certificate)
        assert failing(found) == {"http.redirect"}
        assert detail in found["http.redirect"].detail

    def test_308_is_as_good_as_301(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        emr.plain = lambda request: redirect(f"{emr.url}{request.path}", 308)
        assert failing(around(emr, certificate)) == set()

    def test_a_closed_port_is_good_and_an_unknown_one_is_said(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        assert around(emr, certificate, http_port=1)["http.redirect"].detail == "nothing answers on port 1"
        found = around(emr, certificate, http_port=None)
        assert found["http.redirect"].state == "skipped"
        assert "--http-port" in found["http.redirect"].detail


class TestHeaders:
    @pytest.mark.parametrize(
        ("header", "value", "check"),
        [
            ("Strict-Transport-Security", None, "headers.hsts"),
            ("Strict-Transport-Security", "max-age=300", "headers.hsts"),
            ("X-Frame-Options", None, "headers.frames"),
            ("X-Frame-Options", "ALLOWALL", "headers.frames"),
            ("X-Content-Type-Options", None, "headers.sniffing"),
            ("Server", "Apache/2.4.66 (Alpine)", "headers.version"),
            ("X-Powered-By", "PHP/8.4.1", "headers.version"),
        ],
    )
    def test_a_header_that_is_missing_or_wrong_fails_its_check(
        self, emr: OpenEmrStandIn, certificate: Path, header: str, value: str | None, check: str
    ) -> None:
        emr.behaviour.headers.pop(header, None)
        if value is not None:
            emr.behaviour.headers[header] = value
        emr.behaviour.cookies = []
        assert failing(around(emr, certificate)) == {check}

    @pytest.mark.parametrize(("policy", "good"), [("frame-ancestors 'none'", True), ("frame-ancestors *", False)])
    def test_a_policy_against_frames_counts(
        self, emr: OpenEmrStandIn, certificate: Path, policy: str, *, good: bool
    ) -> None:
        del emr.behaviour.headers["X-Frame-Options"]
        emr.behaviour.headers["Content-Security-Policy"] = f"default-src 'self'; {policy}"
        assert failing(around(emr, certificate)) == (set() if good else {"headers.frames"})

    @pytest.mark.parametrize(
        ("cookie", "wrong"),
        [
            ("id=1; Secure; HttpOnly; SameSite=Lax", ""),
            ("id=1; HttpOnly; SameSite=Lax", "id without Secure"),
            ("id=1", "id without HttpOnly, SameSite, Secure"),
            ("OpenEMR=1; path=/", "OpenEMR without HttpOnly, SameSite, Secure"),
            ("AWSALB=1; Path=/", ""),
            ("AWSALBCORS=1; Path=/; SameSite=None; Secure", ""),
            ("AWSALBCORS=1; Path=/; SameSite=None", "AWSALBCORS without HttpOnly, Secure"),
        ],
    )
    def test_cookies_carry_their_marks_but_for_those_that_are_known(
        self, emr: OpenEmrStandIn, certificate: Path, cookie: str, wrong: str
    ) -> None:
        emr.behaviour.cookies = [CORE_COOKIE, cookie]
        found = around(emr, certificate)
        assert failing(found) == ({"cookies"} if wrong else set())
        assert wrong in found["cookies"].detail

    def test_the_session_without_secure_is_not_borne_without_hsts(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        del emr.behaviour.headers["Strict-Transport-Security"]
        assert failing(around(emr, certificate)) == {"headers.hsts", "cookies"}


class TestReach:
    def test_a_port_where_nothing_listens_is_the_outside_world(self, certificate: Path) -> None:
        with OpenEmrStandIn(certificate) as emr:
            web = web_of(emr, certificate)
        with pytest.raises(NoAnswer, match="Connection refused") as failed:
            verify(web, Question(), operator=Person(), told=ignored)
        assert failed.value.exit_status == 3
        assert "is the deployment running" in failed.value.hint

    def test_http_where_https_is_expected_is_said(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        web = Web(parse_address(f"https://localhost:{emr.http_port}"), trust(certificate), timeout=5)
        with pytest.raises(NoAnswer, match="does not speak TLS as it should"):
            verify(web, Question(), operator=Person(), told=ignored)

    def test_an_answer_without_end_is_not_read_to_its_end(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        emr.plain = lambda _: Answer(200, b"x" * (MOST_BYTES + 1))
        web = Web(parse_address(f"http://localhost:{emr.http_port}"), trust(certificate), timeout=5)
        with pytest.raises(NoAnswer, match="over 8 MB"):
            web.get("/")

    def test_a_servers_words_cannot_command_the_terminal(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        emr.behaviour.headers["Server"] = "Apache/2.4\x1b[2J"
        assert around(emr, certificate)["headers.version"].detail == "Server: Apache/2.4\\x1b[2J"

    def test_a_redirect_may_hold_what_no_url_should(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        original = emr.reply
        emr._tls.answers = lambda request: (
            redirect("/interface/login/login.php?site=d\xe4 fault")
            if request.query.get("site") == "default"
            else original(request)
        )
        found = outcomes(emr, certificate, application="openemr", default_password=False)
        assert found["login.page"].state == "ok"

    def test_something_else_is_neither(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        emr.behaviour.health_pages = False
        emr.behaviour.served = {"/": b"<h1>A shop</h1>"}
        with pytest.raises(SettingsError, match="neither as OpenEMR nor as OpenMRS"):
            outcomes(emr, certificate)

    def test_redirects_without_end_and_away_are_failures(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        emr.behaviour.health_pages = False
        original = emr.reply
        emr._tls.answers = lambda request: (
            redirect("https://elsewhere.example/login") if "login.php" in request.path else original(request)
        )
        found = outcomes(emr, certificate, application="openemr")
        assert "leads to https://elsewhere.example/login" in found["login.page"].detail
        assert found["headers.hsts"].detail == found["login.page"].detail
        assert sum("login.php" in request.path for request in emr.asked) == 1, "asked for once, whatever came"
        emr._tls.answers = lambda _: redirect("/again")
        assert "more than 5 times" in outcomes(emr, certificate, application="openemr")["login.page"].detail
