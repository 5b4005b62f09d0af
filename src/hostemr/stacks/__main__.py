"""What `cdk` runs: `python -m hostemr.stacks openemr`, with cdk.json's context from the CDK's command line."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Mapping

from hostemr.deployment.applications import APPLICATIONS
from hostemr.deployment.express_plus_rows import EXPRESS_PLUS
from hostemr.deployment.load import DEPLOYMENTS, load, load_express_plus
from hostemr.errors import HostemrError, SettingsError

_CONTEXT = "CDK_CONTEXT_JSON"
_OUTDIR = "CDK_OUTDIR"


def main(arguments: list[str]) -> int:
    """Synthesize one deployment's stacks into CDK_OUTDIR; answers the exit status."""
    try:
        if len(arguments) != 1 or arguments[0] not in DEPLOYMENTS:
            known = ", ".join(DEPLOYMENTS)
            message = f"{' '.join(arguments) or 'no deployment'}: expected one of {known}"
            raise SettingsError([message], hint="python -m hostemr.stacks openemr")
        make = _maker(arguments[0], json.loads(os.environ.get(_CONTEXT, "{}")))
    except HostemrError as error:
        report(error)
        return error.exit_status
    # Only now: wrong settings are told without waiting for Node.js. A process of a few seconds has no garbage that is
    # worth looking for, and looking costs an eighth of them.
    gc.disable()
    make(os.environ.get(_OUTDIR, "cdk.out"))
    return 0


def report(error: HostemrError) -> None:
    """Tell an error on stderr, one line for each problem: the CDK shows what its app prints there."""
    for line in error.message.split("\n"):
        print(f"error: {line}", file=sys.stderr)  # noqa: T201
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)  # noqa: T201


def _maker(deployment: str, context: Mapping[str, object]) -> Callable[[str], object]:
    """What synthesizes the deployment into a folder, its settings checked."""
    if deployment == EXPRESS_PLUS:
        template = load_express_plus(context)

        def make_template(outdir: str) -> object:
            from hostemr.stacks.app import build_express_plus

            return build_express_plus(template, outdir=outdir).synth()

        return make_template
    settings = load(deployment, context)

    def make_stacks(outdir: str) -> object:
        from hostemr.stacks.app import build

        return build(APPLICATIONS[deployment], settings, outdir=outdir).synth()

    return make_stacks


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # All is written. Taking the interpreter down in order would wait for Node.js to do the same, a tenth of the time.
    os._exit(status)
