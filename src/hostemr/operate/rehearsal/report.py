"""A rehearsal as text: first what matters in a few lines, then the details. A line that begins with `!` is loud."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from hostemr.operate.rehearsal.creation import Creation, Seconds, StackCreation
from hostemr.operate.rehearsal.deletion import Deletion
from hostemr.operate.rehearsal.emulated_stack import StackRun
from hostemr.operate.rehearsal.handlers import HandlerRun
from hostemr.operate.rehearsal.interruptions import Interruption
from hostemr.operate.rehearsal.updating import Update
from hostemr.operate.rehearse import Rehearsal

_LOUD = "!"
_MINUTE = 60
_HOUR = 3600


def as_text(rehearsal: Rehearsal) -> Iterator[str]:
    """The lines."""
    yield f"{rehearsal.target.name}: what would happen"
    yield ""
    yield from _summary(rehearsal)
    if rehearsal.creation:
        yield from _creation(rehearsal.creation)
    if rehearsal.update:
        yield from _update(rehearsal.update)
    if rehearsal.deletion:
        yield from _deletion(rehearsal.deletion)
    yield from _handlers(rehearsal.handlers)
    yield from _stacks(rehearsal.stacks)
    if rehearsal.gaps:
        yield ""
        yield "Not done"
        yield from (f"  {gap}" for gap in rehearsal.gaps)


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 2 * _MINUTE:
        return f"{round(seconds)} s"
    if seconds < 2 * _HOUR:
        return f"{round(seconds / _MINUTE)} min"
    return f"{seconds / _HOUR:.1f} h"


def _between(seconds: Seconds) -> str:
    return f"about {duration(seconds.typical)} ({duration(seconds.low)} to {duration(seconds.high)})"


def _summary(rehearsal: Rehearsal) -> Iterator[str]:
    if rehearsal.creation:
        stacks = rehearsal.creation.stacks
        count = sum(len(one.steps) for one in stacks.values())
        yield f"  create    {_between(rehearsal.creation.seconds)}: {count} resources in {_stacks_text(len(stacks))}"
    if rehearsal.update:
        yield from _update_summary(rehearsal.update)
    if rehearsal.deletion:
        yield from _deletion_summary(rehearsal.deletion)
    if rehearsal.handlers:
        ran = [one for one in rehearsal.handlers if not one.not_run]
        wrong = sum(len(one.problems) for one in ran)
        mark = f"{_LOUD} handlers" if wrong else "  handlers"
        whole = sum(not one.gaps for one in ran)
        yield f"{mark}  {whole} of {len(rehearsal.handlers)} ran through all their events; problems: {wrong}"
    for one in rehearsal.stacks:
        mark = f"{_LOUD} emulated" if one.problems else "  emulated"
        said = ", ".join(f"{phase.name} {phase.status}" for phase in one.phases) or f"not run: {one.not_run}"
        yield f"{mark}  {one.stack}: {said}"


def _update_summary(update: Update) -> Iterator[str]:
    kinds = Counter(one.change.kind.value for one in update.touched)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()) or "nothing changes"
    yield f"  update    {counts}"
    if update.losing:
        yield f"{_LOUD} update    DATA, or its protection, would go at {len(update.losing)} resources"
    else:
        yield "            no data would go"
    if update.refused or update.conflicts:
        yield f"{_LOUD} update    refused, at {len(update.refused)} resources and {len(update.conflicts)} exports"


def _deletion_summary(deletion: Deletion) -> Iterator[str]:
    kept = f"{len(deletion.retained)} stay and cost about ${deletion.monthly:.2f} a month"
    yield f"  delete    {deletion.deleted} resources go, {kept}"
    if deletion.refused:
        names = "; ".join(_where(one.stack, one.logical_id) for one in deletion.refused)
        yield f"            refused at first: {names}"
    lost = [one for one in deletion.losses if one.grave]
    if lost:
        yield f"{_LOUD} delete    gone for good: {'; '.join(f'{one.holds} ({one.logical_id})' for one in lost)}"
    if deletion.stuck:
        names = "; ".join(_where(one.stack, one.logical_id) for one in deletion.stuck)
        yield f"{_LOUD} delete    may be left half-deleted at {names}"


def _creation(creation: Creation) -> Iterator[str]:
    yield ""
    yield "Before you create"
    listed = [one for one in creation.prerequisites if one.kind != "role"]
    width = min(max((len(one.what) for one in listed), default=0), 60)
    yield from (f"  {one.what.ljust(width)}  {one.why}" for one in listed)
    roles = [one for one in creation.prerequisites if one.kind == "role"]
    if roles:
        yield f"  {', '.join(one.name for one in roles)}: service-linked roles."
        yield f"      {roles[0].why[:1].upper()}{roles[0].why[1:]}"
    if not creation.prerequisites:
        yield "  nothing"
    for wave in creation.order:
        for name in wave:
            yield ""
            yield f"Create {name}: {_between(creation.stacks[name].seconds)}"
            yield from _path(creation.stacks[name])
    guessed = sorted(creation.guessed)
    if guessed:
        yield ""
        yield f"  Times are estimates. From memory, not from a published figure: {', '.join(guessed)}"


def _path(stack: StackCreation) -> Iterator[str]:
    yield f"  {len(stack.steps)} resources in {len(stack.waves)} waves; what decides how long it takes:"
    for step in stack.critical_path:
        bound = f", at most {duration(step.duration.high)}" if step.duration.basis == "the template" else ""
        length = f"{duration(step.end - step.start)}{bound}"
        yield f"  {duration(step.start).rjust(8)}  {step.logical_id}  {step.type_name}  {length}"


def _update(update: Update) -> Iterator[str]:
    yield ""
    yield "Update"
    yield f"  order: {' → '.join(', '.join(wave) for wave in update.order)}"
    yield from (f"  {name} is created as a whole" for name in update.created)
    yield from (f"  {name} is left out: delete it yourself" for name in update.deleted)
    for one in update.losing:
        yield f"{_LOUD} {one.stack}/{one.change.logical_id} ({one.holds}): {one.what}"
        yield from (f"      {line}" for line in one.change.weakened)
        yield from _causes(one.change.causes)
    for one in update.refused:
        if not one.losing:
            yield f"{_LOUD} {one.stack}/{one.change.logical_id}: refused"
            yield from _causes(one.change.causes)
    for conflict in update.conflicts:
        remedy = f"update {conflict.importer} first" if conflict.freed else f"{conflict.importer} still needs it"
        yield f"{_LOUD} export {conflict.export} of {conflict.exporter} is {conflict.change}; {remedy}"
    for one in update.touched:
        if one.losing or one in update.refused:
            continue
        told = " (whether it interrupts is not known)" if one.interruption is Interruption.UNKNOWN else ""
        yield f"  {one.stack}/{one.change.logical_id}  {one.change.type_name}  {one.what}{told}"


def _causes(causes: tuple[object, ...]) -> Iterator[str]:
    for cause in causes:
        pointer, reason = getattr(cause, "pointer", ""), getattr(cause, "reason", "")
        yield f"      {pointer}: {reason}" if reason else f"      {pointer}"


def _deletion(deletion: Deletion) -> Iterator[str]:
    yield ""
    yield f"Delete: {' → '.join(', '.join(wave) for wave in deletion.order)}"
    for one in deletion.refused:
        yield f"  refused: {_where(one.stack, one.logical_id)}: {one.reason}; {one.remedy}"
    for one in deletion.stuck:
        yield f"{_LOUD} stuck: {_where(one.stack, one.logical_id)} ({one.type_name}): {one.reason}; {one.remedy}"
    for loss in deletion.losses:
        what = "a snapshot of it is kept" if loss.snapshot else "gone for good"
        mark = _LOUD if loss.grave else " "
        yield f"{mark} {_where(loss.stack, loss.logical_id)} ({loss.holds}): {what}"
    costly = [one for one in deletion.retained if one.monthly > Decimal(0)]
    holding = [one for one in deletion.retained if one.holds]
    yield f"  {len(deletion.retained)} resources stay, {len(holding)} of them hold data:"
    for kept in sorted({*costly, *holding}, key=lambda one: (-one.monthly, one.logical_id)):
        holds = f"  ({kept.holds})" if kept.holds else ""
        yield f"  {f'${kept.monthly:.2f}'.rjust(9)}  {_where(kept.stack, kept.logical_id)}{holds}"
        yield from (f"             not priced: {reason}" for reason in kept.not_priced)
    total = f"${deletion.monthly:.2f}".rjust(9)
    yield f"  {total}  a month in all, with use as `hostemr price` assumes it; unused it is less"


def _handlers(handlers: tuple[HandlerRun, ...]) -> Iterator[str]:
    for run in handlers:
        yield ""
        yield f"Handler of {run.stack}/{run.logical_id} ({run.type_name}, function {run.function or 'unknown'})"
        if run.not_run:
            yield f"  not run: {run.not_run}"
        for call in run.calls:
            said = call.status or "no answer"
            played = f", {duration(call.seconds_played)} of waiting played" if call.seconds_played else ""
            if call.gaps:
                said = f"not known: the emulator lacks {', '.join(call.gaps)}"
            yield f"  {call.request}: {said}{played}"
            if call.reason and not call.gaps:
                yield f"      {call.reason}"
            if not call.gaps:
                yield from (f"{_LOUD}     {problem}" for problem in call.problems)
        yield from (f"  but {caveat}" for caveat in run.caveats)


def _stacks(stacks: tuple[StackRun, ...]) -> Iterator[str]:
    for run in stacks:
        if run.not_run:
            continue
        yield ""
        yield f"{run.stack}, really done on the emulator"
        for phase in run.phases:
            yield f"  {phase.name}: {phase.status}, {phase.resources} resources there"
            yield from (f"{_LOUD}     {problem}" for problem in phase.problems)
        if run.kept:
            yield f"  still there after the deletion: {', '.join(run.kept)}"
        if run.passed_over:
            yield f"  passed over, the emulator does not know them: {', '.join(run.passed_over)}"
        yield from (f"  fitted for the emulator: {line}" for line in run.fitted)


def _where(stack: str, logical_id: str) -> str:
    return f"{stack}/{logical_id}" if logical_id else f"the stack {stack}"


def _stacks_text(count: int) -> str:
    return "1 stack" if count == 1 else f"{count} stacks"
