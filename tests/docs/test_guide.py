"""The guide leads somewhere: every link, anchor and picture, from the contents to every page."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.docs.reading import GUIDE, ROOT, anchors, links, pages, pictures, prose, shell_lines

PAGES = pages()
CONTENTS = GUIDE / "README.md"
CHAPTERS = sorted(GUIDE.glob("[0-9]*.md"))
LONGEST_LINE = 120


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def target_of(page: Path, link: str) -> Path:
    return (page.parent / link.partition("#")[0]).resolve() if not link.startswith("#") else page


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in links(page):
        target = target_of(page, link)
        assert target.exists(), link
        anchor = link.partition("#")[2]
        if anchor:
            assert anchor in anchors(target), link


def test_every_picture_is_there_and_every_one_that_is_there_is_shown_and_described() -> None:
    shown = set()
    for page in PAGES:
        for description, link in pictures(page):
            assert len(description) > len("a picture"), (page.name, link)
            assert target_of(page, link).is_file(), (page.name, link)
            shown.add(target_of(page, link))
    assert shown == set((GUIDE / "pictures").iterdir())


def test_every_page_of_the_guide_is_reached_from_its_contents() -> None:
    reached, ahead = set(), [CONTENTS]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        reached.add(page)
        for target in (target_of(page, link) for link in links(page)):
            ahead += sorted(target.glob("*.md")) if target.is_dir() else [target] * (target.suffix == ".md")
    assert set(GUIDE.rglob("*.md")) <= reached


def test_the_contents_name_every_chapter_themselves() -> None:
    named = {target_of(CONTENTS, link) for link in links(CONTENTS)}
    assert set(CHAPTERS) <= named


def test_the_readme_leads_to_the_guide() -> None:
    assert CONTENTS in {target_of(ROOT / "README.md", link) for link in links(ROOT / "README.md")}


@pytest.mark.parametrize("page", [ROOT / "README.md", CONTENTS, *CHAPTERS], ids=name_of)
def test_lines_of_prose_can_be_read_in_a_terminal(page: Path) -> None:
    """Tables, pictures and lines that are one long address stay as they are."""
    for number, line in enumerate(prose(page.read_text(encoding="utf-8")).split("\n"), start=1):
        if not line.startswith(("|", "![", "    ")) and len(line) > LONGEST_LINE:
            assert re.fullmatch(r"\s*\S+( \S+)?", line), (number, line)


def test_every_chapter_has_one_title_and_begins_with_it() -> None:
    for page in [CONTENTS, *CHAPTERS]:
        text = prose(page.read_text(encoding="utf-8"))
        assert re.findall(r"^# .+$", text, re.MULTILINE) == [text.split("\n", 1)[0]], page.name


PROGRAMS = {
    *("hostemr", "make", "cdk", "aws", "git", "cd", "source", "export", "curl", "python", "pip", "sudo", "tail"),
    *("mysql", "mysqldump", "dig", "restic", "duplicity", "spark-submit", "docker", "uv", "sha256sum"),
}
"""Those that a reader of the guide has, or is told to install."""


@pytest.mark.parametrize("page", [ROOT / "README.md", *CHAPTERS], ids=name_of)
def test_every_command_of_a_block_is_of_a_program_that_a_reader_has(page: Path) -> None:
    for line in shell_lines(page):
        words = shlex.split(line, comments=True)
        # An environment for one command stands before it.
        program = next((word for word in words if not re.match(r"[A-Z_]+=", word)), None)
        if program is not None:
            assert program.removeprefix(".venv/bin/") in PROGRAMS, line


def test_no_page_names_a_place_of_the_machine_that_it_was_written_on() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for place in (str(ROOT), "/home/", "/tmp/h"):
            assert place not in text, (page.name, place)


SMALL_PICTURE_BYTES = 30_000


@pytest.mark.parametrize("picture", sorted((GUIDE / "pictures").glob("*.svg")), ids=name_of)
def test_a_drawn_picture_is_small_whole_and_legible_by_night(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    assert len(text) < SMALL_PICTURE_BYTES
    drawn = ET.fromstring(text)
    assert drawn.tag.endswith("svg")
    assert drawn.get("role") == "img"
    assert any(one.tag.endswith("title") for one in drawn)
    assert "prefers-color-scheme: dark" in text
    # A forge shows it as a picture, which loads and runs nothing.
    assert "<script" not in text
    assert not re.search(r"(?:href|src)=\"http", text)
