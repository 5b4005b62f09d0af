"""What a broadcast says and to whom: checked whole, at the edge, and rendered."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from hostemr.registration.broadcasts.content import Format, Rendered, render
from hostemr.registration.broadcasts.message_rules import InvalidEmailMessage, check_contents, check_title
from hostemr.registration.content_hash import content_sha256
from hostemr.registration.installations.version import Version
from hostemr.registration.links import CATEGORIES, Category

Severity = Literal["critical", "high", "medium", "low"]
FORMATS: tuple[Format, ...] = ("text", "markdown", "html")
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")
FIELDS = ("title", "contents", "format", "category", "severity", "fixed_version")


class InvalidDraft(InvalidEmailMessage):
    """What a broadcast cannot be. `problems` says of each field, by its name, what is wrong with it."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = dict(problems)


@dataclass(frozen=True, slots=True)
class Draft:
    """A broadcast as it will be sent.

    `fixed_version` is the OpenEMR version in which the hole is closed. Who has registered only
    installations of that version or later is not written to; a recorded version is a lower bound,
    since a client that is upgraded does not register again.
    """

    title: str
    contents: str
    format: Format
    category: Category
    severity: Severity | None
    fixed_version: str | None
    rendered: Rendered

    @property
    def sha256(self) -> str:
        """The hash of what its reader gets."""
        return content_sha256(self.title, self.rendered.text, self.rendered.html)

    @property
    def fixed_version_order(self) -> int | None:
        """The number that orders as the version does."""
        version = Version.parse(self.fixed_version) if self.fixed_version else None
        return version.order if version else None


def parse_draft(fields: Mapping[str, Any], longest_contents: int) -> Draft:
    """Check the fields title, contents, format (text), category (security), severity and fixed_version.

    Raises InvalidDraft, which names everything that is wrong with them.
    """
    problems: dict[str, str] = {}
    values = {name: _text(fields, name, problems) for name in FIELDS}
    checks: dict[str, Callable[[str], object]] = {
        "title": check_title,
        "contents": lambda contents: check_contents(contents, longest_contents),
        "format": lambda value: _one_of("format", value, FORMATS),
        "category": lambda value: _one_of("category", value, CATEGORIES),
        "severity": lambda value: _one_of("severity", value, SEVERITIES),
        "fixed_version": _version,
    }
    for name, check in checks.items():
        try:
            check(values[name])
        except InvalidEmailMessage as error:
            # Of one field both are told: that it is no text, and what follows from that.
            problems[name] = f"{problems[name]} {error.message}" if name in problems else error.message
    if problems:
        raise InvalidDraft(problems)
    content_format = cast("Format", values["format"] or "text")
    category = cast("Category", values["category"] or "security")
    title = check_title(values["title"])
    severity = cast("Severity | None", values["severity"] or None)
    fixed_version = values["fixed_version"].strip() or None
    try:
        rendered = render(
            title=title,
            contents=values["contents"],
            format=content_format,
            category=category,
            severity=severity,
            fixed_version=fixed_version,
        )
    except InvalidEmailMessage as error:
        raise InvalidDraft({"contents": error.message}) from error
    return Draft(
        title=title,
        contents=values["contents"],
        format=content_format,
        category=category,
        severity=severity,
        fixed_version=fixed_version,
        rendered=rendered,
    )


def _text(fields: Mapping[str, Any], name: str, problems: dict[str, str]) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        problems[name] = f"{name} is not a text."
        return ""
    return value


def _one_of(name: str, value: str, possible: tuple[str, ...]) -> None:
    if value and value not in possible:
        near = difflib.get_close_matches(value, possible, n=1)
        message = f"{name} is {value[:64]!r}; expected one of {', '.join(possible)}" + (
            f" (did you mean {near[0]}?)." if near else "."
        )
        raise InvalidEmailMessage(message)


def _version(value: str) -> None:
    if value.strip() and Version.parse(value) is None:
        message = f"fixed_version is {value[:64]!r}; expected an OpenEMR version such as 7.0.3 or 7.0.3 (1)."
        raise InvalidEmailMessage(message)
