"""The verb `hostemr completion`: what a shell needs to complete verbs, options and deployments."""

from __future__ import annotations

import json

import click
from click.shell_completion import get_completion_class

from hostemr.errors import EXIT_STATUSES

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_HOSTEMR_COMPLETE"
"""Under which click asks the program itself; made of the program's name."""


@click.command("completion", epilog=EXIT_STATUSES)
@click.argument("shell", type=click.Choice(SHELLS))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, errors included.")
def completion(*, shell: str, as_json: bool) -> None:
    """Print the script that makes a shell complete hostemr's verbs, options and deployments.

    \b
    Examples:
      hostemr completion bash > ~/.local/share/bash-completion/completions/hostemr
      hostemr completion zsh > ~/.zfunc/_hostemr        (with fpath+=~/.zfunc before compinit in ~/.zshrc)
      hostemr completion fish > ~/.config/fish/completions/hostemr.fish
    """  # noqa: D301, click reads a real \b
    of_shell = get_completion_class(shell)
    if of_shell is None:
        raise TypeError(f"click completes in {shell}")
    root = click.get_current_context().find_root().command
    script = of_shell(root, {}, "hostemr", VARIABLE).source()
    click.echo(json.dumps({"shell": shell, "script": script}) if as_json else script)
