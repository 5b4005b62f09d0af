"""From a plan to its files: price.json, findings.json, diagram.svg and report.html, and the index of them all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from hostemr import __version__
from hostemr.deployment import reference
from hostemr.deployment.express_plus_rows import EXPRESS_PLUS
from hostemr.deployment.load import DEPLOYMENTS
from hostemr.deployment.registration_rows import REGISTRATION
from hostemr.deployment.sizes import SIZES
from hostemr.errors import OutsideWorldError
from hostemr.operate.check import Findings, as_data, check
from hostemr.operate.checks.hipaa import hipaa
from hostemr.operate.diagram.draw import draw
from hostemr.operate.plan import Plan
from hostemr.operate.price import price
from hostemr.operate.prices import report as bill_report
from hostemr.operate.rehearsal.creation import Creation, creation
from hostemr.operate.rehearsal.deletion import Deletion, deletion
from hostemr.operate.rehearsal.outage import zone_outage
from hostemr.operate.rehearsal.updating import Update, update
from hostemr.operate.report.checked import controls_shown, counted, findings_shown, with_nag
from hostemr.operate.report.chosen import given, settings_shown
from hostemr.operate.report.contents import Card, Cost, Listed, OutageRow, Page, Tone, WhatIf
from hostemr.operate.report.page import index_html, page_html
from hostemr.operate.report.priced import cost_shown, kinds_compared, kinds_of, plans_compared, uses_compared
from hostemr.operate.report.rehearsed import (
    creation_shown,
    deletion_shown,
    lasting,
    outage_shown,
    update_lines,
    update_shown,
)
from hostemr.operate.template import Template

SUMMARY_FILE = "summary.json"
_WITHOUT_SIZES = {
    EXPRESS_PLUS: "OpenEMR on one server, with encrypted backups to S3, for a small practice.",
    REGISTRATION: "OEMR's registration of installations and its mails to them. It holds addresses, no patients' data.",
}
"""What the deployments are for that have no sizes."""
OUTSIDE_HIPAA = (
    "The Security Rule is about patients' data, and this service has none: it holds addresses of people who installed "
    "OpenEMR, what their installations report of their use, and the board's accounts. So there is no table here. "
    "The same checks looked at it as at the others, HIPAA's pack of cdk-nag among them: see the findings. "
    "Laws on personal data, such as the GDPR, may bear on it."
)
"""Of the registration service."""


def look(templates: Mapping[str, Template], region: str) -> Findings:
    """What is wrong with a plan's templates, but for cdk-nag's part: that is in the plan."""
    return check(templates, region=region, nag=False)


def write(plan: Plan, out: Path, *, looked: Findings, region: str, made_on: date, before: Plan | None = None) -> Listed:
    """Write what is told from a plan's templates to its folder `out`; answers its row in the index.

    `looked` is what `look` found, `before` an earlier plan to compare with. Raises SettingsError where a region has
    no prices, OutsideWorldError where a file cannot be written.
    """
    templates = plan.templates
    bill = price(templates, region=region)
    cost = cost_shown(bill)
    found = with_nag(looked, plan.nag)
    made = creation(templates, region=region)
    gone = deletion(templates, region=region, protected=[one.name for one in plan.stacks if one.protected])
    outage = outage_shown(zone_outage(templates, region=region))
    title = titled(plan.deployment)
    picture = draw(templates, title=title)
    outside_hipaa = OUTSIDE_HIPAA if plan.deployment == REGISTRATION else ""
    changed, shown = None, None
    if before:
        earlier = before.templates
        changed = update(earlier, templates)
        both = plans_compared(price(earlier, region=region), bill)
        shown = update_shown(changed, before.settings, plan.settings, both)
    page = Page(
        deployment=plan.deployment,
        title=title,
        subtitle=_subtitle(plan, region),
        region=region,
        cards=_cards(cost, found, gone=gone, made=made, outage=outage, changed=changed),
        picture=picture,
        cost=cost,
        what_if=_what_if(plan, templates, region),
        findings=findings_shown(found),
        warnings=plan.warnings,
        outage=outage,
        deletion=deletion_shown(gone),
        creation=creation_shown(
            plan.deployment,
            made,
            sources=[str(stack.template) for stack in plan.stacks],
            settings=given(plan.deployment, plan.settings),
        ),
        settings=settings_shown(plan.deployment, plan.settings),
        controls=() if outside_hipaa else controls_shown(hipaa(templates)),
        outside_hipaa=outside_hipaa,
        update=shown,
        compared_with=str(before.stacks[0].template.parent) if before else "",
        made_on=made_on.isoformat(),
        version=__version__,
        sources=tuple(stack.template.name for stack in plan.stacks),
    )
    _save(out / "price.json", _json(bill_report.as_data(bill)))
    _save(out / "findings.json", _json(as_data(found)))
    _save(out / "diagram.svg", picture)
    _save(out / "report.html", page_html(page))
    worst = outage[0] if outage else None
    row = Listed(
        deployment=plan.deployment,
        title=title,
        link=f"{plan.deployment}/report.html",
        purpose=_purpose(plan),
        monthly=bill.total(),
        kept_monthly=gone.monthly,
        findings=", ".join(part for part in counted(found) if part),
        findings_tone=_findings_tone(found),
        open=len(found.at_least("warning")),
        losing=len(changed.losing) if changed else 0,
        refused=len(changed.refused) + len(changed.conflicts) if changed else 0,
        outage=worst.effect if worst else "nothing in a zone",
        outage_tone=worst.tone if worst else "good",
        creation=f"about {lasting(made.seconds.typical)}",
        changes=update_lines(shown) if shown else (),
    )
    money = {"monthly": str(row.monthly), "kept_monthly": str(row.kept_monthly)}
    _save(out / SUMMARY_FILE, _json({**asdict(row), **money}))
    return row


def write_index(out: Path, *, made_on: date) -> Path:
    """Write the index of all plans that a folder holds, whenever they were made; answers its path."""
    listed = [_listed(out / name / SUMMARY_FILE) for name in DEPLOYMENTS if (out / name / SUMMARY_FILE).exists()]
    path = out / "index.html"
    _save(path, index_html(listed, made_on=made_on.isoformat(), version=__version__))
    return path


def _listed(path: Path) -> Listed:
    found = json.loads(path.read_text(encoding="utf-8"))
    money = {name: Decimal(found[name]) for name in ("monthly", "kept_monthly")}
    return Listed(**{**found, **money, "changes": tuple(found["changes"])})


def titled(deployment: str) -> str:
    """A deployment's name for people, as the first words of a line."""
    name = reference.title(deployment)
    return name[0].upper() + name[1:]


def _purpose(plan: Plan) -> str:
    size = SIZES.get(str(plan.settings.get("size")))
    return size.purpose if size else _WITHOUT_SIZES[plan.deployment]


def _subtitle(plan: Plan, region: str) -> str:
    size = plan.settings.get("size")
    return f"{f'Size {size}. ' if size else ''}{_purpose(plan)} Priced for {region}."


def _what_if(plan: Plan, templates: Mapping[str, Template], region: str) -> tuple[WhatIf, ...]:
    kinds, chosen, refused = kinds_of(plan, templates)
    uses = uses_compared(plan.deployment, kinds, chosen, region)
    # One way to make it compares with nothing.
    return (kinds_compared(kinds, chosen, region, refused), uses) if len(kinds) + len(refused) > 1 else (uses,)


def _cards(
    cost: Cost, found: Findings, *, gone: Deletion, made: Creation, outage: Sequence[OutageRow], changed: Update | None
) -> tuple[Card, ...]:
    largest = cost.parts[0] if cost.parts else None
    worst_findings, others = counted(found)
    worst = outage[0] if outage else None
    touched = [one for one in outage if one.tone != "good"]
    cards = [
        Card(
            "Costs a month",
            f"${cost.total:,.0f}",
            f"most of it: {largest.name.lower()}, ${largest.monthly:,.0f}" if largest else "",
            "plain",
            "cost",
        ),
        Card("Findings", worst_findings, others, _findings_tone(found), "findings"),
        Card(
            "A zone fails",
            worst.effect.capitalize() if worst else "Nothing",
            ", ".join(dict.fromkeys(one.component.lower() for one in touched)) or "everything goes on",
            worst.tone if worst else "good",
            "zone",
        ),
        Card(
            "Deleted by mistake",
            "Data is lost" if any(one.grave for one in gone.losses) else "Data stays",
            f"what stays costs ${gone.monthly:,.0f} a month" if gone.retained else "nothing stays",
            "bad" if any(one.grave for one in gone.losses) else "good",
            "deletion",
        ),
        Card(
            "Deploys in",
            lasting(made.seconds.typical),
            f"{lasting(made.seconds.low)} to {lasting(made.seconds.high)}, an estimate",
            "plain",
            "deploying",
        ),
    ]
    if changed:
        losing = len(changed.losing)
        tone: Tone = "bad" if losing or changed.conflicts else "good"
        cards.insert(
            0,
            Card(
                "Compared",
                f"{losing} could lose data" if losing else f"{len(changed.touched)} change",
                f"{len(changed.touched)} resources change",
                tone,
                "compared",
            ),
        )
    return tuple(cards)


def _findings_tone(found: Findings) -> Tone:
    if found.at_least("error"):
        return "bad"
    return "attention" if found.open or found.gaps else "good"


def _json(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror or error}."
        raise OutsideWorldError(message, hint="choose another folder with --out") from error
