"""The front door: `hostemr VERB`. Verbs are imported when they are used, so that help answers at once."""

from __future__ import annotations

import importlib
import json
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import click

from hostemr.errors import EXIT_STATUSES, HostemrError, SettingsError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SECTIONS: dict[str, dict[str, tuple[str, str, str]]] = {
    "Before anything is deployed": {
        "plan": ("hostemr.operate.plan_commands", "plan", "Templates, price, findings, picture: what you would get."),
        "price": ("hostemr.operate.price_commands", "price_command", "What CloudFormation templates cost in a month."),
        "check": ("hostemr.operate.check_commands", "check_command", "What is wrong with CloudFormation templates."),
        "rehearse": (
            "hostemr.operate.rehearse_commands",
            "rehearse",
            "What creating, updating and deleting a deployment would do.",
        ),
        "settings": ("hostemr.deployment.commands", "settings", "A deployment's settings, or a check of a cdk.json."),
    },
    "Once a deployment runs": {
        "verify": ("hostemr.operate.verify_commands", "verify", "Test a live OpenEMR or OpenMRS from outside."),
        "load": ("hostemr.operate.load_commands", "load", "Put a site under load, and say how it bore it."),
        "tunnel": ("hostemr.operate.tunnel_commands", "tunnel", "Reach a deployment's database from this machine."),
        "sql": ("hostemr.operate.sql_commands", "sql", "Run SQL by the RDS Data API."),
        "exec": ("hostemr.operate.exec_commands", "exec_command", "A shell, or a command, in a container."),
        "backups": ("hostemr.operate.backups_commands", "backups", "List a deployment's backups, or make one."),
        "restore": ("hostemr.operate.restore_commands", "restore", "Bring a deployment's data back, step by step."),
    },
    "The registration service": {
        "serve": ("hostemr.registration.commands", "serve", "Run the registration service."),
        "worker": ("hostemr.registration.commands", "worker", "Send broadcasts; any number, on any machine."),
        "registration": ("hostemr.registration.commands", "registration", "Manage the registration service's data."),
    },
    "This command line": {
        "completion": ("hostemr.operate.completion_commands", "completion", "Print a shell's completion script."),
    },
}
"""Every verb: the module that has it, its name there, and its summary."""
VERBS = {name: place for verbs in SECTIONS.values() for name, place in verbs.items()}
EXTRAS = {"hostemr.registration": "registration", "hostemr.operate": "operate"}


class _Verbs(click.Group):
    """Knows every verb's name and summary, and imports a verb's module only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002, click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        module, attribute, _ = VERBS[cmd_name]
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise _not_installed(cmd_name, error) from error
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb, which imports what it needs now."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            raise _not_installed(ctx.invoked_subcommand or "", error) from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Every verb by its name and summary, without importing one, and the group's own options."""
        from click.shell_completion import CompletionItem

        verbs = [CompletionItem(name, help=found[2]) for name, found in VERBS.items() if name.startswith(incomplete)]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        # One column for all sections.
        width = max(map(len, VERBS))
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), summary) for name, (_, _, summary) in verbs.items()])


def _not_installed(verb: str, error: ModuleNotFoundError) -> HostemrError:
    module, _, _ = VERBS[verb]
    extra = next(extra for prefix, extra in EXTRAS.items() if module.startswith(prefix))
    message = f"`hostemr {verb}` needs {error.name}, which is not installed."
    return HostemrError(message, hint=f"pip install 'hostemr[{extra}]'")


@click.group(cls=_Verbs, epilog=EXIT_STATUSES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hostemr")
def cli() -> None:
    """Host open-source medical records on AWS, and keep their operators informed."""


def main() -> None:
    """Run the command line; every error becomes one clear line, a hint and an exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal without UTF-8 shows a name with marks in it; it is no reason to end. Nor is a stream that does not
        # take this, such as one opened for reading too.
        if isinstance(stream, TextIOWrapper):
            with suppress(OSError):
                stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; answers its exit status."""
    # What follows `--` is another program's.
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    try:
        result: Any = cli.main(arguments, prog_name="hostemr", standalone_mode=False)
    except HostemrError as error:
        _report(error, as_json="--json" in own)
        return error.exit_status
    except click.Abort:
        click.echo("stopped", err=True)
        return 130
    except click.ClickException as error:
        if "--json" in own:
            _report(SettingsError([error.format_message()]), as_json=True)
        else:
            error.show()
        return error.exit_code
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has enough.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130
    return result if isinstance(result, int) else 0


def _report(error: HostemrError, *, as_json: bool) -> None:
    if as_json:
        lines = error.message.split("\n")
        click.echo(json.dumps({"error": lines[0], "errors": lines, "hint": error.hint}), err=True)
        return
    for line in error.message.split("\n"):
        click.echo(f"error: {line}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)
