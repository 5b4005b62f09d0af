"""Whether a port of this machine is free, and which program has it where it is not."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from hostemr.errors import OutsideWorldError

LOOPBACK = "127.0.0.1"
_LISTENING = "0A"
_PROC = Path("/proc")


def require_free(port: int) -> None:
    """Raises OutsideWorldError, with the program's name where Linux tells it, if `port` is taken; 0 is always free."""
    with socket.socket() as probe:
        # As listeners do; without it a port whose last connection has just ended would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                message = f"Port {port} of this machine is not yours to open."
            elif error.errno == errno.EADDRINUSE:
                by = owner(port)
                message = f"Port {port} of this machine is taken{f' by {by}' if by else ''}."
            else:
                raise
            raise OutsideWorldError(message, hint="give another, such as --port 13306; --port 0 picks one") from error


def owner(port: int) -> str:
    """Which program listens on `port`, as `mariadbd (process 42)`; empty where it cannot be known.

    Other users' processes cannot be looked into, and only Linux has /proc.
    https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html
    """
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not sockets:
        return ""
    for process in _PROC.glob("[0-9]*"):
        try:
            if any(str(descriptor.readlink()) in sockets for descriptor in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            # Not ours to look into, or it has just ended.
            continue
    return ""


def _inodes(port: int) -> set[str]:
    found = set()
    for table in (_PROC / "net" / "tcp", _PROC / "net" / "tcp6"):
        try:
            rows = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == _LISTENING and int(columns[1].rsplit(":", 1)[1], 16) == port:
                found.add(columns[9])
    return found
