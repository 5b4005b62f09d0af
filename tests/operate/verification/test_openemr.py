"""What OpenEMR is asked without an account."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostemr.operate.verification.api import Access
from tests.operate.verification.asking import failing, outcomes, states
from tests.peers.openemr_stand_in import Answer, OpenEmrStandIn, data, page, redirect


def test_a_good_one_passes_everything(emr: OpenEmrStandIn, certificate: Path) -> None:
    found = outcomes(emr, certificate)
    assert {one.state.value for one in found.values()} == {"ok"}
    assert len(found) == 19
    assert all(one.source.startswith("https://") and one.asked for one in found.values())


def test_every_request_says_who_asks(emr: OpenEmrStandIn, certificate: Path) -> None:
    outcomes(emr, certificate)
    assert {request.headers["user-agent"] for request in emr.asked} == {"hostemr-verify"}


class TestHealth:
    @pytest.mark.parametrize(
        ("body", "detail"),
        [
            ({"status": "error", "message": "SQLSTATE[HY000] [2002]"}, "'error': SQLSTATE[HY000] [2002]"),
            ({"status": "setup_required", "checks": {"installed": False}}, "not set up"),
            ({"status": "ready", "checks": {"database": True, "session": False}}, "not well: session"),
            ({}, "no JSON object"),
        ],
    )
    def test_200_alone_is_no_health(
        self, emr: OpenEmrStandIn, certificate: Path, body: dict[str, object], detail: str
    ) -> None:
        emr.behaviour.ready = body
        found = outcomes(emr, certificate)
        assert failing(found) == {"health.ready"}
        assert detail in found["health.ready"].detail

    def test_an_older_version_without_the_pages_is_skipped(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        emr.behaviour.health_pages = False
        found = outcomes(emr, certificate)
        assert failing(found) == set()
        assert states(found, "health.alive", "health.ready") == ["skipped", "skipped"]

    def test_readyz_of_a_version_that_redirects_it_is_skipped(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        _override(emr, "/meta/health/readyz", redirect("/interface/login/login.php?site=default"))
        assert states(outcomes(emr, certificate), "health.alive", "health.ready") == ["ok", "skipped"]


class TestLogIn:
    def test_a_published_password_that_works_is_a_failure(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        emr.behaviour.password = "pass"
        found = outcomes(emr, certificate)
        assert failing(found) == {"login.default"}
        assert "at once" in found["login.default"].remedy

    def test_a_second_factor_means_that_the_password_was_right(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        _override(emr, "/interface/main/main_screen.php", page('login <input name="mfa_token">'))
        assert failing(outcomes(emr, certificate)) == {"login.default"}

    def test_an_answer_that_is_not_understood_is_no_pass(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        _override(emr, "/interface/main/main_screen.php", Answer(500))
        found = outcomes(emr, certificate)
        assert "not understood: HTTP 500" in found["login.default"].detail

    def test_it_is_tried_once_with_the_session_of_the_page_and_not_when_unwanted(
        self, emr: OpenEmrStandIn, certificate: Path
    ) -> None:
        outcomes(emr, certificate)
        tried = [request for request in emr.asked if request.form.get("authUser")]
        assert [request.cookies for request in tried] == [{"OpenEMR": "core"}]
        emr.asked.clear()
        found = outcomes(emr, certificate, default_password=False)
        assert found["login.default"].detail == "--no-default-password"
        assert not [request for request in emr.asked if request.method == "POST"]

    def test_a_page_without_the_fields_is_none(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        _override(emr, "/interface/login/login.php", page("Database error"))
        found = outcomes(emr, certificate)
        assert "no field authUser and none clearPass" in found["login.page"].detail
        assert found["login.default"].state == "skipped", "no log-in where there is no page for it"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/.git/HEAD", b"ref: refs/heads/master"),
        ("/setup.php", b"<h1>OpenEMR Setup</h1>"),
        ("/sites/default/sqlconf.php", b"<?php $pass = 'x';"),
        ("/sites/default/documents/", b"Index of /sites/default/documents"),
    ],
)
def test_what_must_not_be_served_is_named(emr: OpenEmrStandIn, certificate: Path, path: str, body: bytes) -> None:
    emr.behaviour.served = {path: body}
    found = outcomes(emr, certificate)
    assert failing(found) == {"files.hidden"}
    assert found["files.hidden"].detail == f"served: {path}"


class TestApis:
    def test_apis_that_are_off_are_said_and_fail_only_when_they_are_wanted(
        self, emr: OpenEmrStandIn, certificate: Path
    ) -> None:
        emr.behaviour.apis = False
        ids = ("fhir.metadata", "fhir.smart", "oauth.discovery", "fhir.closed", "rest.closed")
        assert states(outcomes(emr, certificate), *ids) == ["skipped"] * 5
        found = outcomes(emr, certificate, access=Access())
        assert states(found, *ids) == ["failed"] * 5
        assert "activate_apis" in found["fhir.metadata"].remedy
        assert found["api.client"].detail == "it needs oauth.discovery"

    def test_another_version_of_fhir_fails(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        emr.behaviour.fhir_version = "3.0.2"
        found = outcomes(emr, certificate)
        assert found["fhir.metadata"].detail == "FHIR's version is '3.0.2'; expected 4.0.1"

    @pytest.mark.parametrize("broken", [b"[]", b"<html>", b'{"resourceType": "CapabilityStatement", "rest": 1}'])
    def test_metadata_of_any_shape_is_judged(self, emr: OpenEmrStandIn, certificate: Path, broken: bytes) -> None:
        _override(emr, "/apis/default/fhir/metadata", Answer(200, broken))
        assert failing(outcomes(emr, certificate)) == {"fhir.metadata"}

    def test_an_address_that_was_set_up_wrong_leads_tokens_astray(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        emr.behaviour.address = "https://old.example.org"
        found = outcomes(emr, certificate)
        assert failing(found) == {"fhir.smart", "oauth.discovery"}
        assert "the issuer is 'https://old.example.org/oauth2/default'" in found["oauth.discovery"].detail
        assert "site_addr_oath" in found["oauth.discovery"].remedy

    def test_smart_without_pkce_fails(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        base = f"{emr.url}/oauth2/default"
        told = {"authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token"}
        _override(emr, "/apis/default/fhir/.well-known/smart-configuration", data(told))
        assert "S256" in outcomes(emr, certificate)["fhir.smart"].detail

    def test_patients_for_everyone_fail_and_nobody_is_named(self, emr: OpenEmrStandIn, certificate: Path) -> None:
        emr.behaviour.open_to_all = True
        found = outcomes(emr, certificate)
        assert failing(found) == {"fhir.closed", "rest.closed"}
        assert "Musterfrau" not in str(found)


def _override(emr: OpenEmrStandIn, path: str, answer: Answer) -> None:
    """One path answers otherwise, with the headers of all."""
    original = emr.reply
    body, headers = answer.body, list(answer.headers)

    def answered(request: object) -> Answer:
        if getattr(request, "path", "") != path:
            return original(request)  # type: ignore[arg-type]
        return Answer(answer.status, body, [*headers, *emr.behaviour.headers.items()])

    emr._tls.answers = answered
