"""The verb `hostemr check`: what is wrong with templates, as text, JSON or SARIF."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import click

from hostemr.deployment.outputs import registration_stack_names
from hostemr.errors import EXIT_STATUSES, FindingsError, OutsideWorldError, SettingsError
from hostemr.operate.check import Findings, as_data, check
from hostemr.operate.checks import hipaa as table
from hostemr.operate.checks.record import SEVERITIES, Severity
from hostemr.operate.checks.registry import BY_ID, CHECKS
from hostemr.operate.sarif import as_sarif
from hostemr.operate.template import InvalidTemplate, Template, load_template, template_files

_OURS = "HOSTEMR-"
_PACKS = ("AwsSolutions-", "HIPAA.Security-")
"""How the ids of the packs of cdk-nag begin that we run."""
_COLOURS = {"error": "red", "warning": "yellow", "note": "blue"}


@click.command("check", epilog=EXIT_STATUSES)
@click.argument("templates", metavar="TEMPLATE...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--region", default="us-east-1", show_default=True, help="Where they are to be deployed.")
@click.option("--format", "form", type=click.Choice(["text", "json", "sarif"]), default="text", help="How to say it.")
@click.option("--json", "as_json", is_flag=True, help="Short for --format json; errors are JSON too.")
@click.option("--only", metavar="ID", multiple=True, help="Only these; HOSTEMR-* is all that begin so.")
@click.option("--skip", metavar="ID", multiple=True, help="Not these.")
@click.option("--no-nag", is_flag=True, help="Without cdk-nag.")
@click.option("--no-lint", is_flag=True, help="Without cfn-lint.")
@click.option("--accepted", is_flag=True, help="Show those that were accepted, with the reasons.")
@click.option("--hipaa", is_flag=True, help="The table of 45 CFR 164.308 and 164.312 instead.")
@click.option("--list", "listed", is_flag=True, help="List the checks of our own, and stop.")
@click.option("--fail-on", type=click.Choice(SEVERITIES), default="warning", show_default=True, help="What exits 1.")
@click.option("--out", type=click.Path(path_type=Path), help="Write there instead of on stdout.")
def check_command(
    templates: tuple[Path, ...],
    *,
    region: str,
    form: str,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    fail_on: Severity,
    out: Path | None,
    as_json: bool,
    no_nag: bool,
    no_lint: bool,
    accepted: bool,
    hipaa: bool,
    listed: bool,
) -> None:
    """Find what is wrong with CloudFormation templates, ours or anyone's. Needs no AWS account.

    TEMPLATE is a file in JSON or YAML, or a folder with *.template.json files as `hostemr plan` writes them. All are
    taken for one deployment: exports and imports are followed. cfn-lint, cdk-nag and checks of our own look at them.

    \b
    Examples:
      hostemr check build/plan/openemr
      hostemr check --accepted --no-lint build/plan/openemr
      hostemr check --format sarif --out check.sarif template.yaml
      hostemr check --hipaa build/plan/openemr
    """  # noqa: D301, click reads a real \b
    if listed:
        _say(_list(as_json=as_json or form == "json"), out)
        return
    wrong = [*_clashing(form, as_json=as_json, hipaa=hipaa), *_no_such_region(region)]
    loaded, texts, files = _read(templates, [*only, *skip], wrong)
    if hipaa:
        controls = table.hipaa(loaded, region=region)
        data: Any = table.as_data(controls)
        _say(json.dumps(data, indent=2) if as_json or form == "json" else "\n".join(table.as_text(controls)), out)
        if _of_registration(loaded):
            click.echo("note: the registration service holds no patients' data; the rule asks nothing of it.", err=True)
        return
    found = check(
        loaded,
        region=region,
        nag=not no_nag,
        linted=not no_lint,
        only=only,
        skip=skip,
        texts=texts,
        files=files,
    )
    if as_json or form == "json":
        _say(json.dumps(as_data(found), indent=2, ensure_ascii=False), out)
    elif form == "sarif":
        _say(json.dumps(as_sarif(found), indent=2, ensure_ascii=False), out)
    else:
        _say("\n".join(_as_text(found, accepted=accepted)), out)
    if only and not found.findings:
        click.echo(f"--only {', '.join(only)} let nothing through: nothing was found under these ids", err=True)
    for gap in found.gaps:
        click.echo(f"warning: {gap}", err=True)
    bad = found.at_least(fail_on)
    if bad:
        raise FindingsError(
            f"{_count(len(bad), 'finding')} {'is' if len(bad) == 1 else 'are'} open.",
            hint="hostemr check --list tells what the checks want",
        )


def _of_registration(names: Iterable[str]) -> bool:
    """Whether templates, by the names of their stacks or files, are the registration service's."""
    stacks = [Path(name).name.removesuffix(".template.json") for name in names]
    return bool(stacks) and all(stack.startswith(registration_stack_names()) for stack in stacks)


def _clashing(form: str, *, as_json: bool, hipaa: bool) -> Iterator[str]:
    if as_json and form == "sarif":
        yield "--json and --format sarif are two forms; give one of them"
    if hipaa and form == "sarif":
        yield "--hipaa is a table, which SARIF has no place for; leave out --format sarif, or give --json"


def _no_such_region(region: str) -> Iterator[str]:
    from cfnlint.helpers import REGIONS

    if region not in REGIONS:
        near = get_close_matches(region, REGIONS, n=1, cutoff=0.0)
        yield f"--region is {region!r}, which cfn-lint does not know; the nearest is {near[0]}"


def _read(
    paths: Iterable[Path], identities: Iterable[str], wrong: Iterable[str]
) -> tuple[dict[str, Template], dict[str, str], dict[str, str]]:
    """The templates by stack name, their texts and their files. Raises SettingsError with every problem."""
    problems = [*wrong, *(f"TEMPLATE: {problem}" for problem in _none_given(paths))]
    for identity in identities:
        if not _known(identity) and not _foreign(identity):
            # The beginning that all share would make all of them near.
            wanted = identity.upper().removeprefix(_OURS).rstrip("*").lower()
            own = {one.removeprefix(_OURS).lower(): one for one in BY_ID}
            near = [own[one] for one in get_close_matches(wanted, own, n=1, cutoff=0.0)]
            problems.append(f"there is no check {identity}; the nearest is {near[0]}")
    loaded: dict[str, Template] = {}
    texts: dict[str, str] = {}
    files: dict[str, str] = {}
    for path in template_files(paths, problems):
        try:
            template = load_template(path)
        except InvalidTemplate as error:
            problems += error.problems
            continue
        name = path.name.removesuffix(path.suffix).removesuffix(".template")
        name = str(path) if name in loaded else name
        loaded[name], texts[name], files[name] = template, path.read_text(encoding="utf-8"), str(path)
    if problems:
        raise SettingsError(problems, hint="hostemr check --help")
    return loaded, texts, files


def _none_given(paths: Iterable[Path]) -> Iterator[str]:
    if not list(paths):
        yield "none is given; expected files or folders of templates"


def _known(identity: str) -> bool:
    known = [one.lower() for one in BY_ID]
    wanted = identity.lower()
    return wanted in known or (wanted.endswith("*") and any(one.startswith(wanted[:-1]) for one in known))


def _foreign(identity: str) -> bool:
    """Whether it is shaped as cfn-lint's ids or cdk-nag's are, or as the beginning of some; their lists are theirs."""
    wanted, star = (identity.removesuffix("*").lower(), "*") if identity.endswith("*") else (identity.lower(), "")
    if re.fullmatch(r"[ewi]\d{0,4}" if star else r"[ewi]\d{4}", wanted):
        return True
    packs = [one.lower() for one in _PACKS]
    if star:
        return any(one.startswith(wanted) or wanted.startswith(one) for one in packs)
    return any(wanted.startswith(one) and wanted != one for one in packs)


def _as_text(found: Findings, *, accepted: bool) -> Iterator[str]:
    for severity in SEVERITIES:
        here = [one for one in found.open if one.severity == severity]
        if here:
            yield click.style(f"{severity}: {len(here)}", fg=_COLOURS[severity], bold=True)
        last = ("", "")
        for one in here:
            if (one.id, one.title) != last:
                yield f"  {one.id}  {one.title}"
                if one.tool == "hostemr":
                    yield f"    {one.reason}"
                last = (one.id, one.title)
            where = f"{one.file or one.template}{f':{one.line}' if one.line else ''} {one.logical_id}"
            told = "" if one.problem == one.title else f": {one.problem}"
            yield f"    - {where}{f' [{one.place}]' if one.place else ''}{told}"
            if one.change:
                yield f"      → {one.change}"
    if accepted:
        for one in found.accepted:
            yield f"accepted  {one.template} {one.logical_id}: {one.id}{f' [{one.place}]' if one.place else ''}"
            yield f"    {one.accepted}"
    counts = ", ".join(_count(sum(one.severity == name for one in found.open), name) for name in get_args(Severity))
    yield f"{counts}; {len(found.accepted)} accepted with a reason"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _list(*, as_json: bool) -> str:
    if as_json:
        fields = ("id", "severity", "title", "reason", "source")
        return json.dumps([{name: getattr(one, name) for name in fields} for one in CHECKS], indent=2)
    width = max(len(one.id) for one in CHECKS)
    return "\n".join(f"{one.id.ljust(width)}  {one.severity.ljust(7)}  {one.title}" for one in CHECKS)


def _say(text: str, out: Path | None) -> None:
    """On stdout, or into a file: without colours there, nor where NO_COLOR asks for none (click does)."""
    if out is None:
        click.echo(text)
        return
    try:
        out.write_text(click.unstyle(text) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutsideWorldError(f"{out} cannot be written: {error.strerror}.", hint="name another --out") from error
