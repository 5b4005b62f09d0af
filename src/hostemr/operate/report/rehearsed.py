"""What a page says of creating, deleting and updating a deployment, and of a zone that fails."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from hostemr.deployment.express_plus_rows import EXPRESS_PLUS
from hostemr.operate.changes import Kind
from hostemr.operate.rehearsal.creation import Creation
from hostemr.operate.rehearsal.deletion import Deletion, Hurdle
from hostemr.operate.rehearsal.outage import Consequence, Effect
from hostemr.operate.rehearsal.updating import Touched, Update
from hostemr.operate.report.contents import (
    CreationShown,
    DeletionShown,
    HurdleRow,
    Needed,
    OutageRow,
    PathRow,
    RetainedRow,
    SettingChange,
    Tone,
    UpdateRow,
    UpdateShown,
    WhatIf,
)

_EFFECTS: Mapping[Effect, tuple[str, Tone]] = {
    Effect.NONE: ("goes on", "good"),
    Effect.BRIEF: ("a moment", "good"),
    Effect.DEGRADED: ("goes on with less", "attention"),
    Effect.DOWN: ("stands still", "bad"),
    Effect.DATA: ("data in danger", "bad"),
}


def creation_shown(
    deployment: str, found: Creation, *, sources: Sequence[str], settings: Mapping[str, object]
) -> CreationShown:
    """How a creation goes; `sources` are the template files, `settings` those that are not the default."""
    seconds = found.seconds
    stacks = len(found.stacks)
    summary = (
        f"CloudFormation makes {'the stack' if stacks == 1 else f'the {stacks} stacks'} in about "
        f"{lasting(seconds.typical)} ({lasting(seconds.low)} to {lasting(seconds.high)}), an estimate from published "
        "figures of each kind of resource."
    )
    chosen = "".join(f" \\\n  -c {name}={shlex.quote(_plain(value))}" for name, value in settings.items())
    if deployment == EXPRESS_PLUS:
        commands = f"CloudFormation console > Create stack > Upload a template file > {sources[0]}"
    else:
        commands = (
            f"cd deployments/{deployment}\ncdk bootstrap    # once for an account and region\n{_mail_region(settings)}"
            f"cdk deploy --all{chosen}"
        )
    path = [
        PathRow(name, step.logical_id, step.type_name, lasting(step.duration.typical))
        for name, stack in found.stacks.items()
        for step in stack.critical_path
        # What takes a moment explains nothing.
        if step.duration.typical >= 15
    ]
    needed = tuple(Needed(one.what, one.why) for one in found.prerequisites)
    return CreationShown(summary=summary, commands=commands, prerequisites=needed, path=tuple(path))


def _mail_region(settings: Mapping[str, object]) -> str:
    """The registration service's mail has a stack of its own, in a region that may be another."""
    region = settings.get("ses_region")
    return f"cdk bootstrap aws://ACCOUNT/{region}    # the mail's region, too\n" if region else ""


def deletion_shown(found: Deletion) -> DeletionShown:
    """What a deletion does: what stays, what it costs, what is lost, what refuses."""
    losses = tuple(
        f"{_capital(one.holds)}: {one.stack}/{one.logical_id}{' (a last snapshot is kept)' if one.snapshot else ''}"
        for one in found.losses
    )
    retained = [
        RetainedRow(
            _capital(one.holds or f"no data of its own: {_kind(one.type_name)}"),
            f"{one.stack}/{one.logical_id}",
            one.monthly,
        )
        for one in sorted(found.retained, key=lambda one: (-one.monthly, not one.holds, one.stack, one.logical_id))
        if one.holds or one.monthly
    ]
    more = len(found.retained) - len(retained)
    kept = f"{len(found.retained)} resources stay" if found.retained else "Nothing stays"
    summary = (
        f"{found.deleted} resources go. {kept}"
        + (f" and go on costing about ${found.monthly:,.2f} a month, with use as it was" if found.monthly else "")
        + (f"; {more} of them hold no data and cost nothing" if more and found.retained else "")
        + "."
    )
    hurdles = tuple(HurdleRow(_where(one), one.reason, one.remedy) for one in (*found.refused, *found.stuck))
    return DeletionShown(
        summary=summary, losses=losses, retained=tuple(retained), monthly=found.monthly, hurdles=hurdles
    )


def outage_shown(found: Sequence[Consequence]) -> tuple[OutageRow, ...]:
    """What the loss of a zone does, a row for each component."""
    rows = (
        OutageRow(_capital(one.component), *_EFFECTS[one.effect], one.sentence, one.reason)
        for one in sorted(found, key=lambda one: -one.effect)
    )
    # The gateways of three zones, or the keys of two stacks, have one thing to say.
    return tuple(dict.fromkeys(rows))


def update_shown(found: Update, before: Mapping[str, object], after: Mapping[str, object], cost: WhatIf) -> UpdateShown:
    """What an update does; `before` and `after` are the settings of both sides."""
    return UpdateShown(
        summary=_summary(found),
        alarms=tuple(_alarms(found)),
        rows=tuple(
            UpdateRow(f"{one.stack}/{one.change.logical_id}", one.what, _tone(one), _why(one)) for one in found.touched
        ),
        settings=tuple(
            SettingChange(name, _value(before, name), _value(after, name))
            for name in dict.fromkeys([*before, *after])
            if before.get(name) != after.get(name)
        ),
        cost=cost,
    )


def update_lines(shown: UpdateShown) -> tuple[str, ...]:
    """An update in lines of text, what matters most first."""
    return (
        *shown.alarms,
        shown.summary,
        *(f"{row.what}: {row.resource}" for row in shown.rows if row.tone != "good"),
        *(f"setting {one.name}: {one.before} -> {one.after}" for one in shown.settings),
        f"cost: {shown.cost.totals[0]} -> {shown.cost.totals[1]} dollars a month",
    )


def lasting(seconds: float) -> str:
    """A time that people can plan with: `40 s`, `12 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _summary(found: Update) -> str:
    if not (found.touched or found.created or found.deleted):
        return "Nothing: the templates say the same."
    parts = [f"{len(found.touched)} resources change"] if found.touched else []
    parts += [f"the stack {name} is created" for name in found.created]
    parts += [f"the stack {name} is not in this plan any more; nothing deletes it by itself" for name in found.deleted]
    return _capital("; ".join(parts)) + "."


def _alarms(found: Update) -> Iterator[str]:
    for one in found.losing:
        holds = f" It holds {one.holds}." if one.holds else ""
        lines = f"{one.stack}/{one.change.logical_id}: {one.what}.{holds} {'; '.join(one.change.weakened)}".rstrip()
        yield f"DATA: {lines}"
    for conflict in found.conflicts:
        then = "update the importer first" if conflict.freed else "CloudFormation refuses that"
        yield f"REFUSED: {conflict.importer} imports {conflict.export}, which is {conflict.change}: {then}"


def _tone(one: Touched) -> Tone:
    if one.losing or one.change.kind is Kind.REFUSED:
        return "bad"
    return "good" if one.change.kind in {Kind.ADDED, Kind.UPDATED, Kind.POLICY_CHANGED} else "attention"


def _why(one: Touched) -> str:
    causes = dict.fromkeys(cause.reason or cause.pointer for cause in one.change.causes)
    return "; ".join([*causes, *([one.why] if one.why else [])])


def _value(settings: Mapping[str, object], name: str) -> str:
    return "not there" if name not in settings else str(settings[name])


def _plain(value: object) -> str:
    """A setting's value as `-c` takes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _kind(type_name: str) -> str:
    """`AWS::RDS::DBInstance` as people say it."""
    return " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+", type_name.rpartition("::")[2]))


def _where(one: Hurdle) -> str:
    return f"{one.stack}/{one.logical_id}" if one.logical_id else one.stack


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
