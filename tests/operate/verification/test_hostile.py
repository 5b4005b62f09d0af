"""Servers that mean harm: none may hold the operator up, steer their terminal, or end in a traceback."""

from __future__ import annotations

import datetime as dt
import itertools
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostemr.errors import SettingsError
from hostemr.operate.trust import trust
from hostemr.operate.verification.address import parse_address
from hostemr.operate.verification.api import Access
from hostemr.operate.verification.callback import Callback
from hostemr.operate.verification.clients import ClientFile
from hostemr.operate.verification.front import Front
from hostemr.operate.verification.oauth import Authority, Client
from hostemr.operate.verification.outcome import LONGEST_DETAIL, Check, Failed, Outcome, Secrets, run
from hostemr.operate.verification.transport import transport_checks
from hostemr.operate.verification.web import Cookies, NoAnswer, Reply, Web
from hostemr.operate.verify import Question, verify
from tests.operate.verification.asking import Person, ignored, log_in_by_hand, outcomes
from tests.peers.openemr_stand_in import Answer, OpenEmrStandIn, data, redirect
from tests.peers.rude import always, page, redirecting, rude


def _web(url: str, *, timeout: float = 5) -> Web:
    return Web(parse_address(url), trust(None), timeout=timeout)


def _around(url: str) -> dict[str, Outcome]:
    web = _web(url)
    checks = transport_checks(web, lambda: Front(web, "/"), http_port=None, today=dt.datetime.now(dt.UTC))
    return {outcome.id: outcome for outcome in run(checks, secrets=Secrets(), told=ignored)}


def _reply(body: bytes, status: int = 200) -> Reply:
    return Reply("https://emr.example.org/", status, (), body)


def _drip(_: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in itertools.count():
        time.sleep(0.05)
        yield b"X-%d: a\r\n" % number


class TestTime:
    """Each answer has `timeout` seconds in all, whatever it is made of."""

    def _held(self, url: str) -> float:
        began = time.monotonic()
        with pytest.raises(NoAnswer, match="did not answer in time"):
            _web(url, timeout=0.3).get("/")
        return time.monotonic() - began

    def test_headers_that_drip(self) -> None:
        with rude(_drip) as url:
            assert self._held(url) < 2

    def test_continue_for_ever(self) -> None:
        with rude(lambda _: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")) as url:
            assert self._held(url) < 2

    def test_a_handshake_that_never_comes(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            began = time.monotonic()
            with pytest.raises(NoAnswer, match="did not answer in time"):
                _web(f"https://127.0.0.1:{silent.getsockname()[1]}", timeout=0.3).handshake()
            assert time.monotonic() - began < 2

    def test_a_cookie_of_backslashes_is_read_at_once(self) -> None:
        cookie = b'Set-Cookie: a="' + b"\\" * 60_000 + b'"; Secure; HttpOnly; SameSite=Lax'
        began = time.monotonic()
        with rude(page(b"", cookie)) as url:
            assert _around(url)["cookies"].detail == "a"
        assert time.monotonic() - began < 2


class TestForm:
    """What cannot be read is a verdict, not a traceback."""

    @pytest.mark.parametrize("location", [b"http://[", b"//[x]", "https://a℀b/".encode()])
    def test_a_redirect_to_no_url(self, location: bytes) -> None:
        with rude(redirecting(location)) as url:
            assert "leads to" in _around(url)["headers.frames"].detail

    def test_the_redirect_of_port_80_and_the_endpoints_may_be_none_either(
        self, emr: OpenEmrStandIn, certificate: Path
    ) -> None:
        emr.plain = lambda _: redirect("http://[", 301)
        original = emr.reply
        emr._tls.answers = lambda request: (
            data({"issuer": f"{emr.url}/oauth2/default", "authorization_endpoint": "https://["})
            if "openid-configuration" in request.path
            else original(request)
        )
        found = outcomes(emr, certificate, default_password=False)
        assert found["http.redirect"].detail.endswith("redirects to http://[")
        assert "authorization_endpoint is 'https://['" in found["oauth.discovery"].detail

    def test_json_without_a_floor_is_no_object(self) -> None:
        assert _reply(b"[" * 100_000).json() == {}
        assert _reply(b'{"a":' * 100_000).json() == {}

    def test_a_max_age_beyond_all_integers(self) -> None:
        long = b"Strict-Transport-Security: max-age=" + b"9" * 5000
        with rude(page(b"", long)) as url:
            web = _web(url)
            checks = transport_checks(web, lambda: Front(web, "/"), http_port=None, today=dt.datetime.now(dt.UTC))
            hsts = next(check for check in checks if check.id == "headers.hsts")
            assert hsts.judge().startswith("max-age=999")

    def test_a_redirect_out_of_the_prefix_is_not_followed_into_it(self) -> None:
        with rude(redirecting(b"/other/page")) as url:
            reply = _web(f"{url}/emr").follow("/", Cookies())
        assert reply.url == f"{url}/emr/"


class TestWords:
    def test_a_status_line_cannot_steer_the_terminal(self) -> None:
        with rude(always(b"\x1b[2Jnonsense\r\n\r\n")) as url, pytest.raises(NoAnswer) as told:
            _web(url).get("/")
        assert "\x1b" not in told.value.message
        assert "\\x1b[2Jnonsense" in told.value.message

    def test_megabytes_of_words_are_cut_and_a_cut_token_is_not_shown(self) -> None:
        secrets = Secrets()
        secrets.add("t0ken" * 100)

        def judge() -> str:
            raise Failed("x" * (LONGEST_DETAIL - 50) + "t0ken" * 100 + "y" * 10_000_000)

        (outcome,) = run([Check("a", "b", "c", judge, "d", "e")], secrets=secrets, told=ignored)
        assert "t0ken" not in outcome.detail
        assert "***" in outcome.detail
        assert len(outcome.detail) == LONGEST_DETAIL


class TestAuthority:
    @pytest.mark.parametrize("identifier", ["\x1b[2Jclient", "x" * 5000, "a\nEnable the client evil"])
    def test_a_client_id_that_is_none_is_not_shown_and_not_waited_for(
        self, emr: OpenEmrStandIn, certificate: Path, identifier: str
    ) -> None:
        original = emr.reply
        emr._tls.answers = lambda request: (
            data({"client_id": identifier, "client_secret": "s"})
            if request.path.endswith("/registration")
            else original(request)
        )
        person = Person()
        found = outcomes(
            emr, certificate, person=person, access=Access(patience=0), default_password=False, application="openemr"
        )
        assert "characters that OAuth forbids" in found["api.client"].detail
        assert person.told == []

    def test_an_access_token_that_ends_a_header_is_refused_and_not_shown(self) -> None:
        answer = _reply(b'{"token_type": "bearer", "access_token": "s3cret\\r\\nX: y"}')
        with pytest.raises(Failed, match="forbids") as told:
            Authority._tokens(answer, "openid")
        assert "s3cret" not in str(told.value)

    def test_what_is_left_behind_is_told_after_ctrl_c_too(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        def interrupted(_: float) -> None:
            raise KeyboardInterrupt

        person = Person(log_in_by_hand(emr, certificate))
        with pytest.raises(KeyboardInterrupt):
            outcomes(emr, certificate, person=person, access=Access(), default_password=False, pause=interrupted)
        assert person.told[-1].endswith("disable it there if it is not to be used again.")


def test_a_load_balancer_without_tasks_is_not_taken_for_openmrs() -> None:
    nothing = always(b"HTTP/1.1 503 Service Unavailable\r\nServer: awselb/2.0\r\nContent-Length: 0\r\n\r\n")
    with rude(nothing) as url, pytest.raises(NoAnswer, match="HTTP 503 to everything"):
        verify(_web(url), Question(), operator=Person(), told=ignored)


def test_openmrs_that_starts_is_known_all_the_same(emr: OpenEmrStandIn, certificate: Path) -> None:
    emr._tls.answers = lambda request: Answer(503 if request.path == "/openmrs/health/started" else 404)
    assert "session.anonymous" in outcomes(emr, certificate, default_password=False)


class TestThisMachine:
    def test_a_port_that_somebody_has_on_ipv6_is_not_shared(self) -> None:
        """The browser might take `localhost` for that one, and bring the code there."""
        try:
            other = socket.create_server(("::1", 0), family=socket.AF_INET6)
        except OSError:
            pytest.skip("not possible here: this machine has no IPv6")
        with other, pytest.raises(SettingsError, match="cannot be used: Address already in use"):
            Callback(other.getsockname()[1])

    def test_a_file_that_could_not_take_its_place_leaves_no_secret_behind(self, tmp_path: Path) -> None:
        path = tmp_path / "clients.json"
        file = ClientFile(path)
        # JSON has no form for it, as a full disk has no room.
        broken = Client("id", "s3cret", "http://localhost:1/callback", b"openid")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            file.keep("i", broken)
        assert list(tmp_path.iterdir()) == []

    def test_a_client_that_could_not_be_kept_is_not_registered(self, tmp_path: Path) -> None:
        for path in (tmp_path, tmp_path / "nowhere" / "clients.json"):
            with pytest.raises(SettingsError, match="cannot be"):
                ClientFile(path).require_usable()
        ClientFile(tmp_path / "clients.json").require_usable()
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("redirect_uri", ['"http://localhost:x/callback"', '"https://evil.example/"', "5"])
    def test_a_file_with_another_redirect_is_refused(self, tmp_path: Path, redirect_uri: str) -> None:
        path = tmp_path / "clients.json"
        path.touch(mode=0o600)
        row = f'{{"client_id": "a", "client_secret": "b", "redirect_uri": {redirect_uri}, "scope": "c"}}'
        path.write_text(f'{{"format": 1, "clients": {{"i": {row}}}}}')
        with pytest.raises(SettingsError, match="none that hostemr wrote"):
            ClientFile(path).find("i")
