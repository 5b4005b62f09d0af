"""The presigned URL that a custom resource answers to: a server of this machine in the place of S3."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGEST = 4096
"""Bytes of an answer (CloudFormation Template Reference, "Custom resource response objects")."""


@dataclass
class Answers:
    """The URL, and what was put there: the bytes of each answer."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)

    def take(self) -> list[bytes]:
        """The answers since the last time."""
        found, self.bodies = self.bodies, []
        return found


@contextmanager
def response_url() -> Iterator[Answers]:
    """A URL that takes answers for as long as the block runs."""
    answers = Answers()
    path = f"/{secrets.token_hex(8)}?X-Amz-Signature={secrets.token_hex(8)}"

    class Receive(BaseHTTPRequestHandler):
        """Takes a PUT as S3 does with a presigned URL: only where it was signed for."""

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            # The signature covers the Content-Type, which CloudFormation signs empty.
            good = self.path == path and not self.headers.get("Content-Type")
            if good:
                answers.bodies.append(body)
            self.send_response(200 if good else 403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002, the base class's name
            """Say nothing: the URL is a secret."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receive)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    answers.url = f"http://127.0.0.1:{server.server_address[1]}{path}"
    try:
        yield answers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read as CloudFormation reads it; `problems` are why it would not take it."""

    status: str
    reason: str
    physical_id: str
    data: dict[str, Any]
    problems: tuple[str, ...]


def read(body: bytes, event: dict[str, Any]) -> Answer:
    """What an answer to an event says.

    Source: CloudFormation Template Reference, "Custom resource response objects".
    """
    problems = []
    if len(body) > LARGEST:
        problems.append(f"it has {len(body)} bytes, CloudFormation takes {LARGEST}")
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return Answer("", "", "", {}, (*problems, "it is no JSON object"))
    problems += [f"{name} is not the event's" for name in _ECHOED if said.get(name) != event[name]]
    if said.get("Status") not in {"SUCCESS", "FAILED"}:
        problems.append(f"Status is {said.get('Status')!r}, neither SUCCESS nor FAILED")
    physical = said.get("PhysicalResourceId")
    if not isinstance(physical, str) or not 0 < len(physical) <= 1024:
        problems.append("PhysicalResourceId should be a text of 1 to 1024 bytes")
    if said.get("Status") == "FAILED" and not said.get("Reason"):
        problems.append("a FAILED without a Reason")
    data = said.get("Data")
    return Answer(
        str(said.get("Status", "")),
        str(said.get("Reason", "")),
        str(physical or ""),
        data if isinstance(data, dict) else {},
        tuple(problems),
    )


_ECHOED = ("StackId", "RequestId", "LogicalResourceId")
