"""Markdown as the tests of the guide read it: pages, links, headings, tables, quotations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs"
_NOT_OURS = {".venv", "build", "data", "node_modules", "dist", "logger"}
_LINK = re.compile(r"(?<!!)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Every Markdown file of the repository."""
    found = [ROOT, *(one for one in ROOT.iterdir() if one.is_dir() and one.name not in _NOT_OURS | {".git"})]
    return sorted(page for one in found for page in (one.glob("*.md") if one == ROOT else one.rglob("*.md")))


def prose(text: str) -> str:
    """The text without its fenced blocks, in which nothing is a link or a heading; line numbers stay."""
    kept, within = [], False
    for line in text.split("\n"):
        fence = line.lstrip().startswith("```")
        within = not within if fence else within
        kept.append("" if fence or within else line)
    return "\n".join(kept)


def links(page: Path) -> list[str]:
    """The targets of a page's links that lead to a place within the repository."""
    text = re.sub(r"`[^`\n]*`", lambda code: " " * len(code[0]), prose(page.read_text(encoding="utf-8")))
    return [one for one in _LINK.findall(text) if not re.match(r"[a-z]+:", one)]


def pictures(page: Path) -> list[tuple[str, str]]:
    """What stands for each picture of a page for whoever does not see it, and the picture's file."""
    return _PICTURE.findall(prose(page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """Those of a page's headings, as forges make them: the second of a name has -1 behind it."""
    found: dict[str, int] = {}
    made = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page.read_text(encoding="utf-8")), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w -]", "", shown.lower()).strip().replace(" ", "-")
        made.add(f"{anchor}-{found[anchor]}" if anchor in found else anchor)
        found[anchor] = found.get(anchor, 0) + 1
    return made


def section(page: Path, heading: str) -> str:
    """What stands below a heading, up to the next one of its rank or above."""
    text = page.read_text(encoding="utf-8")
    rank = len(heading) - len(heading.lstrip("#"))
    start = re.search(rf"^{re.escape(heading)}$", text, re.MULTILINE)
    assert start is not None, (page.name, heading)
    rest = text[start.end() :]
    end = re.search(rf"^#{{1,{rank}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> list[list[str]]:
    """The cells of each row of a text's tables, without heads."""
    lines = text.split("\n")
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        for number, line in enumerate(lines)
        if line.startswith("|")
        and not re.fullmatch(r"[|\s:-]+", line)
        and not (number + 1 < len(lines) and re.fullmatch(r"[|\s:-]*-[|\s:-]*", lines[number + 1]))
    ]


def quoted(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def shell_lines(page: Path) -> Iterator[str]:
    """The commands of a page's `sh` blocks, chained ones by themselves."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            yield from (part.strip() for part in line.split(" && ") if part.strip())
