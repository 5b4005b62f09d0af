"""What an operator would get: templates, written and summed up, without an AWS account.

A plan's folder is `<out>/<deployment>/`: a `<stack>.template.json` for each stack, and `plan.json`, which says what
the templates were made from. `operate.report` adds what is told from the templates: price, findings, picture, report.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hostemr.deployment.express_plus_rows import EXPRESS_PLUS
from hostemr.deployment.load import as_context, load_any
from hostemr.deployment.sizes import DEFAULT_SIZE, SIZES
from hostemr.deployment.table import has_sizes
from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.operate.assembly import NagRow, read_assembly
from hostemr.operate.synthesis import Job, synthesize
from hostemr.operate.template import Template, load_template

PLAN_FILE = "plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStack:
    """One stack of a plan."""

    name: str
    template: Path
    resources: Mapping[str, int]
    """How many of each resource type."""
    retained: tuple[str, ...]
    """Logical ids of what outlives the stack."""
    protected: bool
    """Whether the stack surely refuses to be deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The same deployment in another size: its templates, or why it cannot be made with the given settings."""

    size: str
    templates: Mapping[str, Template]
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A deployment's templates, and what synthesis had to say about them."""

    deployment: str
    stacks: tuple[PlannedStack, ...]
    warnings: tuple[str, ...]
    findings: tuple[str, ...]
    """Of cdk-nag, each with the resource it concerns. Empty when the deployment may be made."""
    nag: tuple[NagRow, ...]
    """All that cdk-nag found, accepted or not."""
    settings: Mapping[str, object]
    """The settings in force under their names in cdk.json."""
    variants: tuple[Variant, ...] = field(default=(), repr=False)

    @property
    def acknowledged(self) -> Mapping[str, int]:
        """How often each rule's finding is accepted with evidence."""
        return dict(sorted(Counter(row.rule for row in self.nag if row.accepted is not None).items()))

    @property
    def templates(self) -> dict[str, Template]:
        """The templates by the names of their stacks, read from their files each time."""
        return {stack.name: load_template(stack.template) for stack in self.stacks}

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON's types."""
        return {
            "deployment": self.deployment,
            "stacks": [
                {
                    "name": stack.name,
                    "template": str(stack.template),
                    "resources": dict(stack.resources),
                    "retained": list(stack.retained),
                    "protected": stack.protected,
                }
                for stack in self.stacks
            ],
            "warnings": list(self.warnings),
            "findings": list(self.findings),
            "acknowledged": dict(self.acknowledged),
            "settings": dict(self.settings),
            "nag": [asdict(row) for row in self.nag],
        }


def plan(deployment: str, context: Mapping[str, object], out: Path) -> Plan:
    """Synthesize one deployment; see `plans`."""
    return plans({deployment: context}, out)[0]


def plans(
    contexts: Mapping[str, Mapping[str, object]],
    out: Path,
    *,
    sizes: bool = False,
    progress: Callable[[str], None] = lambda _: None,
    ready: Callable[[Plan], None] = lambda _: None,
) -> list[Plan]:
    """Synthesize deployments, and write their templates to `<out>/<deployment>/<stack>.template.json`.

    What an earlier plan wrote there is replaced. With `sizes`, the other sizes are synthesized too and kept in memory.
    `progress` hears a line for each step; `ready` gets each plan, still without its other sizes, as soon as its files
    are written. Raises SettingsError with every wrong setting, OutsideWorldError when
    synthesis or writing fails.
    """
    settings = _settings(contexts)
    with tempfile.TemporaryDirectory(prefix="hostemr-plan-") as folder:
        jobs = [Job(name, context, Path(folder) / name) for name, context in contexts.items()]
        titles = [f"synthesized {name}" for name in contexts]
        refused: dict[tuple[str, str], str] = {}
        for name, context in contexts.items() if sizes else ():
            for size in _other_sizes(name, settings[name]):
                try:
                    load_any(name, {**context, "size": size})
                except SettingsError as error:
                    refused[name, size] = error.problems[0]
                    continue
                jobs.append(Job(name, {**context, "size": size}, Path(folder) / f"{name}-{size}"))
                titles.append(f"synthesized {name} as {size}, to compare")
        kept: dict[str, Plan] = {}

        def finished(number: int) -> None:
            progress(f"{number + 1}/{len(jobs)} {titles[number]}")
            if number < len(contexts):
                name = jobs[number].deployment
                kept[name] = _keep(name, settings[name], jobs[number].assembly, out / name)
                ready(kept[name])

        synthesize(jobs, finished)
        made = []
        for name in contexts:
            variants = (
                _variant(size, Path(folder) / f"{name}-{size}", refused.get((name, size), ""))
                for size in (_other_sizes(name, settings[name]) if sizes else ())
            )
            made.append(replace(kept[name], variants=tuple(variants)))
        return made


def read_plan(folder: Path) -> Plan:
    """The plan that an earlier `plan` wrote to a folder, such as `build/plan/openemr`.

    Raises SettingsError where there is none, or where it is not whole.
    """
    try:
        record = json.loads((folder / PLAN_FILE).read_text(encoding="utf-8"))
        return Plan(
            deployment=record["deployment"],
            # Wherever the folder has been moved to.
            stacks=tuple(
                PlannedStack(**{**stack, "template": folder / Path(stack["template"]).name})
                for stack in record["stacks"]
            ),
            warnings=tuple(record["warnings"]),
            findings=tuple(record["findings"]),
            nag=tuple(NagRow(**row) for row in record["nag"]),
            settings=record["settings"],
        )
    except OSError as error:
        message = f"{folder} holds no plan: {PLAN_FILE} cannot be read: {error.strerror or error}"
        raise SettingsError([message], hint="name the folder of one deployment, such as build/plan/openemr") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError([f"{folder / PLAN_FILE} is no plan that can be read"], hint="plan it again") from error


def _settings(contexts: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    found, problems, hint = {}, [], ""
    for name, context in contexts.items():
        try:
            found[name] = as_context(load_any(name, context))
        except SettingsError as error:
            problems += [f"{name}: {problem}" if len(contexts) > 1 else problem for problem in error.problems]
            hint = hint or error.hint
    if problems:
        raise SettingsError(problems, hint=hint)
    return found


def _other_sizes(deployment: str, settings: Mapping[str, object]) -> list[str]:
    if not has_sizes(deployment):
        return []
    return [size for size in SIZES if size != settings.get("size", DEFAULT_SIZE)]


def _variant(size: str, assembly: Path, refused: str) -> Variant:
    if refused:
        return Variant(size=size, templates={}, refused=refused)
    stacks = read_assembly(assembly).stacks
    return Variant(size=size, templates={stack.name: load_template(stack.template) for stack in stacks})


def _keep(deployment: str, settings: Mapping[str, object], folder: Path, out: Path) -> Plan:
    try:
        return _copied(deployment, settings, folder, out)
    except OSError as error:
        message = f"The plan cannot be written to {out}: {error.strerror or error}."
        raise OutsideWorldError(message, hint="choose another folder with --out") from error


def _copied(deployment: str, settings: Mapping[str, object], folder: Path, out: Path) -> Plan:
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.template.json"):
        old.unlink()
    assembly = read_assembly(folder)
    stacks = []
    for stack in assembly.stacks:
        target = out / f"{stack.name}.template.json"
        shutil.copyfile(stack.template, target)
        resources = json.loads(target.read_text(encoding="utf-8"))["Resources"]
        stacks.append(
            PlannedStack(
                name=stack.name,
                template=target,
                resources=dict(sorted(Counter(resource["Type"] for resource in resources.values()).items())),
                retained=tuple(
                    key for key, one in resources.items() if str(one.get("DeletionPolicy")).startswith("Retain")
                ),
                # Its template is launched from the console, where whoever launches it decides that.
                protected=stack.protected and deployment != EXPRESS_PLUS,
            )
        )
    made = Plan(
        deployment=deployment,
        stacks=tuple(stacks),
        warnings=assembly.warnings,
        findings=assembly.errors,
        nag=assembly.nag,
        settings=settings,
    )
    written = json.dumps(made.as_json(), indent=2, ensure_ascii=False)
    (out / PLAN_FILE).write_text(written + "\n", encoding="utf-8")
    return made
