"""Behind `EFStoS3ExportLambda`: one copy at a time, and its task at once."""

from __future__ import annotations

import itertools
import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws

from hostemr.stacks.functions.export_files.handler import Export, ExportFailed, Task, handler
from tests.stacks.functions.fake_aws import Killed, Killing, no_answer, refusal
from tests.stacks.functions.fake_exports import START, Copy, FakeTasks, Time

CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/exports"
TASK: dict[str, Any] = {
    "Cluster": CLUSTER,
    "Family": "openemr-analytics-files",
    "TaskDefinition": "arn:aws:ecs:us-east-1:123456789012:task-definition/openemr-analytics-files:3",
    "Subnets": ["subnet-a", "subnet-b"],
    "SecurityGroups": ["sg-copy", "sg-clients"],
}


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def ecs(time: Time) -> FakeTasks:
    return FakeTasks(time)


def invoke(ecs: Any, time: Time, **changes: Any) -> dict[str, str]:
    return Export(ecs, Task.read(json.dumps(TASK | changes)), time.seconds).handle()


def test_it_answers_the_task_at_once(ecs: FakeTasks, time: Time) -> None:
    answer = invoke(ecs, time)
    assert answer == {"taskArn": ecs.copies[0].arn, "cluster": CLUSTER, "startedAt": START.isoformat()}
    (started,) = ecs.named("run_task")
    assert started["taskDefinition"] == TASK["TaskDefinition"]
    assert started["launchType"] == "FARGATE"
    assert "overrides" not in started
    network = {"subnets": TASK["Subnets"], "securityGroups": TASK["SecurityGroups"], "assignPublicIp": "DISABLED"}
    assert started["networkConfiguration"] == {"awsvpcConfiguration": network}


@pytest.mark.parametrize("prepared", [False, True])
def test_while_one_copies_it_is_the_answer(ecs: FakeTasks, time: Time, prepared: bool) -> None:
    first = invoke(ecs, time)
    time.passes(minutes=20)
    ecs.copies[0].started = time() if prepared else None
    second = invoke(ecs, time)
    assert second["taskArn"] == first["taskArn"]
    assert second["startedAt"] == (time() if prepared else START).isoformat()
    assert len(ecs.copies) == 1


@pytest.mark.parametrize("minutes", [0, 5, 59, 61, 200, 24 * 60 + 1])
def test_after_it_has_ended_the_next_call_starts_another(ecs: FakeTasks, time: Time, minutes: int) -> None:
    for number in range(1, 4):
        invoke(ecs, time)
        assert len(ecs.copies) == number
        time.passes(seconds=2)
        ecs.copies[-1].stopped = time()
        time.passes(minutes=minutes)


def test_a_task_that_is_still_listed_but_has_stopped_is_no_answer(ecs: FakeTasks, time: Time) -> None:
    invoke(ecs, time)
    ecs.copies[0].stopped = time()
    # ECS is eventually consistent: one list is late.
    ecs.late = {ecs.copies[0].arn}
    assert invoke(ecs, time)["taskArn"] == ecs.copies[1].arn


def test_two_calls_at_the_same_time_start_one_task(ecs: FakeTasks, time: Time) -> None:
    first, second = (Export(ecs, Task.read(json.dumps(TASK)), time.seconds) for _ in range(2))
    # Both have looked before either started.
    assert first.running() is None
    assert second.running() is None
    assert first.start()["taskArn"] == second.start()["taskArn"]
    assert len(ecs.copies) == 1


def test_another_definition_is_another_task(ecs: FakeTasks, time: Time) -> None:
    invoke(ecs, time)
    ecs.lists_new_ones = False
    invoke(ecs, time, TaskDefinition=TASK["TaskDefinition"] + "1")
    assert len(ecs.copies) == 2


def test_other_tasks_of_the_cluster_are_not_the_answer(ecs: FakeTasks, time: Time) -> None:
    ecs.copies.append(Copy("arn:of-another", "another-family", "another-token", time()))
    assert invoke(ecs, time)["taskArn"] == ecs.copies[1].arn


def test_no_place_is_told_with_its_reason_and_the_next_call_tries_again(ecs: FakeTasks, time: Time) -> None:
    ecs.no_place = "Capacity is unavailable at this time"
    with pytest.raises(ExportFailed, match="Capacity is unavailable at this time"):
        invoke(ecs, time)
    ecs.no_place = None
    assert invoke(ecs, time)["taskArn"] == ecs.copies[0].arn


@pytest.mark.parametrize("name", ["list_tasks", "run_task", "describe_tasks"])
@pytest.mark.parametrize("error", [refusal("ThrottlingException"), refusal("AccessDeniedException"), no_answer()])
def test_what_ecs_refuses_is_raised_and_starts_nothing_more(
    ecs: FakeTasks, time: Time, name: str, error: Exception
) -> None:
    if name == "describe_tasks":
        invoke(ecs, time)
    before = len(ecs.copies)
    ecs.errors[name] = [error]
    with pytest.raises((ClientError, ConnectTimeoutError)):
        invoke(ecs, time)
    assert len(ecs.copies) == before
    invoke(ecs, time)
    assert len(ecs.copies) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_killed_at_any_call_the_next_one_finds_or_starts_the_one_task(
    ecs: FakeTasks, time: Time, at: int, when: str
) -> None:
    with pytest.raises(Killed):
        invoke(Killing(itertools.count(), at, when, of=ecs), time)
    answer = invoke(ecs, time)
    assert [copy.arn for copy in ecs.copies] == [answer["taskArn"]]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "should be a JSON object"),
        ("[]", "should be a JSON object"),
        ("{}", "Cluster should be a text; Family should be a text; TaskDefinition should be a text; Subnets should"),
        (json.dumps(TASK | {"Subnets": []}), "Subnets should be a list of ids"),
        (json.dumps(TASK | {"SecurityGroups": [""], "Family": ""}), "Family should be a text; SecurityGroups should"),
    ],
)
def test_a_wrong_environment_is_told_whole(text: str, told: str) -> None:
    with pytest.raises(ExportFailed, match=told):
        Task.read(text)


def test_the_entry_works_against_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        ecs = boto3.client("ecs")
        cluster = ecs.create_cluster(clusterName="exports")["cluster"]["clusterArn"]
        definition = ecs.register_task_definition(
            family=TASK["Family"],
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            containerDefinitions=[{"name": "copy", "image": "aws-cli", "memory": 512}],
        )["taskDefinition"]["taskDefinitionArn"]
        ec2 = boto3.client("ec2")
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
        given = {"Cluster": cluster, "TaskDefinition": definition, "Subnets": [subnet], "SecurityGroups": [group]}
        monkeypatch.setenv("TASK", json.dumps(TASK | given))
        first, second = handler({}, None), handler({}, None)
        assert first["taskArn"] == second["taskArn"]
        ecs.stop_task(cluster=cluster, task=first["taskArn"])
        assert handler({}, None)["taskArn"] != first["taskArn"]
