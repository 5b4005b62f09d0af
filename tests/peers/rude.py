"""A server on the loopback that says what no server should, byte by byte as a test gives it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[bytes], Iterator[bytes]]
"""Gets the request's head, and gives the pieces of the answer; the connection ends with the last one."""


@contextmanager
def rude(answer: Answer) -> Iterator[str]:
    """It answers every connection so; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    # The test is over.
                    return
                threading.Thread(target=_say, args=(connection, answer), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        # Closing alone does not wake who waits in accept.
        listener.shutdown(socket.SHUT_RDWR)


def always(*pieces: bytes) -> Answer:
    """The same to everybody."""
    return lambda _: iter(pieces)


def redirecting(location: bytes) -> Answer:
    """A redirect to there."""
    return always(
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\nLocation: " + location + b"\r\n\r\n"
    )


def page(body: bytes, *headers: bytes) -> Answer:
    """A page, as long as it is."""
    length = b"Content-Length: %d" % len(body)
    return always(b"\r\n".join([b"HTTP/1.1 200 OK", length, b"Connection: close", *headers, b"", body]))


def _say(connection: socket.socket, answer: Answer) -> None:
    with connection, suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        for piece in answer(head):
            connection.sendall(piece)
