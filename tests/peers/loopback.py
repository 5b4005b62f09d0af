"""Ports on this machine for the servers that tests start."""

from __future__ import annotations

import contextlib
import random
import socket

_drawn = random.SystemRandom()
"""Not the shared generator: Hypothesis seeds that anew for each test, and would make two workers draw alike."""


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on, and that no outgoing connection is given.

    From below the ports that Linux gives to those (32768 upwards, ip(7)): else any client on this machine may
    take it before the server does, and who asks until the server answers may connect to itself.
    """
    while True:
        port = _drawn.randrange(12_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
