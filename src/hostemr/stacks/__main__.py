"""What `cdk` runs: `python -m hostemr.stacks openemr`, with cdk.json's context from the CDK's command line."""

from __future__ import annotations

import gc
import json
import os
import sys

from hostemr.deployment.applications import APPLICATIONS
from hostemr.deployment.load import load
from hostemr.errors import HostemrError, SettingsError

_CONTEXT = "CDK_CONTEXT_JSON"
_OUTDIR = "CDK_OUTDIR"


def main(arguments: list[str]) -> int:
    """Synthesize one application's stacks into CDK_OUTDIR; answers the exit status."""
    try:
        if len(arguments) != 1 or arguments[0] not in APPLICATIONS:
            known = ", ".join(APPLICATIONS)
            message = f"{' '.join(arguments) or 'no application'}: expected one of {known}"
            raise SettingsError([message], hint="python -m hostemr.stacks openemr")
        application = APPLICATIONS[arguments[0]]
        settings = load(application.name, json.loads(os.environ.get(_CONTEXT, "{}")))
    except HostemrError as error:
        for line in error.message.split("\n"):
            print(f"error: {line}", file=sys.stderr)  # noqa: T201, the CDK shows what its app prints
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)  # noqa: T201
        return error.exit_status
    # Only now: wrong settings are told without waiting for Node.js. A process of a few seconds has no garbage that is
    # worth looking for, and looking costs an eighth of them.
    gc.disable()
    from hostemr.stacks.app import build

    build(application, settings, outdir=os.environ.get(_OUTDIR, "cdk.out")).synth()
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # All is written. Taking the interpreter down in order would wait for Node.js to do the same, a tenth of the time.
    os._exit(status)
