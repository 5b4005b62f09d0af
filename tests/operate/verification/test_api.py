"""A log-in to OpenEMR's APIs, with every way that it can go wrong."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from hostemr.operate.verification.api import Access
from hostemr.operate.verification.clients import ClientFile
from hostemr.operate.verification.oauth import Attempt, Client
from hostemr.operate.verification.outcome import Outcome
from tests.operate.verification.asking import Person, failing, ignored, log_in_by_hand, outcomes, states
from tests.peers.openemr_stand_in import OpenEmrStandIn

API = (
    "api.client", "api.enabled", "api.authorized", "api.token", "api.fhir.patient", "api.rest.patient",
    "api.rest.facility", "api.refresh", "api.signed_out",
)  # fmt: skip


@pytest.fixture
def open_emr(emr: OpenEmrStandIn) -> OpenEmrStandIn:
    """One whose clients need no administrator."""
    emr.behaviour.approves_registrations = False
    return emr


def _verified(
    emr: OpenEmrStandIn, certificate: Path, person: Person | None = None, **more: Any
) -> tuple[dict[str, Outcome], Person]:
    person = person or Person(log_in_by_hand(emr, certificate))
    access = more.pop("access", Access(patience=10))
    return outcomes(emr, certificate, person=person, access=access, default_password=False, **more), person


def test_a_good_one_gives_tokens_patients_and_takes_them_back(open_emr: OpenEmrStandIn, certificate: Path) -> None:
    found, person = _verified(open_emr, certificate)
    assert failing(found) == set()
    assert states(found, *API) == ["ok"] * len(API)
    assert found["api.token"].detail == "an access token for 3600 seconds, a refresh token, an ID token"
    assert found["api.fhir.patient"].detail == "a Bundle, 3 in all"
    assert found["api.signed_out"].detail == "HTTP 400 for the token after log-out"
    asked = {key: values[0] for key, values in parse_qs(urlsplit(person.urls[0]).query).items()}
    assert asked["code_challenge_method"] == "S256"
    assert asked["aud"] == f"{open_emr.url}/apis/default/fhir"
    assert re.fullmatch(r"http://localhost:\d+/callback", asked["redirect_uri"]), "no IPv4 address, for AWS's firewall"
    assert person.told[-1].endswith("disable it there if it is not to be used again.")


def test_nothing_that_is_told_holds_a_secret_or_a_patient(open_emr: OpenEmrStandIn, certificate: Path) -> None:
    found, person = _verified(open_emr, certificate)
    shown = f"{found} {person.told}"
    client = next(iter(open_emr.clients.values()))
    for secret in (client["client_secret"], *open_emr.tokens, *open_emr.refresh_tokens, "Musterfrau"):
        assert secret not in shown
    assert client["client_secret"] not in person.urls[0]
    in_addresses = [value for request in open_emr.asked for value in request.query.values()]
    assert client["client_secret"] not in in_addresses
    assert not set(in_addresses) & {*open_emr.tokens, *open_emr.refresh_tokens}, "addresses stand in logs"


class TestEnabling:
    def test_it_waits_until_an_administrator_enables_the_client(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        pauses: list[float] = []

        def administrator(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                emr.enable(next(iter(emr.clients)))

        found, person = _verified(emr, certificate, pause=administrator, access=Access(patience=60))
        assert found["api.enabled"].detail == "enabled after 15 seconds"
        assert states(found, *API) == ["ok"] * len(API)
        assert "Administration > System > API Clients" in person.told[0]
        assert next(iter(emr.clients)) in person.told[0]

    def test_it_does_not_wait_forever_and_opens_no_browser(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        found, person = _verified(emr, certificate, access=Access(patience=10))
        assert found["api.enabled"].detail == "not enabled within 10 seconds, or its secret is wrong"
        assert states(found, *API[2:]) == ["skipped"] * 7
        assert person.urls == []

    def test_a_client_that_is_kept_is_not_registered_again(
        self, open_emr: OpenEmrStandIn, certificate: Path, tmp_path: Path
    ) -> None:
        file = tmp_path / "clients.json"
        access = Access(client_file=ClientFile(file), patience=10)
        first, _ = _verified(open_emr, certificate, access=access)
        second, person = _verified(open_emr, certificate, access=access)
        assert failing(first) | failing(second) == set()
        assert len(open_emr.clients) == 1
        assert second["api.client"].detail == f"{next(iter(open_emr.clients))}, known from before"
        assert file.stat().st_mode & 0o777 == 0o600
        assert person.told == [], "nothing stays behind that is not wanted"

    def test_a_wrong_secret_is_told_apart_from_nothing_and_not_shown(
        self, open_emr: OpenEmrStandIn, certificate: Path
    ) -> None:
        _, person = _verified(open_emr, certificate)
        before = parse_qs(urlsplit(person.urls[0]).query)["redirect_uri"][0]
        known = Client(next(iter(open_emr.clients)), "wr0ng-secret", before, "openid")
        found, _ = _verified(open_emr, certificate, access=Access(client=known, patience=5))
        assert "its secret is wrong" in found["api.enabled"].detail
        assert "wr0ng-secret" not in str(found)


class TestAuthorization:
    def test_an_answer_with_another_state_is_refused(self, open_emr: OpenEmrStandIn, certificate: Path) -> None:
        open_emr.behaviour.returned_state = "forged"
        found, _ = _verified(open_emr, certificate)
        assert failing(found) == {"api.authorized"}
        assert "may be forged" in found["api.authorized"].detail
        assert open_emr.tokens == {}, "a code of somebody else's is not used"

    def test_a_user_who_refuses_is_a_failure_with_the_servers_word(
        self, open_emr: OpenEmrStandIn, certificate: Path
    ) -> None:
        open_emr.behaviour.returned_error = "access_denied"
        found, _ = _verified(open_emr, certificate)
        assert found["api.authorized"].detail == "OpenEMR answered access_denied"

    def test_a_user_who_does_not_come_back_is_not_waited_for_forever(
        self, open_emr: OpenEmrStandIn, certificate: Path
    ) -> None:
        found, _ = _verified(open_emr, certificate, Person(ignored), access=Access(patience=0.2))
        assert "did not come back within 0 seconds" in found["api.authorized"].detail
        assert "has to be on this machine" in found["api.authorized"].remedy

    def test_a_code_that_came_too_late_says_to_run_it_again(self, open_emr: OpenEmrStandIn, certificate: Path) -> None:
        open_emr.behaviour.code_seconds = -1
        found, _ = _verified(open_emr, certificate)
        assert found["api.token"].detail == "HTTP 400: invalid_request: Authorization code has expired"
        assert "one minute" in found["api.token"].remedy
        assert states(found, *API[4:]) == ["skipped"] * 5

    def test_an_id_token_of_another_attempt_is_refused(self, open_emr: OpenEmrStandIn, certificate: Path) -> None:
        open_emr.behaviour.nonce = "another"
        found, _ = _verified(open_emr, certificate)
        assert found["api.token"].detail == "the ID token is not right: nonce is another attempt's"

    def test_a_scope_that_does_not_exist_fails_at_registration(
        self, open_emr: OpenEmrStandIn, certificate: Path
    ) -> None:
        found, _ = _verified(open_emr, certificate, access=Access(scope="openid user/Teapot.read", patience=5))
        assert "invalid_scope" in found["api.client"].detail
        assert "user/Teapot.read" in found["api.client"].detail

    def test_refusing_offline_access_costs_the_refresh_token_only(
        self, open_emr: OpenEmrStandIn, certificate: Path
    ) -> None:
        person = Person(log_in_by_hand(open_emr, certificate, unticked="offline_access"))
        found, _ = _verified(open_emr, certificate, person)
        assert failing(found) == {"api.refresh"}
        assert "not granted: offline_access" in found["api.token"].detail
        found, _ = _verified(open_emr, certificate, access=Access(scope="openid user/Patient.read", patience=10))
        assert found["api.refresh"].state == "skipped"


def test_a_token_that_outlives_the_log_out_is_a_failure(open_emr: OpenEmrStandIn, certificate: Path) -> None:
    open_emr.behaviour.keeps_tokens_after_log_out = True
    found, _ = _verified(open_emr, certificate)
    assert failing(found) == {"api.signed_out"}
    assert "disable the client" in found["api.signed_out"].remedy


def test_the_challenge_is_that_of_rfc_7636() -> None:
    attempt = Attempt("state", "nonce", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert attempt.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert 43 <= len(Attempt.new().verifier) <= 128
    assert Attempt.new() != Attempt.new()
    assert attempt.verifier not in repr(attempt)


def test_the_stand_in_checks_what_the_real_one_does(open_emr: OpenEmrStandIn, certificate: Path) -> None:
    """Otherwise the tests above would prove little: PKCE, redirect URI, audience and confidential clients."""
    registration = {
        "application_type": "public",
        "redirect_uris": ["http://localhost:1/callback"],
        "scope": "openid user/Patient.read",
    }
    context = ssl.create_default_context(cafile=str(certificate))
    with httpx.Client(base_url=open_emr.url, verify=context) as browser:
        refused = browser.post("/oauth2/default/registration", json=registration).json()
        assert "only allowed for confidential clients" in refused["error_description"]
        made = browser.post("/oauth2/default/registration", json={**registration, "application_type": "private"})
        query = {"client_id": made.json()["client_id"], "aud": f"{open_emr.url}/apis/default/fhir"}
        elsewhere = {**query, "redirect_uri": "http://localhost:2/callback"}
        assert browser.get("/oauth2/default/authorize", params=elsewhere).status_code == 401
        plain = {**query, "redirect_uri": "http://localhost:1/callback", "code_challenge": "x"}
        assert "S256" in browser.get("/oauth2/default/authorize", params=plain).text
        open_emr.codes["code"] = {"at": float("inf"), "code_challenge": "other", "redirect_uri": "x", "scope": ""}
        form = {"grant_type": "authorization_code", "code": "code", "code_verifier": "wrong"}
        secret = made.json()["client_secret"]
        told = browser.post("/oauth2/default/token", data={**form, **query, "client_secret": secret}).json()
        assert told["error"] == "invalid_grant"
