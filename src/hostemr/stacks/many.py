"""Many syntheses in one process: only the first waits for Node.js. `hostemr plan` runs it.

Standard input has a JSON list of jobs, each `{"deployment": …, "context": {…}, "outdir": …}`. When a job is done, a
line with its number goes to standard output.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from typing import TextIO

from hostemr.errors import HostemrError
from hostemr.stacks.maker import maker, report


def main(jobs: TextIO, done: TextIO) -> int:
    """Synthesize every job; answers the exit status. Nothing is made if the settings of one are wrong."""
    try:
        makers = [(maker(job["deployment"], job["context"]), job["outdir"]) for job in json.load(jobs)]
    except HostemrError as error:
        report(error)
        return error.exit_status
    # A process of a few seconds has no garbage that is worth looking for, and looking costs an eighth of them.
    gc.disable()
    for number, (make, outdir) in enumerate(makers):
        make(outdir)
        print(number, file=done, flush=True)
    return 0


if __name__ == "__main__":
    status = main(sys.stdin, sys.stdout)
    sys.stdout.flush()
    sys.stderr.flush()
    # All is written. Taking the interpreter down in order would wait for Node.js to do the same.
    os._exit(status)
