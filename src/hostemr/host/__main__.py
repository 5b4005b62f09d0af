"""`python -m hostemr.host VERB`, installed on the server as `hostemr-host`."""

import sys

from hostemr.host.command_line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
