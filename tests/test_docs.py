"""Docs are held against the code: what exists is documented, and what is documented exists and runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hostemr.cli import run
from tests.peers.server import ServerProcess, clean_environment

ROOT = Path(__file__).parent.parent
DOCS = sorted(ROOT.glob("docs/**/*.md"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "benchmarks/README.md", *DOCS]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)


def test_reference_is_made_from_the_code_as_it_is() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
        env=clean_environment(),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 120


def test_every_make_target_in_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE):
            assert target in targets, (page.name, target)


def test_ci_runs_the_readmes_commands() -> None:
    script = (ROOT / ".ci/run").read_text()
    for command in re.findall(r"^(make [a-z]+)", blocks(ROOT / "README.md")[0], re.MULTILINE):
        assert command in script


@pytest.mark.real
def test_the_readmes_other_commands_do_what_it_says(tmp_path: Path) -> None:
    """The README's curl commands against a server, with its port instead of 8080."""
    with ServerProcess(f"sqlite:///{tmp_path}/r.sqlite3", tmp_path) as server:
        replies = []
        for line in blocks(ROOT / "README.md")[1].splitlines():
            command = shlex.split(line.replace("http://127.0.0.1:8080", server.url))
            assert command[0] == "curl"
            done = subprocess.run([*command, "-s"], capture_output=True, text=True, check=True, timeout=60)
            replies.append(done.stdout)
    assert re.fullmatch(r'\{"productId":"[0-9a-f-]{36}"\}', replies[0])
    assert replies[1] == '{"count":1}'


def test_every_hostemr_command_in_the_docs_exists(capsys: pytest.CaptureFixture[str]) -> None:
    found = 0
    for page in PAGES:
        text = page.read_text()
        for command in re.findall(r"(?:`|^ *)hostemr ([a-z][^`\n|]*)", text, re.MULTILINE):
            words = [word for word in command.split() if re.fullmatch(r"[a-z-]+", word)]
            depth = 3 if words[:2] == ["registration", "broadcasts"] else 2 if words[0] == "registration" else 1
            verb = words[:depth]
            assert run([*verb, "--help"]) == 0, command
            shown = capsys.readouterr().out
            for option in re.findall(r"--[a-z-]+", command):
                assert option in shown, (page.name, command, option)
            found += 1
    assert found > 10


def test_every_variable_in_the_docs_is_a_setting() -> None:
    reference = (ROOT / "docs/reference/registration-settings.md").read_text()
    for page in PAGES:
        for name in re.findall(r"HOSTEMR_[A-Z_]+[A-Z]", page.read_text()):
            known = {name, name.removesuffix("_FILE")}
            assert any(f"`{one}`" in reference for one in known), (page.name, name)
