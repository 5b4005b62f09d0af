"""What the guide says that the program says, it says."""

from __future__ import annotations

import functools
import re
import shlex
import sys
from pathlib import Path

import pytest

from hostemr.operate.template import load_template
from tests.docs.reading import GUIDE, ROOT, quoted, rows, section
from tests.operate.planned import planned
from tests.peers.server import ServerProcess, hostemr

TROUBLESHOOTING = GUIDE / "089_troubleshooting.md"
TRY_IT = GUIDE / "005_try_it.md"
SOURCES = (".py", ".sh", ".html", ".js")


@functools.cache
def sources() -> str:
    """All that hostemr can say: its sources, with texts of several lines as one, and names and numbers cut out."""
    files = [
        *(path for path in (ROOT / "src").rglob("*") if path.suffix in SOURCES),
        *(ROOT / "deployments").glob("*.js"),
        ROOT / "Makefile",
        ROOT / "tests/install-system-packages",
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r"\"\s*\n\s*f?\"", "", text)


def constant_parts(said: str) -> list[str]:
    """The parts of a quotation between the names and numbers that it leaves out."""
    return [part.strip() for part in said.split("…") if part.strip(" .;:,")]


def quotations(page: Path) -> list[str]:
    """What the first cells of a page's tables quote as said by us: sentences, neither commands nor single names."""
    text = page.read_text(encoding="utf-8")
    first = [cells[0] for cells in rows(text)] + [
        cell for cells in rows(section(TROUBLESHOOTING, "## The set-up failed")) for cell in cells
    ]
    return [one for cell in first for one in quoted(cell) if " " in one and not one.startswith(("hostemr ", "make "))]


@pytest.mark.parametrize("page", [TROUBLESHOOTING, TRY_IT], ids=lambda page: page.name)
def test_every_line_that_a_page_quotes_is_said_by_the_program(page: Path) -> None:
    found = quotations(page)
    for said in found:
        for part in constant_parts(said):
            assert part in sources(), (said, part)
    assert len(found) > 2


def test_the_log_line_of_a_refused_message_is_said_too() -> None:
    text = section(TROUBLESHOOTING, "### Mail does not arrive")
    for said in ("sns message refused", "the topic is not one of sns_topic_arns", "the signature is wrong"):
        assert f"`{said}`" in text
        assert said in sources()


def test_the_exit_statuses_are_those_of_every_verb(tmp_path: Path) -> None:
    shown = hostemr("--help", folder=tmp_path).stdout
    told = {status for status, _ in rows(TROUBLESHOOTING.read_text(encoding="utf-8"))[:5]}
    assert told == set(re.findall(r"^ +(\d)  ", shown, re.MULTILINE))


def test_the_statuses_of_the_set_up_are_those_that_its_function_knows() -> None:
    handler = (ROOT / "src/hostemr/stacks/functions/run_setup/handler.py").read_text(encoding="utf-8")
    told = {int(status) for status, *_ in rows(section(TROUBLESHOOTING, "## The set-up failed")) if status.isdigit()}
    again = re.search(r"^AGAIN = \{(.*?)\}", handler, re.MULTILINE)
    meanings = re.search(r"^MEANINGS = \{(.*?)^\}", handler, re.MULTILINE | re.DOTALL)
    assert again is not None
    assert meanings is not None
    killed = 137
    known = {*map(int, re.findall(r"\d+", again[1])), *map(int, re.findall(r"^ +(\d+):", meanings[1], re.MULTILINE))}
    assert told == (known - {killed}) | {1}


def test_the_plan_of_your_own_does_what_trying_it_says(tmp_path: Path) -> None:
    """Its `plan` is shared with other tests; what follows on it is run as it stands."""
    block = section(TRY_IT, "## A plan of your own")
    lines = [shlex.split(line) for line in block.splitlines() if line.startswith("hostemr ")]
    assert [words[1] for words in lines] == ["plan", "price", "check", "rehearse"]
    plan = planned(*lines[0][2:])
    assert plan.status == 0, plan.talk
    plan.unfold(tmp_path / "build/plan")
    template = load_template(tmp_path / "build/plan/openemr/openemr-service.template.json")
    assert template["Resources"]
    statuses = {words[1]: hostemr(*words[1:], folder=tmp_path).returncode for words in lines[1:]}
    assert "`check` ends with status 1 here" in block
    assert statuses == {"price": 0, "check": 1, "rehearse": 0}


@pytest.mark.real
def test_a_started_service_names_the_addresses_that_trying_it_shows(tmp_path: Path) -> None:
    """As JSON, which has the same names; the port is another, since that one may be taken."""
    shown = re.search(r"```text\n(.*?)```", TRY_IT.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    told = dict(re.findall(r"^  (\w+) +http://[^/]+(/.*)$", shown[1], re.MULTILINE))
    with ServerProcess(None, tmp_path, "--dev") as server:
        answered = {name: re.sub(r"^http://[^/]+", "", url) for name, url in server.urls.items() if name != "url"}
    assert told == answered


def test_samples_are_marked_as_trying_it_says() -> None:
    marks = re.findall(r"\"(Sample data\. [^\"]+)\"", TRY_IT.read_text(encoding="utf-8"))
    shown = re.sub(r"<[^>]+>", "", sources())
    assert marks
    for mark in marks:
        assert mark in shown


def test_python_is_as_new_as_the_pages_ask_for() -> None:
    assert (3, 11) <= sys.version_info[:2] < (3, 15)
    wanted = re.search(r'requires-python = "([^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert wanted is not None
    assert wanted[1] == ">=3.11,<3.15"
    assert "Python 3.11 to 3.14" in TRY_IT.read_text(encoding="utf-8")
