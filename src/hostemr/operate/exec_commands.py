"""The verb `hostemr exec`: a shell, or one command, in a container of a running task."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable

import click

from hostemr.deployment.load import DEPLOYMENTS
from hostemr.deployment.outputs import CLUSTER, SERVICE
from hostemr.errors import EXIT_STATUSES, SettingsError
from hostemr.operate.aws import Account, Accounts
from hostemr.operate.reach.deployed import named
from hostemr.operate.reach.plugin import find_plugin
from hostemr.operate.reach.shell import SHELL, Marked, run_command, run_shell
from hostemr.operate.reach.tasks import Place, find_place
from hostemr.operate.reach.tunnel import interruptible


@click.command("exec", epilog=EXIT_STATUSES)
@click.argument("deployment", type=click.Choice(DEPLOYMENTS))
@click.argument("command", metavar="[-- COMMAND...]", nargs=-1, type=click.UNPROCESSED)
@click.option("--container", metavar="NAME", help="Which container; by default the application's.")
@click.option("--task", metavar="ID", help="Which task; by default a healthy one.")
@click.option("--terminal", is_flag=True, help="Give COMMAND this terminal: for mysql, top and the like.")
@click.option("--suffix", default="", help="The deployment's resource_suffix, if it has one.")
@click.option("--region", help="Where it is; by default AWS_REGION or the profile's.")
@click.option("--profile", help="A profile of ~/.aws/config.")
@click.option("--json", "as_json", is_flag=True, help="Print COMMAND's output and status as JSON, errors included.")
@click.pass_obj
def exec_command(
    accounts: Accounts | None,
    /,
    *,
    deployment: str,
    command: tuple[str, ...],
    container: str | None,
    task: str | None,
    suffix: str,
    region: str | None,
    profile: str | None,
    terminal: bool,
    as_json: bool,
) -> int:
    """Open a shell in a container of a running task, or run COMMAND there and exit with its status.

    You are root beside patients' data, or beside clinics' addresses, and the session is recorded. It needs
    enable_ecs_exec, which is off unless you set it, and AWS's session-manager-plugin. With --terminal, and of a shell,
    no status can be known.

    \b
    Examples:
      hostemr exec openemr
      hostemr exec openemr -- php -v
      hostemr exec openmrs --container openmrsgateway -- cat /etc/nginx/nginx.conf
      hostemr exec openemr --terminal -- top
      hostemr exec registration -- hostemr registration board list
    """  # noqa: D301, click reads a real \b
    names = named(deployment, suffix)
    if as_json and (terminal or not command):
        raise SettingsError(["--json tells of a COMMAND; a shell and --terminal have nothing to tell"])
    if terminal and not command:
        raise SettingsError(["--terminal is for a COMMAND; a shell has the terminal anyway"])
    has_terminal = sys.stdin.isatty()
    if not has_terminal and (terminal or not command):
        hint = "give a COMMAND: hostemr exec DEPLOYMENT -- COMMAND"
        raise SettingsError(["a shell needs a terminal, and this is none"], hint=hint)
    plugin = find_plugin()
    account = (accounts or Account)(region=region, profile=profile)
    service = names.service(account)
    wanted = container or names.container
    place = find_place(account, cluster=service[CLUSTER], service=service[SERVICE], containers=(wanted,), task=task)
    if not as_json:
        _say(f"{place.container} in task {place.task}; this session is recorded")
    with interruptible():
        if not command or terminal:
            line = shlex.join(command) if command else SHELL
            run_shell(account, plugin, place, line, profile=profile, talk=_say)
            return 0
        marked = Marked(command, with_input=has_terminal)
        output = bytearray()
        write: Callable[[bytes], object] = output.extend if as_json else _write
        status = run_command(account, plugin, place, marked, profile=profile, write=write, talk=_say)
    if as_json:
        click.echo(json.dumps(_told(place, command, bytes(output), status), indent=2, ensure_ascii=False))
    return status


def _told(place: Place, command: tuple[str, ...], output: bytes, status: int) -> dict[str, object]:
    return {
        "task": place.task,
        "container": place.container,
        "command": list(command),
        "status": status,
        "output": _lines(output).decode(errors="replace"),
    }


def _write(output: bytes) -> None:
    sys.stdout.buffer.write(output if sys.stdout.isatty() else _lines(output))
    sys.stdout.flush()


def _lines(output: bytes) -> bytes:
    """A pty ends lines as a typewriter does; files and pipes want them plain."""
    return output.replace(b"\r\n", b"\n")


def _say(text: str) -> None:
    click.echo(text, err=True)
