"""A real Chromium, and servers for it: an empty board's, and one with samples."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.peers.server import ServerProcess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For one module only: while Playwright is at work, its loop is in the way of everybody else's."""
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        # CI runs as root, where Chromium has no sandbox of its own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sample_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """`hostemr serve --dev --samples`, for tests that leave the sample broadcasts as they are."""
    with ServerProcess(None, tmp_path_factory.mktemp("samples"), "--dev", "--samples") as server:
        yield server


@pytest.fixture
def own_sample_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """The same for one test alone, which may approve, send and cancel."""
    with ServerProcess(None, tmp_path, "--dev", "--samples") as server:
        yield server


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A fresh browser profile. A test fails where a script failed, or the policy kept something out."""
    context = chromium.new_context(viewport=DESKTOP)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    refused = [one for one in complaints if "status of 4" not in one]
    assert not refused, f"the browser complained: {refused}"


def console_of(server: ServerProcess) -> str:
    """Where the console is, by the name that passkeys need."""
    return server.url.replace("127.0.0.1", "localhost") + "/board"


def data_folder(folder: Path) -> Path:
    """Where `serve --dev` keeps its key and its mail, started in `folder`."""
    return folder / "data"
