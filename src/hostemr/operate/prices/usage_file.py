"""A small file of scenarios: TOML or JSON, each a practice in its own terms.

```toml
[our-practice]
meaning = "Six at work, open on weekdays"
like = "small-practice"      # what is not said is as in that one
people = 6
files_gb = 60
[our-practice.usage]         # amounts as --usage has them, which count before what follows from the terms
nat_processed_gb = 20
```
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from hostemr.errors import SettingsError
from hostemr.operate.prices.scenarios import SCENARIOS, TERMS, Scenario
from hostemr.operate.prices.usage import amount, wrong_usage

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_OTHER = ("meaning", "like", "usage")
_LARGEST_BYTES = 1_000_000
"""No file of scenarios comes near; a price list given by mistake is not read to its end."""


def load_scenarios(path: Path) -> dict[str, Scenario]:
    """The scenarios of a file, by name. Raises SettingsError with everything that is wrong with it."""
    problems: list[str] = []
    made: dict[str, Scenario] = {}
    content = _content(path)
    if not content:
        problems.append(f"{path}: it has no scenario; expected a table such as [our-practice]")
    for name, written in content.items():
        where = f"{path}: {name}"
        wrong = list(_problems(where, name, written))
        problems += wrong
        if not wrong:
            made[name] = _scenario(name, written)
    if problems:
        raise SettingsError(problems, hint="`hostemr price --scenarios` prints those that there are, as such a file")
    return made


def chosen(names: Collection[str], own: Mapping[str, Scenario]) -> list[Scenario]:
    """Scenarios by name, those of a file before ours; without names those of the file. Raises SettingsError."""
    known = {**SCENARIOS, **own}
    problems = [
        f"--scenario is {name!r}; expected {' or '.join(known)}{_nearest(name, known)}"
        for name in names
        if name not in known
    ]
    if problems:
        raise SettingsError(problems)
    return [known[name] for name in dict.fromkeys(names)] if names else list(own.values())


def as_toml(scenarios: Mapping[str, Scenario]) -> str:
    """Scenarios as a file of them."""
    parts = []
    for one in scenarios.values():
        parts.append(f"[{one.name}]\nmeaning = {json.dumps(one.meaning, ensure_ascii=False)}")
        parts += [f"{f'{name} = {value}'.ljust(28)}  # {TERMS[name].meaning}" for name, value in one.terms.items()]
        if one.usage:
            parts.append(f"[{one.name}.usage]")
            parts += [f"{json.dumps(name)} = {value}" for name, value in one.usage.items()]
        parts.append("")
    return "\n".join(parts).rstrip()


def _content(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_BYTES + 1)
        if len(raw) > _LARGEST_BYTES:
            raise SettingsError([f"{path}: it is larger than a megabyte; a file of scenarios is a few lines"])
        text = raw.decode("utf-8")
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"], hint="name a TOML or JSON file") from None
    except UnicodeDecodeError:
        raise SettingsError([f"{path}: it is not UTF-8 text"], hint="name a TOML or JSON file") from None
    try:
        if path.suffix == ".json":
            content = json.loads(text, parse_float=Decimal)
        else:
            content = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise SettingsError([f"{path}: it is no {kind}: {error}"]) from None
    if not isinstance(content, dict):
        raise SettingsError([f"{path}: expected an object with a member for each scenario"])
    return content


def _problems(where: str, name: str, written: Any) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield f"{where}: expected a name of small letters, digits and hyphens"
    if not isinstance(written, dict):
        yield f"{where} is {written!r}; expected a table of terms"
        return
    like = written.get("like")
    if like is not None and like not in SCENARIOS:
        yield f"{where}: like is {like!r}; expected {' or '.join(SCENARIOS)}"
    if not isinstance(written.get("meaning", ""), str):
        yield f"{where}: meaning is {written['meaning']!r}; expected a text"
    yield from _of_terms(where, {name: value for name, value in written.items() if name not in _OTHER})
    usage = written.get("usage", {})
    if not isinstance(usage, dict):
        yield f"{where}: usage is {usage!r}; expected a table of amounts"
        return
    for key, value in usage.items():
        yield from wrong_usage(f"{where}: usage", key, _text(value), None)


def _of_terms(where: str, written: Mapping[str, Any]) -> Iterator[str]:
    for term, value in written.items():
        if term not in TERMS:
            hint = _nearest(term, [*TERMS, *_OTHER]) or f"; expected {', '.join([*TERMS, *_OTHER])}"
            yield f"{where}: {term} is no term{hint}"
        elif amount(_text(value)) is None:
            yield f"{where}: {term} is {_text(value)!r}; expected a number of 0 or more, at most 1e15"


def _scenario(name: str, written: Mapping[str, Any]) -> Scenario:
    base = SCENARIOS[written["like"]].terms if "like" in written else {}
    terms = {term: Decimal(str(value)) for term, value in written.items() if term in TERMS}
    usage = {key: Decimal(str(value)) for key, value in written.get("usage", {}).items()}
    return Scenario(name=name, meaning=written.get("meaning", ""), terms={**base, **terms}, usage=usage)


def _text(value: Any) -> str:
    # True is 1 to Python, but no amount to a reader.
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else f"{value!r}"


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
