"""Verify a stand-in from a test, as the verb does."""

from __future__ import annotations

import datetime as dt
import re
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from hostemr.operate.trust import trust
from hostemr.operate.verification.address import parse_address
from hostemr.operate.verification.front import Front
from hostemr.operate.verification.outcome import Outcome, Secrets, run
from hostemr.operate.verification.transport import transport_checks
from hostemr.operate.verification.web import Web
from hostemr.operate.verify import Question, verify
from tests.peers.openemr_stand_in import OpenEmrStandIn, Served


def ignored(_: object) -> None:
    """What a test does not look at."""


@dataclass
class Person:
    """Somebody at the terminal: what they were told, and what they do when they are asked for a browser."""

    opened: Callable[[str], None] = ignored
    told: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    browsers: list[threading.Thread] = field(default_factory=list)

    def tell(self, text: str) -> None:
        self.told.append(text)

    def browse(self, url: str) -> None:
        self.urls.append(url)
        # A browser is another program: the command line waits for it.
        self.browsers.append(threading.Thread(target=self.opened, args=(url,), daemon=True))
        self.browsers[-1].start()


def web_of(served: Served, certificate: Path, *, timeout: float = 5) -> Web:
    return Web(parse_address(served.url), trust(certificate), timeout=timeout)


def outcomes(
    served: Served,
    certificate: Path,
    *,
    person: Person | None = None,
    pause: Callable[[float], None] = ignored,
    today: dt.datetime | None = None,
    **question: Any,
) -> dict[str, Outcome]:
    """Every outcome by its check's id."""
    told: list[Outcome] = []
    done = verify(
        web_of(served, certificate),
        Question(**{"http_port": served.http_port, **question}),
        operator=person or Person(),
        told=told.append,
        today=today,
        pause=pause,
    )
    assert list(done.outcomes) == told, "each is told as it comes"
    return {outcome.id: outcome for outcome in told}


def around(served: Served, certificate: Path, *, http_port: int | None = 0) -> dict[str, Outcome]:
    """The outcomes of what lies around the application, without the application's own."""
    web = web_of(served, certificate)
    front = Front(web, "/interface/login/login.php")
    port = served.http_port if http_port == 0 else http_port
    checks = transport_checks(web, lambda: front, http_port=port, today=dt.datetime.now(dt.UTC))
    return {outcome.id: outcome for outcome in run(checks, secrets=Secrets(), told=ignored)}


def states(found: dict[str, Outcome], *ids: str) -> list[str]:
    return [found[one].state.value for one in ids]


def failing(found: dict[str, Outcome]) -> set[str]:
    return {one.id for one in found.values() if one.state == "failed"}


def log_in_by_hand(emr: OpenEmrStandIn, certificate: Path, *, unticked: str = "") -> Callable[[str], None]:
    """Walk through OpenEMR's pages as a browser without scripts does: fill in the form, tick, authorize."""

    def walk(url: str) -> None:
        context = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(verify=context, follow_redirects=True, timeout=5) as browser:
            form = browser.get(url)
            if form.status_code >= 400:
                return
            answered = {"username": "admin", "password": emr.behaviour.password, "user_role": "api"}
            scopes = browser.post(f"{emr.url}/oauth2/default/login", data={**_fields(form), **answered})
            ticked = {name: value for name, value in _fields(scopes).items() if unticked != value}
            browser.post(f"{emr.url}/oauth2/default/device/code", data={**ticked, "proceed": "1"})

    return walk


def _fields(page: httpx.Response) -> dict[str, str]:
    return dict(re.findall(r'name="([^"]+)" value="([^"]*)"', page.text))
