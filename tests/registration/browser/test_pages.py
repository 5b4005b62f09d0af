"""Every page of the console and beside it, filled with samples: on a desk in daylight and on a phone at night.

`SCREENSHOTS=folder pytest tests/registration/browser/test_pages.py` keeps a picture of each, to be looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.peers.server import ServerProcess
from tests.registration.browser.axe import scan
from tests.registration.browser.conftest import DESKTOP, PHONE, console_of

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

LOOKS: dict[str, tuple[ViewportSize, Literal["light", "dark"]]] = {
    "desktop-light": (DESKTOP, "light"),
    "phone-dark": (PHONE, "dark"),
}
PUBLIC = ("/", "/advisories", "/docs", "/board/join/not-a-link")
CONSOLE = (
    "",
    "/registrations",
    "/registrations?state=bounced",
    "/registrations?domain=nobody-has-this.example",
    "/suppression",
    "/broadcasts",
    "/broadcasts/new",
    "/people",
    "/audit",
    "/settings",
    "/account",
    "/account/password",
    "/account/totp",
    "/account/passkey",
    "/not-there",
)
FOLLOWED = {
    "advisory": ("/advisories", r"^/advisories/[0-9a-f-]{36}$"),
    "registration": ("/board/registrations", r"^/board/registrations/\d+$"),
    "erase": ("registration", r"^/board/registrations/\d+/erase$"),
    "member": ("/board/people", r"^/board/people/\d+$"),
    "reset": ("member", r"^/board/people/\d+/reset$"),
}
"""Pages with a number in their address: the page that leads there, and what its link looks like."""
STATES = {
    "sent": ("", "/progress", "/not-reached", "/send"),
    "paused": ("", "/progress"),
    "waits for approval": ("", "/override"),
    "draft": ("", "/edit"),
}
"""Of broadcasts in each state: which of their pages."""


def sign_in(page: Page, console: str, role: str = "administrator") -> None:
    """As the sign-in page of the sample board tells how."""
    page.goto(f"{console}/sign-in")
    told = page.locator("section", has_text="Sample board").inner_text()
    part = told[told.index(f", {role}") :]
    email, password, code = (re.search(rf"{label}\s+(.+)", part) for label in ("Mail address", "Password", "Code"))
    assert email
    assert password
    assert code
    page.get_by_label("Mail address").fill(email.group(1).strip())
    page.get_by_label("Password", exact=True).fill(password.group(1).strip())
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Code from your app").fill(code.group(1).strip())
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url(re.compile(r"/board$"))


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, sample_server: ServerProcess) -> Iterator[BrowserContext]:
    """The administrator of the sample board."""
    context = chromium.new_context()
    page = context.new_page()
    sign_in(page, console_of(sample_server))
    page.close()
    yield context
    context.close()


def addresses(page: Page, server: ServerProcess) -> dict[str, str]:
    """Every page, by the name of its picture."""
    base = server.url.replace("127.0.0.1", "localhost")
    found = {place.strip("/").replace("/", "-") or "home": f"{base}{place}" for place in PUBLIC}
    found |= {f"board{re.sub(r'[^a-z-]+', '-', place)}": f"{base}/board{place}" for place in CONSOLE}
    for name, (source, pattern) in FOLLOWED.items():
        page.goto(found.get(source) or f"{base}{source}")
        links = [link.get_attribute("href") or "" for link in page.locator("main a").all()]
        fitting = [link for link in links if re.search(pattern, link)]
        assert fitting, f"{page.url} leads to no {name}: {links}"
        # The last: on the people page the first one is oneself.
        found[name] = base + fitting[-1]
    for state, places in STATES.items():
        page.goto(f"{base}/board/broadcasts")
        row = page.locator("tr", has=page.locator(".badge", has_text=re.compile(f"^{state}$"))).last
        link = row.get_by_role("link").first.get_attribute("href")
        for place in places:
            found[f"broadcast-{state.replace(' ', '-')}{place.replace('/', '-')}"] = f"{base}{link}{place}"
    return found


@pytest.mark.parametrize("look", LOOKS)
def test_no_page_keeps_anybody_out_or_runs_over_its_edge(
    signed_in: BrowserContext, sample_server: ServerProcess, look: str
) -> None:
    size, scheme = LOOKS[look]
    page = signed_in.new_page()
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on("console", lambda said: complaints.append(f"{page.url}: {said.text}") if said.type == "error" else None)
    violations: list[str] = []
    for name, address in addresses(page, sample_server).items():
        page.goto(address)
        expect(page.locator("h1")).to_have_count(1)
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{name}-{look}.png", full_page=True)
        violations += [f"{name}: {one}" for one in scan(page)]
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            violations.append(f"{name}: wider than the window")
    page.close()
    assert not violations, "\n".join(violations)
    assert [one for one in complaints if "status of 4" not in one] == []


def test_a_keyboard_is_enough_to_sign_in_and_reach_a_page(chromium: Browser, sample_server: ServerProcess) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{console_of(sample_server)}/sign-in")
    assert scan(page) == []
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    reached = [page.evaluate("document.activeElement.id")]
    while len(reached) < 12 and reached[-1] != "password":
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached[-1] == "password", reached
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "focus is seen"
    context.close()


def test_without_javascript_everything_but_progress_and_preview_works(
    chromium: Browser, own_sample_server: ServerProcess
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    console = console_of(own_sample_server)
    sign_in(page, console, "approver")
    page.goto(f"{console}/broadcasts/new")
    page.get_by_label("Title").fill("Written without a script")
    page.get_by_label("Contents").fill("Some *words*.")
    page.get_by_role("button", name="Save the draft").click()
    expect(page.get_by_role("heading", name="Written without a script").first).to_be_visible()
    page.get_by_role("button", name="Delete the draft").click()
    expect(page.get_by_text("cancelled").first).to_be_visible()
    # Also what was approved and is not wanted any more. Here, since this member's code counts once.
    page.goto(f"{console}/broadcasts")
    page.locator("tr", has_text="waits for approval").first.get_by_role("link").click()
    page.get_by_role("button", name="Approve this text").click()
    page.get_by_role("link", name="Send or cancel it").click()
    page.get_by_text("It is not to be sent at all").click()
    page.get_by_label("Type the word cancel").fill("cancel")
    page.get_by_role("button", name="Cancel it for good").click()
    expect(page.get_by_text("It was cancelled before it was sent to anybody.")).to_be_visible()
    context.close()


def test_what_was_typed_outlives_a_session_that_has_ended(
    signed_in: BrowserContext, sample_server: ServerProcess
) -> None:
    console = console_of(sample_server)
    # Another session, as after signing in again in another tab.
    (again,) = [one for one in signed_in.cookies() if one["name"] == "board"]
    context = signed_in.browser.new_context() if signed_in.browser else None
    assert context is not None
    page = context.new_page()
    sign_in(page, console, "author")
    (first,) = [one for one in context.cookies() if one["name"] == "board"]
    page.goto(f"{console}/broadcasts/new")
    page.get_by_label("Title").fill("Written for an hour")
    page.get_by_label("Contents").fill("Much work.")
    context.clear_cookies()
    page.get_by_role("button", name="Save the draft").click()
    expect(page.locator("#preview-state")).to_contain_text("You are signed out.")
    assert scan(page) == []
    assert page.get_by_label("Contents").input_value() == "Much work."
    assert again["value"] != first["value"]
    context.add_cookies([{"name": "board", "value": again["value"], "url": console}])
    page.get_by_role("button", name="Save the draft").dblclick()
    expect(page.get_by_role("heading", name="Written for an hour").first).to_be_visible()
    page.goto(f"{console}/broadcasts")
    expect(page.get_by_role("link", name="Written for an hour")).to_have_count(1)
    context.close()


def test_a_refused_draft_keeps_its_problem_beside_the_field_and_what_is_too_long_on_the_page(
    signed_in: BrowserContext, sample_server: ServerProcess
) -> None:
    page = signed_in.new_page()
    page.goto(f"{console_of(sample_server)}/broadcasts/new")
    page.get_by_label("Title").fill("No contents yet")
    page.locator("#compose").evaluate("form => { form.noValidate = true; }")
    page.get_by_role("button", name="Save the draft").click()
    expect(page.locator(".notice.bad")).to_contain_text("The contents are missing")
    expect(page.locator(".notice.bad")).to_be_focused()
    with page.expect_response(re.compile(r"/broadcasts/preview$")):
        page.get_by_label("Title").press_sequentially("!")
    expect(page.locator("#contents-problem")).to_contain_text("The contents are missing")
    assert scan(page) == []
    page.get_by_label("Contents").evaluate("field => { field.value = 'word '.repeat(300000); }")
    page.get_by_role("button", name="Save the draft").click()
    expect(page.locator("#preview-state")).to_contain_text("far too long")
    assert len(page.get_by_label("Contents").input_value()) == 1_500_000
    page.close()


def test_a_list_can_be_exported_twice_without_loading_the_page_again(
    signed_in: BrowserContext, sample_server: ServerProcess
) -> None:
    page = signed_in.new_page()
    # Answered here, since the service would by now ask again who it is.
    file = {"content-disposition": 'attachment; filename="list.csv"', "content-type": "text/csv"}
    page.route("**/registrations/export", lambda route: route.fulfill(headers=file, body="number"))
    page.goto(f"{console_of(sample_server)}/registrations")
    for _ in range(2):
        with page.expect_download():
            page.get_by_role("button", name="Export as CSV").click()
    page.close()
