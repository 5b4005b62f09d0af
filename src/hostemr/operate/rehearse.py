"""What CloudFormation would do with templates, and what of it was really done on this machine.

Creation, update and deletion are told from CloudFormation's rules and resource schemas: no emulator can create most
of these stacks. What an emulator can do is done: custom resources' handlers run, and a stack of which it knows enough
is created, updated and deleted. What was not done is a named gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from hostemr.errors import SettingsError
from hostemr.operate.prices import parameters as declared
from hostemr.operate.rehearsal import emulator
from hostemr.operate.rehearsal.creation import Creation, creation
from hostemr.operate.rehearsal.deletion import KEY_REASON, Deletion, deletion
from hostemr.operate.rehearsal.emulated_stack import StackRun, reason_not_to, run_stack
from hostemr.operate.rehearsal.handlers import HandlerRun, custom_resources, run_handlers
from hostemr.operate.rehearsal.outage import Consequence, Effect, zone_outage
from hostemr.operate.rehearsal.targets import Target
from hostemr.operate.rehearsal.updating import Update, update
from hostemr.operate.template import Template

__all__ = [
    "Consequence",
    "Creation",
    "Deletion",
    "Effect",
    "Rehearsal",
    "Update",
    "creation",
    "deletion",
    "rehearse",
    "update",
    "zone_outage",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What was found; a part that was not asked for, or does not apply, is None or empty."""

    target: Target
    other: Target | None
    creation: Creation | None
    update: Update | None
    deletion: Deletion | None
    handlers: tuple[HandlerRun, ...]
    stacks: tuple[StackRun, ...]
    gaps: tuple[str, ...]
    """What was asked for and not done, and why."""

    @property
    def findings(self) -> tuple[str, ...]:
        """What a person should look at before doing it for real; none means exit status 0."""
        found = []
        if self.update is not None:
            found += [f"update: {one.stack}/{one.change.logical_id} {one.what}" for one in self.update.losing]
            found += [f"update refused: {one.stack}/{one.change.logical_id}" for one in self.update.refused]
            found += [f"update refused: export {one.export} is {one.change}" for one in self.update.conflicts]
        if self.deletion is not None:
            locked = [one for one in self.deletion.stuck if one.reason.startswith(KEY_REASON)]
            found += [f"deletion: {one.stack}/{one.logical_id}: {one.reason}" for one in locked]
        found += [f"handler of {one.logical_id}: {problem}" for one in self.handlers for problem in one.problems]
        found += [f"{one.stack} on the emulator: {problem}" for one in self.stacks for problem in one.problems]
        return tuple(found)

    def as_data(self) -> dict[str, Any]:
        """As JSON's types."""
        parts = {"creation": self.creation, "update": self.update, "deletion": self.deletion}
        return {
            "target": self.target.name,
            "from": self.other.name if self.other else None,
            "protected": None if self.target.protected is None else sorted(self.target.protected),
            **{name: part.as_data() if part is not None else None for name, part in parts.items()},
            "handlers": [one.as_data() for one in self.handlers],
            "emulated": [one.as_data() for one in self.stacks],
            "gaps": list(self.gaps),
            "findings": list(self.findings),
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which parts to rehearse.

    `handlers` None: those of templates that were synthesized just now, for to run a handler is to run the template's
    code on this machine. What an emulator does belongs to the creation.
    """

    create: bool = True
    update: bool = True
    delete: bool = True
    handlers: bool | None = None


def rehearse(
    target: Target,
    other: Target | None,
    wanted: Wanted,
    *,
    region: str = "us-east-1",
    parameters: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
    start: Callable[..., AbstractContextManager[emulator.Emulator]] = emulator.Emulator,
) -> Rehearsal:
    """Rehearse the target, and the update from `other` to it.

    `parameters` are for a stack on the emulator, which `start` starts for a `region`.
    Raises InvalidTemplate for templates that CloudFormation would refuse, SettingsError for a region without prices,
    and for parameters that no template has or that one would refuse.
    """
    before = None if other is None else other.templates
    refused = list(declared.problems([*target.templates.values(), *(before or {}).values()], parameters or {}))
    if refused:
        raise SettingsError(refused, hint="--parameter is for the templates' own parameters")
    gaps: list[str] = []
    if target.protected is None and wanted.delete:
        gaps.append("whether stacks are termination-protected is not in templates; plan.json of a plan tells it")
    created = creation(target.templates, region=region) if wanted.create else None
    updated = update(before, target.templates) if wanted.update and before is not None else None
    deleted = deletion(target.templates, region=region, protected=target.protected or ()) if wanted.delete else None
    handlers: tuple[HandlerRun, ...] = ()
    stacks: tuple[StackRun, ...] = ()
    if wanted.create or wanted.handlers:
        stage = _Stage(target, before or {}, parameters or {}, partial(start, region=region), gaps, progress)
        handlers, stacks = stage.run(wanted)
    return Rehearsal(
        target=target,
        other=other,
        creation=created,
        update=updated,
        deletion=deleted,
        handlers=handlers,
        stacks=stacks,
        gaps=tuple(gaps),
    )


@dataclass(frozen=True, slots=True)
class _Stage:
    """What can be done for real here, on an emulator."""

    target: Target
    before: Mapping[str, Template]
    parameters: Mapping[str, str]
    start: Callable[[], AbstractContextManager[emulator.Emulator]]
    gaps: list[str]
    progress: Callable[[str], None]

    def run(self, wanted: Wanted) -> tuple[tuple[HandlerRun, ...], tuple[StackRun, ...]]:
        custom = bool(custom_resources(self.target.templates)) and self._handlers_wanted(wanted)
        possible = list(self._possible())
        if not possible and not custom:
            return (), ()
        try:
            with self.start() as running:
                handlers = run_handlers(self.target.templates, running, progress=self.progress) if custom else ()
                stacks = tuple(self._stack(name, running) for name in possible)
        except emulator.NotInstalled as missing:
            self.gaps.append(f"nothing ran on an emulator: {missing.message}; {missing.hint}")
            return (), ()
        self.gaps.extend(
            f"the handler of {one.logical_id} did not run: {one.not_run}" for one in handlers if one.not_run
        )
        self.gaps.extend(
            f"the handler of {one.logical_id} was not seen through: the emulator does not know {', '.join(one.gaps)}"
            for one in handlers
            if one.gaps
        )
        self.gaps.extend(f"{one.stack} was not created anywhere: {one.not_run}" for one in stacks if one.not_run)
        return handlers, stacks

    def _handlers_wanted(self, wanted: Wanted) -> bool:
        run = self.target.ours if wanted.handlers is None else wanted.handlers
        if not run:
            count = len(custom_resources(self.target.templates))
            why = "it was asked for" if wanted.handlers is False else "--handlers would run the templates' code here"
            self.gaps.append(f"the handlers of custom resources ({count}) did not run: {why}")
        return run

    def _possible(self) -> Iterator[str]:
        for name, template in self.target.templates.items():
            reason = reason_not_to(template)
            if reason:
                self.gaps.append(f"{name} was not created anywhere: {reason}")
            else:
                yield name

    def _stack(self, name: str, running: emulator.Emulator) -> StackRun:
        running.reset()
        alone = next(iter(self.before.values())) if len(self.before) == 1 else None
        return run_stack(
            name,
            self.target.templates[name],
            running,
            before=self.before.get(name, alone),
            given=self.parameters,
            progress=self.progress,
        )
