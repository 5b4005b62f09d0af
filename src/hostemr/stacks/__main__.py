"""What `cdk` runs: `python -m hostemr.stacks openemr`, with cdk.json's context from the CDK's command line."""

from __future__ import annotations

import gc
import json
import os
import sys

from hostemr.deployment.load import DEPLOYMENTS
from hostemr.errors import HostemrError, SettingsError
from hostemr.stacks.maker import maker, report

_CONTEXT = "CDK_CONTEXT_JSON"
_OUTDIR = "CDK_OUTDIR"


def main(arguments: list[str]) -> int:
    """Synthesize one deployment's stacks into CDK_OUTDIR; answers the exit status."""
    try:
        if len(arguments) != 1 or arguments[0] not in DEPLOYMENTS:
            known = ", ".join(DEPLOYMENTS)
            message = f"{' '.join(arguments) or 'no deployment'}: expected one of {known}"
            raise SettingsError([message], hint="python -m hostemr.stacks openemr")
        make = maker(arguments[0], json.loads(os.environ.get(_CONTEXT, "{}")))
    except HostemrError as error:
        report(error)
        return error.exit_status
    # A process of a few seconds has no garbage that is worth looking for, and looking costs an eighth of them.
    gc.disable()
    make(os.environ.get(_OUTDIR, "cdk.out"))
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # All is written. Taking the interpreter down in order would wait for Node.js to do the same, a tenth of the time.
    os._exit(status)
