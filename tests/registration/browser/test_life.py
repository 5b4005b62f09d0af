"""A board's whole life in a real browser: from the first sign-in to an advisory that a second person approved.

And an attack or two on the way: what installations register is markup, and so is what a member is called.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.peers.server import ServerProcess, hostemr
from tests.registration.browser.axe import scan
from tests.registration.browser.conftest import console_of

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

PASSWORD = "seven green ladders sing"
HOSTILE = "<img src=x onerror=alert(1)>"
REGISTERED = 120
ADVISORY = """A hole in the patient portal lets **anybody** read documents.

1. Update to 7.0.3.
2. Look at your access log.

<script>alert("never")</script>
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A new service, whose worker is slow enough to be watched."""
    url = f"sqlite:///{tmp_path / 'registration.sqlite3'}"
    with ServerProcess(url, tmp_path, "--dev", HOSTEMR_SEND_RATE="10", HOSTEMR_CANARY_PERCENT="0") as server:
        yield server


def new_profile(chromium: Browser, complaints: list[str]) -> Page:
    page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(20_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
    return page


def choose_password(page: Page) -> None:
    page.get_by_label("Password", exact=True).fill("password1234")
    page.get_by_label("The same password again").fill("password1234")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#password-problem")).to_be_visible()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The same password again").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()


def keep_codes(page: Page) -> list[str]:
    # What follows does not wait by itself, and a passkey's page leaves by a script.
    expect(page.locator(".codes code").first).to_be_visible()
    codes = page.locator(".codes code").all_inner_texts()
    page.get_by_label("I have kept my recovery codes").check()
    page.get_by_role("button", name="Open the console").click()
    page.wait_for_url("**/board")
    return codes


def clean(page: Page) -> None:
    assert scan(page) == [], page.url


def later(find: Callable[[], Any], seconds: float = 20) -> Any:
    """What `find` answers once it is something."""
    until = time.monotonic() + seconds
    while not (found := find()) and time.monotonic() < until:
        time.sleep(0.1)
    assert found, "it did not come"
    return found


def test_a_board_s_life_from_the_first_sign_in_to_a_finished_advisory(  # noqa: PLR0915, one life
    chromium: Browser, server: ServerProcess, tmp_path: Path
) -> None:
    console, database = console_of(server), tmp_path / "registration.sqlite3"
    complaints: list[str] = []
    with sqlite3.connect(database) as rows:
        now = "2026-11-20 10:00:00.000000"
        rows.executemany(
            "INSERT INTO subscriber (id, token, email, email_key, status, source, created_at, last_seen_at)"
            " VALUES (?, ?, ?, ?, 'active', 'registration', ?, ?)",
            [(n, f"{n:032x}", *[f"clinic{n}@example.org"] * 2, now, now) for n in range(1, REGISTERED + 1)],
        )
        rows.execute(
            "INSERT INTO installation (product_id, subscriber_id, version, distribution, first_seen_at, last_seen_at)"
            " VALUES ('11111111-1111-1111-1111-111111111111', 1, ?, ?, ?, ?)",
            (HOSTILE, HOSTILE, now, now),
        )

    # The first member comes from the command line, and sets up a password and an app.
    added = hostemr(
        *("registration", "board", "add", "ada@board.example", "--name", f"Ada {HOSTILE}", "--role", "administrator"),
        *("--dev", "--json", "--database", f"sqlite:///{database}"),
        folder=tmp_path,
        HOSTEMR_PORT=server.url.rpartition(":")[2],
    )
    assert added.returncode == 0, added.stderr
    ada = new_profile(chromium, complaints)
    ada.goto(json.loads(added.stdout)["url"])
    clean(ada)
    choose_password(ada)
    expect(ada.get_by_text("I cannot scan it").first).to_be_visible()
    clean(ada)
    ada.get_by_text("I cannot scan it").first.click()
    secret = ada.locator(".code").first.inner_text().replace(" ", "")
    ada.get_by_label("Code from the app").fill(pyotp.TOTP(secret).now())
    ada.get_by_role("button", name="Use this app").click()
    expect(ada.locator(".codes code").first).to_be_visible()
    clean(ada)
    codes = keep_codes(ada)
    assert len(codes) == 10
    clean(ada)
    expect(ada.get_by_text(f"Ada {HOSTILE}").first).to_be_attached()

    # She invites a second person, who uses a passkey.
    ada.get_by_role("link", name="People").click()
    expect(ada.get_by_role("heading", name="People")).to_be_visible()
    clean(ada)
    ada.get_by_label("Name", exact=True).fill("Grace Example")
    ada.get_by_label("Mail address").fill("grace@board.example")
    ada.get_by_label("Role").select_option("approver")
    ada.get_by_role("button", name="Make the link").click()
    expect(ada.locator(".notice .code")).to_be_visible()
    clean(ada)
    link = ada.locator(".notice .code").inner_text()
    grace = new_profile(chromium, complaints)
    authenticator = grace.context.new_cdp_session(grace)
    authenticator.send("WebAuthn.enable")
    authenticator.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "automaticPresenceSimulation": True,
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
            }
        },
    )
    grace.goto(link)
    choose_password(grace)
    grace.get_by_role("button", name="Make a passkey").click()
    keep_codes(grace)
    clean(grace)

    # She writes; the preview follows, and says to how many it goes.
    ada.goto(f"{console}/broadcasts")
    clean(ada)
    ada.goto(f"{console}/broadcasts/new")
    ada.get_by_label("Title").fill(f"Security release 7.0.3 {HOSTILE}")
    ada.get_by_label("Severity").select_option("high")
    ada.get_by_label("OpenEMR version in which the hole is closed").fill("7.0.3")
    ada.get_by_label("Contents").press_sequentially("A first word")
    expect(ada.locator("#recipients")).to_contain_text(str(REGISTERED))
    ada.get_by_label("Contents").fill(ADVISORY)
    preview = ada.frame_locator("iframe[title='The message as mail programs show it']")
    expect(preview.get_by_text("Look at your access log.")).to_be_visible()
    expect(preview.locator("script")).to_have_count(0)
    clean(ada)
    ada.get_by_role("button", name="Save the draft").click()
    # It asks whether the session still lives before it leaves the page.
    ada.wait_for_url(re.compile(r"/broadcasts/[0-9a-f-]{36}$"))
    clean(ada)
    broadcast = ada.url
    ada.get_by_role("button", name="Send a test").click()
    expect(ada.get_by_text("accepted")).to_be_visible()
    ada.get_by_role("button", name="Ask for approval").click()

    # Who wrote it cannot approve it; another can, and the text cannot change under her.
    expect(ada.get_by_text("There is no button to approve it, because you wrote it.")).to_be_visible()
    expect(ada.get_by_role("button", name="Approve this text")).to_have_count(0)
    grace.goto(f"{console}/broadcasts")
    clean(grace)
    grace.goto(broadcast)
    clean(grace)
    ada.get_by_role("link", name="Edit").click()
    ada.get_by_label("Contents").fill(f"{ADVISORY}\nAnd thank you.")
    ada.get_by_role("button", name="Save the draft").click()
    ada.get_by_role("button", name="Ask for approval").click()
    expect(ada.get_by_text("There is no button to approve it, because you wrote it.")).to_be_visible()
    grace.get_by_role("button", name="Approve this text").click()
    expect(grace.get_by_text("has been edited")).to_be_visible()
    grace.goto(broadcast)
    with sqlite3.connect(database) as rows:
        rows.execute("UPDATE board_session SET confirmed_at = NULL")
    grace.get_by_role("button", name="Approve this text").click()
    expect(grace.get_by_role("heading", name="Confirm it is you")).to_be_visible()
    clean(grace)
    grace.get_by_role("button", name=re.compile("passkey")).click()
    expect(grace.locator(".badge", has_text="approved").first).to_be_visible()

    # She sends it, after showing once more that it is her, and sees it move.
    ada.goto(f"{broadcast}/send")
    expect(ada.get_by_text("Expected duration")).to_be_visible()
    clean(ada)
    ada.get_by_role("button", name=f"Send it to {REGISTERED} people").click()
    ada.get_by_label(re.compile("Code|code")).first.fill(codes[0])
    ada.locator("main").get_by_role("button").first.click()
    ada.wait_for_url("**/progress")
    bar = ada.locator("#bar")
    seen: set[str] = set()

    def has_moved_twice() -> bool:
        seen.add(bar.get_attribute("value") or "")
        return len(seen) > 2

    later(has_moved_twice)
    ada.get_by_label("Why").fill("to see that it stops")
    ada.get_by_role("button", name="Pause it").click()
    expect(ada.get_by_text("A member of the board has paused it.")).to_be_visible()
    clean(ada)
    ada.get_by_role("button", name="Resume it").click()
    expect(ada.get_by_text("Finished")).to_be_visible(timeout=60_000)
    # The page loads itself anew at the end, which a scan must not meet.
    ada.goto(f"{broadcast}/progress")
    clean(ada)

    # Everybody has it once; the public page has it too, and nothing of it ran.
    letters = list((tmp_path / "data" / "outbox").rglob("*.eml"))
    to = [re.search(r"^To: (.+)$", letter.read_text(), re.MULTILINE) for letter in letters]
    reached = sorted(one.group(1) for one in to if one and one.group(1).startswith("clinic"))
    assert reached == sorted(f"clinic{n}@example.org" for n in range(1, REGISTERED + 1))
    everyone = new_profile(chromium, complaints)
    everyone.goto(server.url + "/advisories")
    clean(everyone)
    everyone.get_by_role("link", name=re.compile("Security release 7.0.3")).first.click()
    expect(everyone.get_by_text("And thank you.")).to_be_visible()
    clean(everyone)

    # The log knows who did it all, and is whole.
    ada.goto(f"{console}/audit")
    expect(ada.get_by_text(re.compile("Grace Example approved")).first).to_be_visible()
    clean(ada)
    verified = hostemr(
        *("registration", "audit", "verify", "--dev", "--database", f"sqlite:///{database}"), folder=tmp_path
    )
    assert verified.returncode == 0, verified.stderr

    # Signed out is signed out, also by the browser's «back».
    ada.locator(".menu summary").click()
    ada.get_by_role("button", name="Sign out").click()
    ada.go_back()
    expect(ada.get_by_role("heading", name="Sign in")).to_be_visible()
    assert [one for one in complaints if "status of 4" not in one] == []
