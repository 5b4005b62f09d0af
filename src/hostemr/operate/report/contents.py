"""What a plan's page shows, as plain data: worked out in the other modules of this room, laid out in `page.html`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Tone = Literal["good", "attention", "bad", "plain"]
"""How a thing is coloured: fine · worth a look · somebody must act · neither."""


@dataclass(frozen=True, slots=True)
class Card:
    """One of the figures at the top; `anchor` is the section that says more."""

    title: str
    value: str
    note: str
    tone: Tone
    anchor: str


@dataclass(frozen=True, slots=True)
class CostPart:
    """A part of the deployment: what is paid for there, and dollars a month; `percent` of the largest part."""

    name: str
    what: str
    monthly: Decimal
    percent: int


@dataclass(frozen=True, slots=True)
class CostLine:
    """A line of the bill; `assumed` says that the quantity rests on assumed use."""

    resource: str
    what: str
    quantity: str
    price: str
    monthly: Decimal
    assumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The bill by part, and line by line."""

    total: Decimal
    note: str
    parts: tuple[CostPart, ...]
    lines: tuple[CostLine, ...]
    not_priced: tuple[str, ...]
    sources: str


@dataclass(frozen=True, slots=True)
class WhatIfRow:
    """A part's dollars a month in each column, None where a column has no such part."""

    name: str
    amounts: tuple[Decimal | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """Costs side by side; `chosen` is the column that this plan is."""

    title: str
    note: str
    columns: tuple[str, ...]
    chosen: str
    rows: tuple[WhatIfRow, ...]
    totals: tuple[Decimal, ...]
    left_out: tuple[str, ...] = ()
    heading: str = "Part"
    """What the rows are."""


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """A finding that is neither mended nor accepted."""

    severity: str
    tone: Tone
    rule: str
    where: str
    problem: str
    change: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """Findings that are accepted for one reason."""

    reason: str
    rules: tuple[str, ...]
    where: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsShown:
    """All findings; `gaps` are checks that could not be made."""

    note: str
    open: tuple[OpenFinding, ...]
    accepted: tuple[Accepted, ...]
    accepted_count: int
    gaps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutageRow:
    """What the loss of a zone does to a component."""

    component: str
    effect: str
    tone: Tone
    sentence: str
    reason: str


@dataclass(frozen=True, slots=True)
class RetainedRow:
    """What outlives the stacks."""

    holds: str
    resource: str
    monthly: Decimal


@dataclass(frozen=True, slots=True)
class HurdleRow:
    """What keeps a deletion from going through."""

    what: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionShown:
    """What a deletion does."""

    summary: str
    losses: tuple[str, ...]
    retained: tuple[RetainedRow, ...]
    monthly: Decimal
    hurdles: tuple[HurdleRow, ...]


@dataclass(frozen=True, slots=True)
class PathRow:
    """A resource of the critical path."""

    stack: str
    resource: str
    type: str
    time: str


@dataclass(frozen=True, slots=True)
class Needed:
    """What has to be there before a creation."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationShown:
    """How a creation goes."""

    summary: str
    commands: str
    prerequisites: tuple[Needed, ...]
    path: tuple[PathRow, ...]


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting in force; `default` is empty where it is the value."""

    name: str
    value: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsShown:
    """Settings, those that were chosen first, and what both are called."""

    chosen: tuple[SettingRow, ...]
    others: tuple[SettingRow, ...]
    chosen_are: str = "Set, or of the size"
    others_are: str = "Defaults of every size"


@dataclass(frozen=True, slots=True)
class ControlRow:
    """A section of the Security Rule."""

    section: str
    requirement: str
    kind: str
    state: str
    tone: Tone
    met: tuple[str, ...]
    open: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpdateRow:
    """A resource that an update touches."""

    resource: str
    what: str
    tone: Tone
    why: str


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting that two plans have differently."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateShown:
    """What an update from another plan does."""

    summary: str
    alarms: tuple[str, ...]
    rows: tuple[UpdateRow, ...]
    settings: tuple[SettingChange, ...]
    cost: WhatIf


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A deployment's page, whole."""

    deployment: str
    title: str
    subtitle: str
    region: str
    cards: tuple[Card, ...]
    picture: str
    cost: Cost
    what_if: tuple[WhatIf, ...]
    findings: FindingsShown
    warnings: tuple[str, ...]
    outage: tuple[OutageRow, ...]
    deletion: DeletionShown
    creation: CreationShown
    settings: SettingsShown
    controls: tuple[ControlRow, ...]
    outside_hipaa: str
    """Why the Security Rule does not bear on it; empty where it does."""
    update: UpdateShown | None
    compared_with: str
    made_on: str
    version: str
    sources: tuple[str, ...]

    @property
    def contents(self) -> Mapping[str, str]:
        """The page's sections by anchor."""
        sections = {
            "picture": "Picture",
            "compared": "Changes",
            "cost": "Cost",
            "findings": "Findings",
            "zone": "A zone fails",
            "deletion": "Deleting it",
            "deploying": "Deploying it",
            "settings": "Settings",
            "hipaa": "HIPAA",
        }
        return {anchor: name for anchor, name in sections.items() if anchor != "compared" or self.update}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A deployment's row in the index, and what the command line says of it."""

    deployment: str
    title: str
    link: str
    purpose: str
    monthly: Decimal
    kept_monthly: Decimal
    findings: str
    findings_tone: Tone
    open: int
    losing: int
    refused: int
    outage: str
    outage_tone: Tone
    creation: str
    changes: tuple[str, ...]
    """What an update from the other plan does, where there is one."""
