"""What a check is: a record of why and from where, and one pure function from templates to what it finds.

An id is `HOSTEMR-` and the words of the file's name, as cdk-nag names its rules: a line in a build's log says what is
wrong without a table to look it up in, and ids need no renumbering. An id stays what it is for ever: people have it in
their `--skip` lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from hostemr.operate.checks.templates import Resource, Templates

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From worst to least: data or service is lost or open · it will hurt one day · it is worth knowing."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that is wrong: the resource, what it shows, and what to change.

    `place` is the property that shows it. `severity` is set where this case is another than the check's.
    """

    resource: Resource
    problem: str
    change: str
    place: str = ""
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check of our own. `reason` is what happens otherwise, `source` the page that says so."""

    id: str
    title: str
    severity: Severity
    reason: str
    source: str
    find: Callable[[Templates], Iterator[Found]]
