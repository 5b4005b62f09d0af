"""The emulator's own process: prints the port it listens on, and ends when its standard input does.

So it never outlives the process that started it, however that one ends.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Serve all of AWS that moto knows on a free port of this machine only."""
    # Of extra `rehearse`, and slow to import: only this process needs it.
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
