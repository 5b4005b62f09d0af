"""What a rehearsal is about: a deployment by name, a plan's folder, or template files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hostemr.deployment.load import DEPLOYMENTS
from hostemr.errors import SettingsError
from hostemr.operate.plan import PLAN_FILE, plan, read_plan
from hostemr.operate.template import InvalidTemplate, Template, load_template

_SUFFIX = ".template.json"


@dataclass(frozen=True, slots=True)
class Target:
    """Templates by the names of their stacks. `protected` is None where nobody told whether a stack refuses deletion.

    `ours` says that the templates were synthesized just now, so that their code is known.
    """

    name: str
    templates: Mapping[str, Template]
    protected: frozenset[str] | None
    ours: bool


def read_target(
    given: Sequence[str],
    context: Mapping[str, object],
    out: Path,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Target:
    """The target that arguments name. `context` are settings for a deployment's name, which is synthesized into `out`.

    Raises SettingsError with all that is wrong: nothing of that name, files that are no templates, settings for files.
    """
    if len(given) == 1 and given[0] in DEPLOYMENTS:
        progress(f"synthesizing {given[0]} …")
        made = plan(given[0], context, out)
        protected = frozenset(stack.name for stack in made.stacks if stack.protected)
        return Target(given[0], made.templates, protected, ours=True)
    problems = ["--set and --size are for a deployment's name"] if context else []
    if len(given) == 1 and (Path(given[0]) / PLAN_FILE).is_file() and not problems:
        known = read_plan(Path(given[0]))
        protected = frozenset(stack.name for stack in known.stacks if stack.protected)
        return Target(str(given[0]), known.templates, protected, ours=False)
    templates: dict[str, Template] = {}
    for text in given:
        if text in DEPLOYMENTS and not Path(text).exists():
            problems.append(f"{text}: a deployment's name stands alone; rehearse the files in a call of their own")
            continue
        for path in _files(Path(text), problems):
            name = path.name.removesuffix(_SUFFIX) if path.name.endswith(_SUFFIX) else path.stem
            if name in templates:
                problems.append(f"{path}: another template is called {name} too; their stacks would be one")
            try:
                templates[name] = load_template(path)
            except InvalidTemplate as error:
                problems += error.problems
    if problems:
        raise SettingsError(problems, hint=f"give {', '.join(DEPLOYMENTS)}, a plan's folder, or template files")
    return Target(" ".join(given), templates, None, ours=False)


def _files(path: Path, problems: list[str]) -> list[Path]:
    if path.is_dir():
        found = sorted(path.glob(f"*{_SUFFIX}"))
        if not found:
            problems.append(f"{path} has no *{_SUFFIX}")
        return found
    if not path.exists():
        problems.append(f"{path} is no deployment, no folder and no file")
        return []
    return [path]
