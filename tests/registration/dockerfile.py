"""Reads a Dockerfile and a .dockerignore, as far as ours go (docs.docker.com/reference/dockerfile)."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """One FROM and the instructions after it, in their order."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """The arguments of every such instruction."""
        return [arguments for name, arguments in self.instructions if name == instruction]

    def last(self, instruction: str) -> str:
        """What the last such instruction says, which is the one that counts."""
        return self.all(instruction)[-1]

    @property
    def environment(self) -> dict[str, str]:
        """What ENV sets."""
        return dict(_pairs(self.all("ENV")))

    @property
    def labels(self) -> dict[str, str]:
        """What LABEL sets."""
        return dict(_pairs(self.all("LABEL")))


@dataclass
class Dockerfile:
    """ARGs before the first stage, and the stages."""

    arguments: dict[str, str]
    stages: list[Stage]


def read_dockerfile(text: str) -> Dockerfile:
    """Raises ValueError for what Docker would not understand, or this reader does not."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    found = Dockerfile({}, [])
    for line in filter(None, map(str.strip, joined.splitlines())):
        instruction, _, arguments = line.partition(" ")
        arguments = arguments.strip()
        if instruction == "FROM":
            words = arguments.split()
            if len(words) not in {1, 3} or (len(words) == 3 and words[1] != "AS"):
                raise ValueError(line)
            found.stages.append(Stage(_filled(words[0], found.arguments), words[2] if len(words) == 3 else ""))
        elif not found.stages:
            if instruction != "ARG":
                raise ValueError(line)
            name, _, value = arguments.partition("=")
            found.arguments[name] = value
        elif instruction in _KNOWN:
            found.stages[-1].instructions.append((instruction, arguments))
        else:
            raise ValueError(line)
    return found


def exec_form(arguments: str) -> list[str]:
    """The words of an instruction in its exec form, which needs no shell. Raises ValueError for any other."""
    words = json.loads(arguments)
    if not (isinstance(words, list) and words and all(isinstance(word, str) for word in words)):
        raise ValueError(arguments)
    return words


def sources(arguments: str) -> tuple[list[str], str]:
    """What a COPY from the context takes, and where it goes."""
    *taken, target = arguments.split()
    return taken, target


class Context:
    """The build's context: what the .dockerignore of a folder lets through."""

    def __init__(self, root: Path) -> None:
        self.root = root
        lines = (root / ".dockerignore").read_text().splitlines()
        self._rules = [
            (line.startswith("!"), _pattern(line.removeprefix("!").strip("/ ")))
            for line in lines
            if line.strip() and not line.startswith("#")
        ]

    def lets_through(self, path: str) -> bool:
        """Whether a file is in the context: the last rule that fits it, or a folder of it, decides."""
        parents = ["/".join(path.split("/")[:end]) for end in range(1, path.count("/") + 2)]
        through = True
        for lets, pattern in self._rules:
            if any(pattern.fullmatch(parent) for parent in parents):
                through = lets
        return through

    def files(self, source: str) -> list[str]:
        """The files in the context that a source of COPY stands for."""
        place = self.root / source
        found = [place] if place.is_file() else sorted(one for one in place.rglob("*") if one.is_file())
        names = [str(one.relative_to(self.root)) for one in found]
        return [name for name in names if self.lets_through(name)]

    def copy(self, arguments: str, workdir: Path) -> None:
        """Do what a COPY from the context does. Raises FileNotFoundError for a source that is not in it."""
        taken, target = sources(arguments)
        for source in taken:
            names = self.files(source)
            if not names:
                raise FileNotFoundError(source)
            for name in names:
                within = Path(name).name if (self.root / source).is_file() else str(Path(name).relative_to(source))
                place = workdir / target / within if target.endswith("/") else workdir / target
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.root / name, place)


_KNOWN = {
    *("ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "RUN"),
    *("STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
}


def _pairs(lines: list[str]) -> list[tuple[str, str]]:
    words = [word.partition("=") for line in lines for word in shlex.split(line)]
    if not all(equals for _, equals, _ in words):
        raise ValueError(lines)
    return [(name, value) for name, _, value in words]


def _filled(text: str, arguments: dict[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda place: arguments[place[1]], text)


def _pattern(text: str) -> re.Pattern[str]:
    pieces = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    return re.compile("".join(pieces.get(one, re.escape(one)) for one in re.split(r"(\*\*/|\*\*|\*|\?)", text)))
