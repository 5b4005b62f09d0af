"""What OpenMRS is asked, as a visitor and with an account."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostemr.errors import SettingsError
from hostemr.operate.verification.api import Access
from hostemr.operate.verification.openmrs import Account
from tests.operate.verification.asking import failing, outcomes, states
from tests.peers.openmrs_stand_in import OpenMrsStandIn

NURSE = Account("nurse", "a: colon and more")
WITH_ACCOUNT = ("session.user", "rest.patient", "fhir.metadata", "fhir.patient")


def test_a_good_one_passes_everything_with_an_account(mrs: OpenMrsStandIn, certificate: Path) -> None:
    found = outcomes(mrs, certificate, account=NURSE)
    assert {one.state.value for one in found.values()} == {"ok"}
    assert found["fhir.patient"].detail == "a Bundle, 12 in all"
    assert "Musterfrau" not in str(found)
    assert NURSE.password not in str(found)


def test_without_an_account_what_needs_one_is_skipped(mrs: OpenMrsStandIn, certificate: Path) -> None:
    found = outcomes(mrs, certificate)
    assert failing(found) == set()
    assert states(found, *WITH_ACCOUNT) == ["skipped"] * 4
    assert found["session.user"].detail == "it needs an account: --user"


@pytest.mark.parametrize("strict", [True, False])
def test_the_published_default_password_must_be_refused(
    mrs: OpenMrsStandIn, certificate: Path, *, strict: bool
) -> None:
    mrs.behaviour.refuses_wrong_credentials = strict
    assert outcomes(mrs, certificate)["login.default"].detail == "refused"
    mrs.behaviour.accounts["admin"] = "Admin123"
    assert failing(outcomes(mrs, certificate)) == {"login.default"}
    found = outcomes(mrs, certificate, default_password=False)
    assert found["login.default"].state == "skipped"


@pytest.mark.parametrize("strict", [True, False])
def test_a_wrong_password_fails_and_nothing_more_is_tried_with_it(
    mrs: OpenMrsStandIn, certificate: Path, *, strict: bool
) -> None:
    mrs.behaviour.refuses_wrong_credentials = strict
    found = outcomes(mrs, certificate, account=Account("nurse", "wrong"), default_password=False)
    assert failing(found) == {"session.user"}
    assert states(found, *WITH_ACCOUNT[1:]) == ["skipped"] * 3
    assert sum("authorization" in request.headers for request in mrs.asked) == 1, "failures lock the account"


def test_one_that_is_still_starting_is_recognized_and_fails(mrs: OpenMrsStandIn, certificate: Path) -> None:
    mrs.behaviour.started = False
    found = outcomes(mrs, certificate)
    assert failing(found) == {"health.started"}
    assert "half an hour" in found["health.started"].remedy


def test_an_open_installation_wizard_fails(mrs: OpenMrsStandIn, certificate: Path) -> None:
    mrs.behaviour.wizard = True
    assert failing(outcomes(mrs, certificate)) == {"setup.closed"}


def test_patients_for_everyone_fail(mrs: OpenMrsStandIn, certificate: Path) -> None:
    mrs.behaviour.open_to_all = True
    found = outcomes(mrs, certificate)
    assert failing(found) == {"rest.closed", "fhir.closed"}
    assert "Musterfrau" not in str(found)


def test_what_belongs_to_the_other_application_is_refused(mrs: OpenMrsStandIn, certificate: Path) -> None:
    with pytest.raises(SettingsError, match="--api is for OpenEMR"):
        outcomes(mrs, certificate, access=Access())
    with pytest.raises(SettingsError, match="--user is for OpenMRS"):
        outcomes(mrs, certificate, application="openemr", account=NURSE)
    assert len(mrs.asked) <= 2, "nothing but what tells the application"
