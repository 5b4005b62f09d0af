"""Makes docs/reference from the code; with `--check`, says what is out of date instead, and exits with 1."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click

from hostemr.cli import cli
from hostemr.deployment.reference import settings_markdown as deployment_markdown
from hostemr.registration.reference import metrics_markdown, settings_markdown

REFERENCE = Path(__file__).parent / "reference"


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


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli_markdown,
    "registration-settings.md": settings_markdown,
    "metrics.md": metrics_markdown,
    "settings-openemr.md": partial(deployment_markdown, "openemr"),
    "settings-openmrs.md": partial(deployment_markdown, "openmrs"),
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
