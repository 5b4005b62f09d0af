"""Makes docs/reference from the code; with `--check`, says what is out of date instead, and exits with 1."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click

from hostemr.cli import cli
from hostemr.deployment.reference import settings_markdown as deployment_markdown
from hostemr.operate.checks.reference import reference as checks_markdown
from hostemr.operate.prices.reference import reference as prices_markdown
from hostemr.registration.reference import metrics_markdown, settings_markdown

REFERENCE = Path(__file__).parent / "reference"
HOST = Path(__file__).parent.parent / "src/hostemr/host"


def _commands(command: click.Command, path: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    context = click.Context(command, info_name=path.rpartition(" ")[2], parent=parent, terminal_width=100)
    yield path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            verb = command.get_command(context, name)
            if verb is not None:
                yield from _commands(verb, f"{path} {name}", context)


def cli_markdown() -> str:
    """docs/reference/cli.md: the help of every verb."""
    parts = ["# The command line", "", "Made by `make docs` from each verb's `--help`."]
    for path, text in _commands(cli, "hostemr"):
        parts += ["", f"## {path}", "", "```text", text.replace("\b\n", ""), "```"]
    return "\n".join(parts) + "\n"


HOST_FINDINGS = {
    "backup": "it is stored, and something may be lost since the one before",
    "drill": "the newest backup cannot be restored",
    "status": "there is something to look at",
    **dict.fromkeys(("restore", "undelete", "discard"), "`--confirm` was not given; nothing was done"),
}
"""What exit status 1 means where it is no failed check."""
HOST_METRICS = {
    "BackupAgeHours": "hours since the newest backup was taken; before the first one, since the set-up",
    "BackupFailures": "1 when a backup failed or may hold a loss, 0 when one was stored",
    "DrillAgeDays": "days since the last good drill, or since the set-up before any; 999 from a failed one on",
    "DiskUsedPercent": "how full the data volume is",
    "Unhealthy": "0 when the web server answers and all three containers are well, 1 otherwise",
}
HOST_RECORDS = {
    "backup": "the last backup that was stored: its point, figures, and every table's rows",
    "backup-failure": "why the last backup failed; gone after one that did not",
    "backup-running": "since when a backup runs",
    "drill": "the last drill, and the last point that was proven to restore",
    "installation": "which generation OpenEMR is installed in, and whether that ended",
    "measure": "the last backup that had nothing suspicious about it, with which the next is compared",
    "previous": "since when a generation is no longer served",
    "restore": "a restore's journal: from which generation to which, and whether it ended",
    "restored-since-backup": "the next backup may hold less than the one before",
    "served-by": "which images served the present data: an older one is refused",
    "setup": "the first and the last set-up",
}
HOST_FOLDERS = {"logs": "What ends in `.log` here is rotated each week and kept for half a year."}
HOST_FILES = {
    "host.json": "what the stack told this server; made by the launch, not by set-up",
    "compose.yaml": "the containers: `mysql`, `openemr`, `web`",
    "Caddyfile": "the web server: TLS, certificates, what reaches OpenEMR",
    "hostemr-host": "the agent",
    "restore.sh": "the seed's name for a restore: warns, then hands everything to `hostemr-host restore`",
    "duplicity-backups": "the daily backup, whichever engine makes it",
    "openemr-restore-drill": "the weekly drill",
    "openemr-watch": "the metrics, every five minutes",
    "openemr.service": "runs `hostemr-host setup` at each start, and ends the containers before the machine stops",
    "openemr": "rotation of the data volume's logs",
    "90openemr-updates": "Ubuntu's security updates, and when a restart that they need may happen",
    "daemon.json": "Docker: logs that stay small, containers that survive its updates",
    "install.sh": "the first installation, inside OpenEMR's container",
    "serve.sh": "every start after it",
    "zz-hostemr.conf": "Apache behind the web server, without addresses' query strings in its log",
}


def _complete(meanings: dict[str, str], found: set[str], what: str) -> dict[str, str]:
    """The meanings, in their order. Raises ClickException where the code and they do not name the same."""
    if difference := found ^ meanings.keys():
        raise click.ClickException(f"docs/generate.py and src/hostemr/host differ in {what}: {sorted(difference)}")
    return meanings


def _table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> list[str]:
    cells = [heads, ("---",) * len(heads), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells]


def _options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, ...]]:
    for action in parser._actions:  # noqa: SLF001, argparse tells of its options only so
        if action.option_strings and action.dest != "help":
            value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
            needed = "; needed" if action.required else ""
            text = (action.help or "") % {"default": action.default}
            yield f"`{f'{action.option_strings[-1]} {value}'.strip()}`", f"{text}{needed}"


def host_markdown() -> str:
    """docs/reference/host.md: the agent's verbs, metrics, state and files."""
    # Only now: the CDK takes a second or two to come.
    from hostemr.errors import EXIT_STATUSES
    from hostemr.host.command_line import _parser
    from hostemr.host.compose import COMPOSE, FOLDER
    from hostemr.host.configuration import DEFAULT_PATH
    from hostemr.host.installation import RECORD
    from hostemr.host.layout import PARTS, Layout
    from hostemr.host.units import system_files
    from hostemr.stacks.express_plus_alarms import WATCHES

    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted(HOST.rglob("*.py")))
    parser = _parser()
    verbs = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001
    summaries = {action.dest: action.help or "" for action in verbs._choices_actions}  # noqa: SLF001
    parts = ["# The agent of an Express Plus server", "", "Made by `make docs` from the code. The guide is"]
    parts += ["[Express Plus](../070_express_plus.md).", ""]
    parts += ["`hostemr-host VERB`, as root on the server. Answers go to stdout, talk to stderr; an error is one line"]
    parts += ["with a hint. Before the verb there may stand:", ""]
    parts += _table(("Option", "Meaning"), _options(parser))
    parts += ["", "Exit statuses of every verb:", "", "```text"]
    parts += [line for line in EXIT_STATUSES.splitlines() if line.startswith("  ")]
    parts += ["```"]
    for name, verb in verbs.choices.items():
        parts += ["", f"## {name}", "", summaries[name]]
        if name in HOST_FINDINGS:
            parts += ["", f"Exit status 1 also when {HOST_FINDINGS[name]}."]
        parts += ["", *_table(("Option", "Meaning"), _options(verb))]

    found = set(re.findall(r'"([A-Z][A-Za-z]+)"(?:\] =|:) \(', source))
    parts += ["", "## Metrics", "", "In CloudWatch's namespace `hostemr/ExpressPlus`; the dimension `Server` is the"]
    parts += ["stack's name.", ""]
    meanings = _complete(HOST_METRICS, found, "metrics")
    parts += _table(("Metric", "Meaning"), ((f"`{name}`", text) for name, text in meanings.items()))
    parts += ["", "## Alarms", "", "Each also tells when it is over. Silence: what counts where no figure comes.", ""]
    parts += _table(
        ("Alarm", "When", "Meaning", "Silence"),
        (
            (
                f"`{one.name}`",
                f"`{one.metric}` above {one.threshold} for {one.periods * one.minutes} minutes",
                one.meaning,
                "an alarm" if one.when_silent == "breaching" else "changes nothing",
            )
            for one in WATCHES
        ),
    )

    folders = {name: str(value.fget.__doc__) for name, value in vars(Layout).items() if isinstance(value, property)}
    parts += ["", "## On the data volume", "", "Below `/srv/openemr`:", ""]
    parts += _table(
        ("Folder", "Meaning"),
        ((f"`{name}`", " ".join(text.split())) for name, text in {**folders, **HOST_FOLDERS}.items()),
    )
    parts += ["", f"A generation holds {', '.join(f'`{part}`' for part in PARTS)}. In `state` lie, as JSON:", ""]
    records = set(re.findall(r'state\.(?:read|write|forget)\(\s*"([a-z-]+)"', source)) | {RECORD}
    meanings = _complete(HOST_RECORDS, records, "records")
    parts += _table(("Record", "Meaning"), ((f"`{name}.json`", text) for name, text in meanings.items()))
    parts += [
        "",
        "No record is needed for a restore; the backups hold their own manifests.",
        "",
        "## On the system",
        "",
    ]
    paths = (DEFAULT_PATH, COMPOSE, FOLDER / "web" / "Caddyfile", *system_files(Path("/srv/openemr")))
    files = {path.name: str(path) for path in paths}
    meanings = _complete(HOST_FILES, set(files), "files")
    parts += _table(("File", "Meaning"), ((f"`{files[name]}`", text) for name, text in meanings.items()))
    parts += ["", "Set-up writes them anew at each start; changes made there do not last."]
    return "\n".join(parts) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli_markdown,
    "registration-settings.md": settings_markdown,
    "metrics.md": metrics_markdown,
    "settings-openemr.md": partial(deployment_markdown, "openemr"),
    "settings-openmrs.md": partial(deployment_markdown, "openmrs"),
    "settings-express-plus.md": partial(deployment_markdown, "express-plus"),
    "settings-registration.md": partial(deployment_markdown, "registration"),
    "host.md": host_markdown,
    "checks.md": checks_markdown,
    "prices.md": prices_markdown,
}


def main() -> int:
    """Write the pages, or compare them."""
    stale = []
    for name, make in PAGES.items():
        path, text = REFERENCE / name, make()
        if "--check" not in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    for name in stale:
        click.echo(f"error: docs/reference/{name} is out of date", err=True)
    if stale:
        click.echo("hint: run `make docs`", err=True)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
