"""What CloudFormation is told."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from hostemr.errors import OutsideWorldError
from hostemr.host.aws import Aws
from hostemr.host.programs import ProgramFailed, Programs
from hostemr.host.signals import LONGEST_REASON, Answered, Group, WaitCondition, put

URL = "https://cloudformation-waitcondition.example/arn?Signature=se%2Bcret&Expires=1"


class Ear:
    """Answers as it was told; remembers what it heard."""

    def __init__(self, *answers: Answered | Exception) -> None:
        self.answers = list(answers)
        self.heard: list[dict[str, str]] = []
        self.slept: list[float] = []

    def put(self, url: str, body: bytes) -> Answered:
        assert url == URL
        self.heard.append(json.loads(body))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def tell(self, *, worked: bool = True, reason: str = "done") -> None:
        WaitCondition(URL, put=self.put, sleep=self.slept.append).tell(worked=worked, reason=reason, server="i-1")


OK = Answered(200, "OK")


def test_success_is_told_once() -> None:
    ear = Ear(OK)
    ear.tell()
    assert ear.heard == [{"Status": "SUCCESS", "Reason": "done", "UniqueId": "i-1", "Data": "done"}]


def test_a_failure_has_its_reason_in_one_line_that_cloudformation_takes() -> None:
    ear = Ear(OK)
    ear.tell(worked=False, reason="no\nroom " + "x" * 5000)
    assert ear.heard[0]["Status"] == "FAILURE"
    assert ear.heard[0]["Reason"].startswith("no room x")
    assert len(ear.heard[0]["Reason"]) == LONGEST_REASON


def test_a_lost_network_is_waited_for() -> None:
    ear = Ear(OSError("unreachable"), http.client.RemoteDisconnected("gone"), Answered(503, "Slow Down"), OK)
    ear.tell()
    assert len(ear.heard) == 4
    assert ear.slept == sorted(ear.slept)


def test_an_old_address_is_not_tried_again_and_never_shown() -> None:
    ear = Ear(Answered(403, "Forbidden"))
    with pytest.raises(OutsideWorldError, match="403 Forbidden") as error:
        ear.tell()
    assert "cret" not in str(error.value)
    assert ear.slept == []


def test_after_five_attempts_it_is_said() -> None:
    ear = Ear(*[OSError("unreachable")] * 5)
    with pytest.raises(OutsideWorldError, match="OSError"):
        ear.tell()


class _Recorder(BaseHTTPRequestHandler):
    seen: list[tuple[str, dict[str, str], bytes]]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, dict(self.headers), body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Into the test's own output it does not belong."""


@pytest.fixture
def recorder() -> Iterator[HTTPServer]:
    _Recorder.seen = []
    server = HTTPServer(("127.0.0.1", 0), _Recorder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_on_the_wire_there_is_no_content_type_and_the_query_is_as_signed(recorder: HTTPServer) -> None:
    answer = put(f"http://127.0.0.1:{recorder.server_port}/a%3Ab?Signature=x%2By", b"{}")
    assert answer.status == 200
    ((path, headers, body),) = _Recorder.seen
    assert path == "/a%3Ab?Signature=x%2By"
    assert "Content-Type" not in headers
    assert body == b"{}"


class FakeCloudFormation(Aws):
    def __init__(self, problem: str = "") -> None:
        super().__init__(Programs({}), region="us-east-1")
        self.problem = problem
        self.asked: list[Mapping[str, Any]] = []

    def call(
        self, service: str, operation: str, arguments: Mapping[str, Any] | None = None, **_: Any
    ) -> dict[str, Any]:
        assert (service, operation) == ("cloudformation", "signal-resource")
        self.asked.append(arguments or {})
        if self.problem:
            raise ProgramFailed("aws failed", status=254, output=self.problem)
        return {}


def test_the_group_hears_of_an_instance() -> None:
    aws = FakeCloudFormation()
    assert Group(aws, stack="arn:stack", resource="Group").tell(worked=False, server="i-1")
    expected = {"StackName": "arn:stack", "LogicalResourceId": "Group", "UniqueId": "i-1", "Status": "FAILURE"}
    assert aws.asked == [expected]


def test_a_group_that_waits_for_nothing_is_no_failure() -> None:
    aws = FakeCloudFormation("An error occurred (ValidationError): Resource is in CREATE_COMPLETE state")
    assert not Group(aws, stack="arn:stack", resource="Group").tell(worked=True, server="i-1")


def test_other_answers_are_failures() -> None:
    aws = FakeCloudFormation("An error occurred (AccessDenied)")
    with pytest.raises(ProgramFailed):
        Group(aws, stack="arn:stack", resource="Group").tell(worked=True, server="i-1")
