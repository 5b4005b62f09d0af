"""`python -m hostemr.host VERB`, installed on the server as `hostemr-host`."""

import os
import sys

from hostemr.host.command_line import main

if __name__ == "__main__":
    status = main(sys.argv[1:])
    try:
        sys.stderr.flush()
    except OSError:
        # The terminal is gone, and what was done is done: else Python would end with 120 for what it could not say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.exit(status)
