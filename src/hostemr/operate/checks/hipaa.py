"""The HIPAA Security Rule beside a deployment: what each section asks, what in the templates meets it, what is open.

45 CFR 164.308 and 164.312, the sections that a template can bear on. The requirements are in words of our own; the
law's stand at https://www.ecfr.gov/current/title-45/part-164/subpart-C. A table of evidence makes nobody compliant:
what people must do stands in it as theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hostemr.operate.checks.hipaa_evidence import Evidence
from hostemr.operate.checks.hipaa_sections import SECTIONS, Section
from hostemr.operate.checks.registry import BY_ID
from hostemr.operate.checks.templates import Templates
from hostemr.operate.template import Template

Status = Literal["met", "supported", "partly", "open", "yours"]
"""All is shown · the templates' part is, the rest is people's · something is open · all is open · all is people's."""
_SHOWN = 6
"""So many pieces of evidence of a section are written out in text; JSON has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A section of the rule, and how the deployment stands to it.

    `kind` is `standard`, `required` or `addressable`, as the rule has it. `met` is what the templates show, `open` what
    they show to be missing, and `yours` what no template can do.
    """

    section: str
    title: str
    kind: str
    requirement: str
    met: tuple[Evidence, ...]
    open: tuple[str, ...]
    yours: str

    @property
    def status(self) -> Status:
        """In one word. A section with a part for people is never `met` by templates alone."""
        if self.open:
            return "partly" if self.met else "open"
        if not self.met:
            return "yours"
        return "supported" if self.yours else "met"


def hipaa(templates: Mapping[str, Template], *, region: str = "us-east-1") -> tuple[Control, ...]:
    """Every section with what meets it in the templates of one deployment, by stack name."""
    read = Templates(templates, region=region)
    found = {
        identity: tuple(
            f"{one.resource.stack}/{one.resource.logical_id}: {one.problem} ({identity})"
            for one in BY_ID[identity].find(read)
            if (one.severity or BY_ID[identity].severity) != "note"
        )
        for identity in {identity for section in SECTIONS for identity in section.checks}
    }
    return tuple(_control(section, read, found) for section in SECTIONS)


def as_data(controls: Iterable[Control]) -> list[dict[str, Any]]:
    """The table as JSON's types."""
    return [{**asdict(one), "status": one.status} for one in controls]


def as_text(controls: Iterable[Control]) -> list[str]:
    """The table as lines for a person who audits."""
    lines = [
        "HIPAA Security Rule, 45 CFR 164: what these templates show",
        "met: all is shown. supported: the templates' part is, the rest is yours. partly, open: something is missing.",
    ]
    for one in controls:
        lines += ["", f"164.{one.section}  {one.title} ({one.kind}): {one.status}", f"  asks    {one.requirement}"]
        for evidence in one.met[:_SHOWN]:
            lines.append(f"  met     {evidence.template}/{evidence.logical_id}: {evidence.shows}")
        if len(one.met) > _SHOWN:
            lines.append(f"  met     and {len(one.met) - _SHOWN} more; --json has all")
        lines += [f"  open    {problem}" for problem in one.open]
        if one.yours:
            lines.append(f"  yours   {one.yours}")
    return lines


def _control(section: Section, templates: Templates, found: Mapping[str, tuple[str, ...]]) -> Control:
    met = tuple(dict.fromkeys(evidence for source in section.evidence for evidence in source(templates)))
    problems = [problem for identity in section.checks for problem in found[identity]]
    if not met and section.missing:
        problems.insert(0, section.missing)
    return Control(
        section=section.section,
        title=section.title,
        kind=section.kind,
        requirement=section.requirement,
        met=met,
        open=tuple(problems),
        yours=section.yours,
    )
