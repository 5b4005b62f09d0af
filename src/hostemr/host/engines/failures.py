"""What a program of an engine said, in the words of the port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hostemr.host.engines import EngineFailed
from hostemr.host.programs import ProgramFailed

_NETWORK = (
    "connection refused",
    "connection reset",
    "could not connect to the endpoint",
    "dial tcp",
    "i/o timeout",
    "timed out",
    "timeout",
    "took longer than",
    "no such host",
    "network is unreachable",
    "no route to host",
    "connection was closed",
    "remote end closed connection",
    "endpointconnectionerror",
    "broken pipe",
    "unexpected eof",
)
_DENIED = ("access denied", "accessdenied", "forbidden", "(403)", "nocredentials", "unable to locate credentials")
_FULL = ("no space left on device", "not enough free space", "temp space has")


def outside(error: ProgramFailed, doing: str) -> EngineFailed:
    """The failure where it lies outside of what is stored: network, rights, disk; or not known."""
    said = f"{error.output} {error.message}".lower()
    message = f"{doing} failed: {error.message}"
    if any(word in said for word in _FULL):
        return EngineFailed(message, hint="the disk is full: enlarge the volume, or remove what is not needed")
    if any(word in said for word in _DENIED):
        return EngineFailed(message, hint="see the rights of the server's role, and the policies of bucket and key")
    if any(word in said for word in _NETWORK):
        return EngineFailed(message, hint="see the network and the endpoint; what was stored before is not touched")
    return EngineFailed(message, hint=error.hint)


def damaged_words(error: ProgramFailed, words: tuple[str, ...]) -> bool:
    """Whether the program said one of these, in lower case."""
    said = error.output.lower()
    return any(word in said for word in words)


@contextmanager
def local(doing: str) -> Iterator[None]:
    """Tell of a full or broken disk of our own in the words of the port."""
    try:
        yield
    except OSError as error:
        where = f" at {error.filename}" if error.filename else ""
        hint = "see whether the disk is full or broken; what is stored is not touched"
        raise EngineFailed(f"{doing} failed{where}: {error.strerror or error}.", hint=hint) from error
