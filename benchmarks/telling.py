"""What every benchmark does besides measuring: it tells how far it is, and cleans up when it is told to end."""

from __future__ import annotations

import signal
import sys


def progress(text: str) -> None:
    """Tell what is under way on stderr, apart from the results."""
    print(text, file=sys.stderr, flush=True)


def end_cleanly_on_sigterm() -> None:
    """Make SIGTERM unwind the program. By default it would leave databases and servers running."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
