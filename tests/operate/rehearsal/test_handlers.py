"""Custom resources' handlers, run with CloudFormation's events."""

from __future__ import annotations

import itertools
import json
import os
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hostemr.operate.rehearsal.emulator import ACCOUNT, Emulator
from hostemr.operate.rehearsal.handlers import HandlerRun, run_handlers
from tests.operate.templates import att, ref, resource, sub, template
from tests.stacks.synthesis import synthesize

ANSWER = """
import json, os, urllib.request

def answer(event, physical="thing", status="SUCCESS", **more):
    body = {"Status": status, "PhysicalResourceId": physical, "Reason": json.dumps([event, dict(os.environ)]), **more}
    body |= {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    call = urllib.request.Request(event["ResponseURL"], json.dumps(body).encode(), {"Content-Type": ""}, method="PUT")
    urllib.request.urlopen(call).close()
"""


def made(code: str, *, runtime: str = "python3.13", **properties: Any) -> dict[str, Any]:
    """A template with one custom resource whose handler has this code."""
    return template(
        {
            "Topic": resource("AWS::SNS::Topic"),
            "Function": resource(
                "AWS::Lambda::Function",
                Runtime=runtime,
                Handler="index.handler",
                Timeout=60,
                Code={"ZipFile": ANSWER + code},
                Environment={"Variables": {"TOPIC": ref("Topic"), "NUMBER": 5}},
            ),
            "Thing": resource("Custom::Thing", ServiceToken=att("Function", "Arn"), **properties),
        }
    )


def run(emulator: Emulator, code: str, **options: Any) -> HandlerRun:
    [found] = run_handlers({"stack": made(code, **options)}, emulator)
    return found


ECHO = """
def handler(event, context):
    large = event.pop("ResponseURL")
    event["ResponseURL"] = large
    kept = {name: value for name, value in event.items() if name != "ResponseURL"}
    body = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    body |= {"Status": "SUCCESS", "PhysicalResourceId": "thing", "Reason": json.dumps([kept, sorted(os.environ),
             os.environ["TOPIC"], os.environ["NUMBER"], context.function_name])}
    call = urllib.request.Request(large, json.dumps(body).encode(), {"Content-Type": ""}, method="PUT")
    urllib.request.urlopen(call).close()
"""


@pytest.fixture(scope="module")
def echoed(running: Emulator) -> HandlerRun:
    running.reset()
    return run(running, ECHO, Count=3, On=True, Names=["a", ref("Topic")], Own=sub("${AWS::StackName}/x"))


class TestEvents:
    def test_it_is_created_twice_updated_and_deleted(self, echoed: HandlerRun) -> None:
        assert [call.request for call in echoed.calls] == ["Create", "Create, delivered twice", "Update", "Delete"]
        assert {call.status for call in echoed.calls} == {"SUCCESS"}
        assert echoed.problems == ()

    def test_properties_are_all_texts_and_references_are_resources_of_the_emulator(self, echoed: HandlerRun) -> None:
        event, _, topic, number, _ = json.loads(echoed.calls[0].reason)
        arn = f"arn:aws:sns:us-east-1:{ACCOUNT}:stack-Topic"
        properties = event["ResourceProperties"]
        assert properties.pop("ServiceToken").startswith("arn:aws:lambda:")
        assert properties == {"Count": "3", "On": "true", "Names": ["a", arn], "Own": "stack/x"}
        assert (topic, number) == (arn, "5")

    def test_events_have_what_cloudformation_sends_and_no_more(self, echoed: HandlerRun) -> None:
        create, again, update, delete = (json.loads(call.reason)[0] for call in echoed.calls)
        always = {"RequestType", "StackId", "RequestId", "ResourceType", "LogicalResourceId", "ResourceProperties"}
        assert set(create) == {*always, "ServiceToken"}
        assert create == again, "the same event, to the last letter"
        assert set(update) == {*create, "PhysicalResourceId", "OldResourceProperties"}
        assert update["OldResourceProperties"] != update["ResourceProperties"]
        assert set(delete) == {*create, "PhysicalResourceId"}
        assert delete["PhysicalResourceId"] == "thing"
        assert len({create["RequestId"], update["RequestId"], delete["RequestId"]}) == 3

    def test_it_sees_the_emulator_and_nothing_of_the_operators(self, echoed: HandlerRun, running: Emulator) -> None:
        names = set(json.loads(echoed.calls[0].reason)[1])
        assert {"AWS_ENDPOINT_URL", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_REGION"} <= names
        own = {name for name in os.environ if name not in {"PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "LC_CTYPE"}}
        assert not {name for name in names & own if not name.startswith(("AWS_", "PYTHON"))}
        assert running.environment()["AWS_ACCESS_KEY_ID"] == "rehearsal"


class FakeFunction:
    """Calls a function of the test in the place of the template's code, which answers to the response URL."""

    def __init__(self, handle: Callable[[dict[str, Any]], None]) -> None:
        self._handle = handle

    def call(self, event: dict[str, Any]) -> tuple[str, float]:
        try:
            self._handle(event)
        except KeyError as error:
            return f"KeyError: {error}", 0.0
        return "", 0.0


def put(event: dict[str, Any], **changes: Any) -> None:
    body = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    body |= {"Status": "SUCCESS", "PhysicalResourceId": "thing", **changes}
    call = urllib.request.Request(event["ResponseURL"], json.dumps(body).encode(), {"Content-Type": ""}, method="PUT")
    urllib.request.urlopen(call).close()


def faked(emulator: Emulator, handle: Callable[[dict[str, Any]], None]) -> HandlerRun:
    [found] = run_handlers({"stack": made("")}, emulator, functions=lambda *_: FakeFunction(handle))
    return found


class TestProblems:
    def test_no_answer_is_told(self, emulator: Emulator) -> None:
        found = faked(emulator, lambda event: None)  # noqa: ARG005
        assert "Create: no answer: CloudFormation would wait until its timeout" in found.problems

    def test_what_a_handler_raises_is_told(self, emulator: Emulator) -> None:
        found = faked(emulator, lambda event: event["Zone"])
        assert "Create: it raised KeyError: 'Zone'" in found.problems

    def test_a_refusal_is_told_with_its_reason(self, emulator: Emulator) -> None:
        found = faked(emulator, lambda event: put(event, Status="FAILED", Reason="no zone"))
        assert "Create: FAILED: no zone" in found.problems

    def test_a_second_id_for_the_same_event_is_told(self, emulator: Emulator) -> None:
        numbers = itertools.count()
        found = faked(emulator, lambda event: put(event, PhysicalResourceId=f"thing-{next(numbers)}"))
        assert any("another PhysicalResourceId, and one of both is lost" in problem for problem in found.problems)

    def test_an_update_that_would_delete_is_told_and_the_delete_is_sent(self, emulator: Emulator) -> None:
        """As with the name of the log stream, which many handlers take for the id."""
        events: list[dict[str, Any]] = []

        def handle(event: dict[str, Any]) -> None:
            events.append(event)
            put(event, PhysicalResourceId=f"stream-{event['RequestId']}")

        found = faked(emulator, handle)
        assert [call.request for call in found.calls][2:] == ["Update", "Delete of the old id", "Delete"]
        assert [event["PhysicalResourceId"] for event in events[3:]] == [
            found.calls[0].physical_id,
            found.calls[2].physical_id,
        ]
        assert any("every update ends with a Delete" in problem for problem in found.problems)

    def test_an_answer_for_another_request_is_not_taken(self, emulator: Emulator) -> None:
        found = faked(emulator, lambda event: put(event, RequestId="other"))
        assert "Create: RequestId is not the event's" in found.problems

    def test_what_the_emulator_lacks_is_a_gap_and_no_problem(self, emulator: Emulator) -> None:
        def handle(event: dict[str, Any]) -> None:
            with pytest.raises(ClientError):
                emulator.client("backup").list_backup_selections(BackupPlanId="x")
            put(event, Status="FAILED", Reason="it failed")

        found = faked(emulator, handle)
        assert found.gaps == ("list_backup_selections",)
        assert found.problems == ()


def test_cfnresponse_is_there_for_inline_code_as_in_lambda(emulator: Emulator) -> None:
    code = "import cfnresponse\ndef handler(event, context): cfnresponse.send(event, context, 'SUCCESS', {}, 'thing')"
    found = run(emulator, code)
    assert {call.status for call in found.calls} == {"SUCCESS"}
    assert found.problems == ()


class TestNotRun:
    def test_another_language_is_named(self, emulator: Emulator) -> None:
        assert (
            run(emulator, "", runtime="nodejs22.x").not_run == "it is written for nodejs22.x, and only Python runs here"
        )

    def test_a_language_that_only_a_parameter_tells_is_said_to_be_unknown(self, emulator: Emulator) -> None:
        asked = made("")
        asked["Parameters"] = {"Asked": {"Type": "String"}}
        asked["Resources"]["Function"]["Properties"]["Runtime"] = ref("Asked")
        [found] = run_handlers({"stack": asked}, emulator)
        assert found.not_run == "it is written for a runtime that is not known here, and only Python runs here"

    def test_code_in_an_archive_is_named(self, emulator: Emulator) -> None:
        packed = made("")
        packed["Resources"]["Function"]["Properties"]["Code"] = {"S3Bucket": "b", "S3Key": "k"}
        [found] = run_handlers({"stack": packed}, emulator)
        assert found.not_run == "its code is not in the template, but in an archive"
        assert found.calls == ()

    def test_a_function_elsewhere_is_named(self, emulator: Emulator) -> None:
        alone = template({"T": resource("Custom::Thing", ServiceToken="arn:aws:lambda:us-east-1:1:function:f")})
        [found] = run_handlers({"stack": alone}, emulator)
        assert found.not_run == "its ServiceToken is no function of these templates"


def test_waiting_is_played_and_lambdas_end_comes_nearer(emulator: Emulator) -> None:
    code = """
import time
def handler(event, context):
    before, began = context.get_remaining_time_in_millis(), time.time()
    time.sleep(40)
    answer(event, Reason=json.dumps([before, context.get_remaining_time_in_millis(), time.time() - began]))
"""
    call = run(emulator, code).calls[0]
    before, after, passed = json.loads(call.reason)
    assert 59_000 < before <= 60_000
    assert 19_000 < after <= 20_000
    assert 40 <= passed < 41
    assert 40 <= call.seconds_played < 41


def test_our_set_up_runs_and_it_is_said_that_no_container_did(emulator: Emulator) -> None:
    [found] = run_handlers(synthesize({}).stacks, emulator)
    assert found.type_name == "Custom::Setup"
    assert [call.status for call in found.calls] == ["SUCCESS"] * 4
    assert found.problems == found.gaps == ()
    assert any(caveat.startswith("the task itself did not run") for caveat in found.caveats)
    clusters = emulator.client("ecs").list_clusters()["clusterArns"]
    tasks = emulator.client("ecs").list_tasks(cluster=clusters[0], desiredStatus="STOPPED")["taskArns"]
    assert tasks, "the handler did ask ECS to run the task"
