"""A person's log-in, in a real Chromium."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hostemr.operate.verification.api import Access
from tests.operate.verification import browser
from tests.operate.verification.asking import Person, failing, outcomes
from tests.operate.verification.browser import Chromium
from tests.peers.openemr_stand_in import OpenEmrStandIn

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(browser.installed() is None, reason="needs chromium"),
]


def test_a_log_in_in_a_real_browser_ends_on_a_page_that_says_so(
    emr: OpenEmrStandIn, certificate: Path, tmp_path: Path
) -> None:
    emr.behaviour.approves_registrations = False
    seen: list[str] = []
    pictures = Path(os.environ.get("HOSTEMR_PICTURES", tmp_path))

    def person(url: str) -> None:
        with Chromium(tmp_path / "profile") as chromium:
            chromium.visit(url)
            chromium.until("document.querySelector('input[name=username]') !== null")
            password = "document.querySelector('input[name=password]').value"
            chromium.run("document.querySelector('input[name=username]').value = 'admin'")
            chromium.run(f"{password} = 'wrong'; document.querySelector('button[name=user_role]').click()")
            chromium.until("document.body.innerText.includes('Sorry, Invalid!')")
            chromium.run("document.querySelector('input[name=username]').value = 'admin'")
            chromium.run(f"{password} = '{emr.behaviour.password}'")
            chromium.run("document.querySelector('button[name=user_role]').click()")
            chromium.until("document.querySelector('#authorize-btn') !== null")
            chromium.run("document.querySelector('#authorize-btn').click()")
            chromium.until("location.pathname === '/done' && document.querySelector('h1') !== null")
            chromium.picture(pictures / "done.png")
            seen.extend([chromium.text, str(chromium.run("location.href"))])

    somebody = Person(person)
    found = outcomes(emr, certificate, person=somebody, access=Access(patience=60), default_password=False)
    somebody.browsers[0].join(30)
    assert failing(found) == set()
    assert found["api.authorized"].detail == "the browser came back with a code"
    text, address = seen
    assert "You can close this window" in text
    assert address.startswith("http://localhost:")
    assert "code=" not in address
