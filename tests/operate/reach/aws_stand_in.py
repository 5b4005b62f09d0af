"""AWS on a loopback port, for what emulators lack: it says what a test tells it to, in AWS's own formats.

Requests and answers are held against botocore's models of the services, so that neither can be what AWS would not
take or say.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import botocore.session
from botocore.model import ListShape, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/(?P<service>[^/]+)/aws4_request")
_PATHS = {"/Execute": "ExecuteStatement", "/BeginTransaction": "BeginTransaction"} | {
    "/CommitTransaction": "CommitTransaction",
    "/RollbackTransaction": "RollbackTransaction",
}

Answer = Mapping[str, Any] | Exception
Answers = Answer | Callable[[Mapping[str, Any]], Answer]


class Refused(Exception):
    """An error of the service."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class StandIn:
    """`answers[operation]` is what it answers, or a function of the request; `asked` is what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answers] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._session = botocore.session.Session()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def forget(self) -> None:
        """For the next test."""
        self.answers.clear()
        self.asked.clear()

    def environment(self) -> dict[str, str]:
        """What leads boto3 here, and to no file of the developer's."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "key",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def requests(self, operation: str) -> list[dict[str, Any]]:
        return [request for name, request in self.asked if name == operation]

    def reply(self, service: str, headers: Mapping[str, str], path: str, body: bytes) -> tuple[int, str, bytes]:
        model: ServiceModel = self._session.get_service_model(service)
        if model.protocol == "query" or service == "ec2":
            given: dict[str, Any] = dict(parse_qsl(body.decode()))
            operation = given.pop("Action")
            given.pop("Version")
        else:
            operation = _PATHS[path] if service == "rds-data" else headers["X-Amz-Target"].rsplit(".", 1)[1]
            given = json.loads(body)
            _valid(given, model.operation_model(operation).input_shape)
        self.asked.append((operation, given))
        answer = self.answers[operation]
        if callable(answer):
            answer = answer(given)
        if isinstance(answer, Refused):
            return answer.status, *_refusal(model, answer)
        assert isinstance(answer, Mapping), answer
        shape = model.operation_model(operation).output_shape
        if shape is not None:
            _valid(answer, shape)
        if model.protocol != "query":
            return 200, "application/json", json.dumps(answer).encode()
        wrapper = f"{operation}Result"
        return 200, "text/xml", f"<{operation}Response>{_xml(wrapper, answer, shape)}</{operation}Response>".encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                scope = _SCOPE.search(self.headers["Authorization"])
                assert scope is not None
                status, kind, reply = stand_in.reply(scope["service"], dict(self.headers.items()), self.path, body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002, the base's name
                pass

        return Handler


def _valid(given: Mapping[str, Any], shape: Shape) -> None:
    report = ParamValidator().validate(given, shape)
    assert not report.has_errors(), report.generate_report()


def _refusal(model: ServiceModel, refused: Refused) -> tuple[str, bytes]:
    code, message = escape(refused.code), escape(refused.message)
    if model.service_name == "ec2":
        errors = f"<Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
        return "text/xml", f"<Response>{errors}<RequestID>1</RequestID></Response>".encode()
    if model.protocol == "query":
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        return "text/xml", f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>".encode()
    return "application/json", json.dumps({"__type": refused.code, "message": refused.message}).encode()


def _xml(name: str, value: Any, shape: Shape) -> str:
    if isinstance(shape, StructureShape):
        inner = "".join(_xml(key, value[key], member) for key, member in shape.members.items() if key in value)
    elif isinstance(shape, ListShape):
        item = shape.member.serialization.get("name", "member")
        inner = "".join(_xml(item, one, shape.member) for one in value)
    else:
        inner = escape(str(value).lower() if isinstance(value, bool) else str(value))
    return f"<{name}>{inner}</{name}>"
