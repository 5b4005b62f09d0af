"""The front door: `hostemr VERB`. Verbs are imported when they are used, so that help answers at once."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import click

from hostemr.errors import EXIT_STATUSES, HostemrError

VERBS = {
    "plan": ("hostemr.operate.commands", "plan", "Write a deployment's templates, and say what they hold."),
    "price": (
        "hostemr.operate.price_commands",
        "price_command",
        "Say what CloudFormation templates cost in a month.",
    ),
    "settings": ("hostemr.deployment.commands", "settings", "List a deployment's settings, or check a cdk.json."),
    "serve": ("hostemr.registration.commands", "serve", "Run the registration service."),
    "worker": ("hostemr.registration.commands", "worker", "Send broadcasts; any number of workers, on any machine."),
    "registration": ("hostemr.registration.commands", "registration", "Manage the registration service's data."),
}
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
            extra = next(extra for prefix, extra in EXTRAS.items() if module.startswith(prefix))
            message = f"`hostemr {cmd_name}` needs {error.name}, which is not installed."
            raise HostemrError(message, hint=f"pip install 'hostemr[{extra}]'") from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in VERBS.items()])


@click.group(cls=_Verbs, epilog=EXIT_STATUSES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hostemr")
def cli() -> None:
    """Host open-source medical records on AWS, and keep their operators informed."""


def main() -> None:
    """Run the command line; every error becomes one clear line, a hint and an exit status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; answers its exit status."""
    try:
        result: Any = cli.main(arguments, prog_name="hostemr", standalone_mode=False)
    except HostemrError as error:
        _report(error, as_json="--json" in arguments)
        return error.exit_status
    except click.Abort:
        click.echo("stopped", err=True)
        return 130
    except click.ClickException as error:
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
