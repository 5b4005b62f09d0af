"""Reads scenario files (TOML): shipped ones by name, an operator's own by path. Every problem is told at once."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hostemr.errors import SettingsError
from hostemr.operate.loading.amounts import duration
from hostemr.operate.loading.scenario import BUILT_IN, Extract, Journey, Scenario, Step, Think, Upload

_SCENARIO = ("title", "about", "data", "start", "journey")
_JOURNEY = ("name", "weight", "pause", "step")
_REQUEST = ("get", "post", "query", "headers", "form", "json", "upload", "basic")
_STEP = ("name", *_REQUEST, "check", "extract", "think", "writes")
_CHECK = ("status", "contains", "lacks")
_EXTRACT = ("regex", "json", "pick", "otherwise", "missing")
_UPLOAD = ("field", "filename", "kilobytes", "type")
_MISSING = object()
_UNSENDABLE = re.compile(r"[\x00-\x20\x7f]")


def shipped() -> tuple[str, ...]:
    """The names of the scenarios that come with hostemr."""
    folder = resources.files("hostemr.operate.loading") / "scenarios"
    return tuple(sorted(one.name.removesuffix(".toml") for one in folder.iterdir() if one.name.endswith(".toml")))


def load_scenario(name: str) -> Scenario:
    """The shipped scenario of that name, or the one in the file of that path. Raises SettingsError."""
    known = shipped()
    if name in known:
        file = resources.files("hostemr.operate.loading") / "scenarios" / f"{name}.toml"
        return parse(file.read_text(encoding="utf-8"), name)
    path = Path(name)
    if not path.is_file():
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"; did you mean {near[0]}?" if near else ""
        raise SettingsError([f"--scenario is {name!r}; expected {', '.join(known)} or the path of a file{guess}"])
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{name} cannot be read: {error}"]) from error
    return parse(text, path.stem)


def parse(text: str, name: str) -> Scenario:
    """A scenario from TOML. Raises SettingsError with a line for each problem."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{name} is no TOML: {error}"]) from error
    except RecursionError as error:
        raise SettingsError([f"{name} is nested too deeply"]) from error
    problems: list[str] = []
    top = _Table(document, "", _SCENARIO, problems)
    data = {key: _words(value, f"data.{key}", problems) for key, value in top.table("data").items()}
    taken = sorted(data.keys() & BUILT_IN.keys())
    problems += [f"data.{key} has the name of something built in; choose another" for key in taken]
    start = tuple(_step(one, problems, in_start=True) for one in top.tables("start", _STEP))
    journeys = tuple(_journey(one, problems) for one in top.tables("journey", _JOURNEY))
    if not journeys:
        problems.append("no [[journey]] is there; expected at least one, with at least one [[journey.step]]")
    scenario = Scenario(
        name=name,
        title=top.text("title", ""),
        about=" ".join(top.text("about", "").split()),
        journeys=journeys,
        start=start,
        data=MappingProxyType(data),
    )
    _unknown_placeholders(scenario, problems)
    _doubled_names(scenario, problems)
    if problems:
        raise SettingsError([f"{name}: {problem}" for problem in problems])
    return scenario


class _Table:
    """A TOML table being read: refuses unknown names, and notes problems with the key's full path."""

    def __init__(self, values: Mapping[str, Any], path: str, known: Iterable[str], problems: list[str]) -> None:
        self.path = path
        self._values = values
        self._problems = problems
        names = tuple(known)
        for key in values:
            if key not in names:
                near = difflib.get_close_matches(key, names, n=1)
                wanted = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
                problems.append(f"{self.key(key)} is not known; {wanted}")

    def key(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, expected: str) -> None:
        self._problems.append(f"{self.key(name)} is {self._values.get(name)!r}; expected {expected}")

    def get(self, name: str) -> Any:
        return self._values.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        value = self._values.get(name, _MISSING)
        if isinstance(value, str) and value:
            return value
        if value is not _MISSING:
            self.wrong(name, "a text")
        elif default is None:
            self._problems.append(f"{self.key(name)} is missing; expected a text")
        return default or ""

    def flag(self, name: str) -> bool:
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            self.wrong(name, "true or false")
        return value is True

    def number(self, name: str, default: float, largest: float) -> float:
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= largest:
            self.wrong(name, f"a number above 0, at most {largest:g}")
            return default
        return value

    def table(self, name: str) -> dict[str, Any]:
        value = self._values.get(name, {})
        if not isinstance(value, dict):
            self.wrong(name, "a table")
            return {}
        return value

    def pairs(self, name: str) -> Mapping[str, str]:
        """A table of texts; numbers are taken as they are written."""
        found = {}
        for key, value in self.table(name).items():
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                self._problems.append(f"{self.key(name)}.{key} is {value!r}; expected a text or a number")
            else:
                found[key] = str(value)
        return MappingProxyType(found)

    def tables(self, name: str, known: Iterable[str]) -> list[_Table]:
        value = self._values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self.wrong(name, f"tables, each begun with [[{self.key(name)}]]")
            return []
        return [_Table(one, f"{self.key(name)}[{at}]", known, self._problems) for at, one in enumerate(value, 1)]

    def think(self, name: str) -> Think:
        value = self._values.get(name, 0)
        parts = [duration(part) for part in str(value).split("..")]
        if len(parts) == 1 and parts[0] is not None:
            return Think(parts[0])
        if len(parts) == 2 and parts[0] is not None and parts[1] is not None and parts[0] <= parts[1]:
            return Think(parts[0], parts[1])
        self.wrong(name, "a duration such as 8s, or two as in 2s..6s")
        return Think()


def _journey(table: _Table, problems: list[str]) -> Journey:
    steps = tuple(_step(one, problems, in_start=False) for one in table.tables("step", _STEP))
    if not steps:
        problems.append(f"{table.path} has no step; expected at least one [[journey.step]]")
    return Journey(table.text("name"), steps, weight=table.number("weight", 1.0, 1e6), pause=table.think("pause"))


def _step(table: _Table, problems: list[str], *, in_start: bool) -> Step:
    methods = [name for name in ("get", "post") if table.get(name) is not None]
    if len(methods) != 1:
        problems.append(f"{table.path} has {' and '.join(methods) or 'neither get nor post'}; expected one of them")
    method = methods[0] if methods else "get"
    path = table.text(method, "/")
    if not path.startswith("/") or path.startswith("//"):
        # A step cannot leave the host that the operator named.
        table.wrong(method, "a path below the URL under test, beginning with one /")
    if _UNSENDABLE.search(path):
        table.wrong(method, "a path without spaces and control characters; %20 is a space")
    try:
        json.dumps(table.get("json"), allow_nan=False)
    except (TypeError, ValueError):
        table.wrong("json", "what JSON has: no dates and no nan; a date goes in quotes")
    bodies = [name for name in ("form", "json") if table.get(name) is not None]
    if len(bodies) > 1 or (table.get("upload") is not None and "json" in bodies):
        problems.append(f"{table.path} has several bodies; expected form, json, or upload with or without form")
    if method == "get" and (bodies or table.get("upload") is not None):
        problems.append(f"{table.path} is a get with a body; make it a post, or use query")
    if method == "post" and not in_start and table.get("writes") is None:
        problems.append(f"{table.path} is a post; say whether it changes records: writes = true or writes = false")
    check = _Table(table.table("check"), table.key("check"), _CHECK, problems)
    return Step(
        name=table.text("name"),
        method=method.upper(),
        path=path,
        query=table.pairs("query"),
        headers=table.pairs("headers"),
        form=table.pairs("form"),
        json=table.get("json"),
        upload=_upload(table, problems),
        basic=table.flag("basic"),
        statuses=_statuses(check),
        contains=_words(check.get("contains") or [], check.key("contains"), problems),
        lacks=_words(check.get("lacks") or [], check.key("lacks"), problems),
        extracts=tuple(_extract(table, name, problems) for name in table.table("extract")),
        think=table.think("think"),
        writes=table.flag("writes"),
    )


def _upload(table: _Table, problems: list[str]) -> Upload | None:
    if table.get("upload") is None:
        return None
    inner = _Table(table.table("upload"), table.key("upload"), _UPLOAD, problems)
    # OpenEMR's PHP takes 30 MB; a larger file tests only that limit.
    size = round(inner.number("kilobytes", 64.0, 30_000) * 1024)
    return Upload(inner.text("field"), inner.text("filename"), size, inner.text("type", "text/plain"))


def _extract(table: _Table, name: str, problems: list[str]) -> Extract:
    value = table.table("extract")[name]
    key = f"{table.key('extract')}.{name}"
    if not isinstance(value, dict):
        problems.append(f"{key} is {value!r}; expected a table with regex or json")
        return Extract(name)
    inner = _Table(value, key, _EXTRACT, problems)
    if (inner.get("regex") is None) == (inner.get("json") is None):
        problems.append(f"{key} has both or neither of regex and json; expected one of them")
        return Extract(name)
    pick = inner.text("pick", "first")
    if pick not in {"first", "random"}:
        inner.wrong("pick", "first or random")
    missing = inner.text("missing", "fail")
    if missing not in {"fail", "end"}:
        inner.wrong("missing", "fail (the step has failed) or end (the journey ends, as a person's search would)")
    otherwise = inner.get("otherwise")
    if otherwise is not None and not isinstance(otherwise, str):
        inner.wrong("otherwise", "a text")
    extract = Extract(name, pick=pick, otherwise=otherwise, may_lack=missing == "end")
    if inner.get("json") is not None:
        return replace(extract, path=tuple(inner.text("json").split(".")))
    try:
        regex = re.compile(inner.text("regex"))
    except re.error as error:
        inner.wrong("regex", f"a regular expression ({error})")
        return Extract(name)
    if regex.groups != 1:
        inner.wrong("regex", "exactly one group in parentheses, the value")
    return replace(extract, regex=regex)


def _statuses(check: _Table) -> frozenset[int]:
    value = check.get("status")
    listed = value if isinstance(value, list) else [] if value is None else [value]
    if not all(type(one) is int and 100 <= one <= 599 for one in listed):
        check.wrong("status", "an HTTP status such as 200, or a list of them")
        return frozenset()
    return frozenset(listed)


def _words(value: Any, key: str, problems: list[str]) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in listed) or (not listed and key.startswith("data.")):
        problems.append(f"{key} is {value!r}; expected a text or a list of texts")
        return ("",)
    return tuple(listed)


def _unknown_placeholders(scenario: Scenario, problems: list[str]) -> None:
    """A placeholder must have a value by the time its step runs: each journey sees only what came before it."""
    before = {*BUILT_IN, *scenario.data}
    for step in scenario.start:
        _note_unknown(step, before, problems)
        before |= {one.name for one in step.extracts}
    for journey in scenario.journeys:
        here = set(before)
        for step in journey.steps:
            _note_unknown(step, here, problems)
            here |= {one.name for one in step.extracts}


def _note_unknown(step: Step, known: set[str], problems: list[str]) -> None:
    for name in sorted(step.names() - known):
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"; did you mean ${{{near[0]}}}?" if near else ""
        problems.append(f"step {step.name!r} uses ${{{name}}}, which nothing before it sets{guess}")


def _doubled_names(scenario: Scenario, problems: list[str]) -> None:
    seen: dict[str, Step] = {}
    for step in scenario.steps:
        if step.name in seen and seen[step.name] != step:
            problems.append(f"two different steps have the name {step.name!r}; figures are by name, so change one")
        seen[step.name] = step
