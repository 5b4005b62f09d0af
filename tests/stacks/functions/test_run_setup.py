"""Behind `Custom::Setup`: one task, followed to its end, and one answer whatever happens."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from hostemr.stacks.functions.run_setup.handler import Setup, SetupFailed, handler
from tests.stacks.functions.fake_aws import (
    CLUSTER,
    Answers,
    Clock,
    Context,
    FakeECS,
    FakeFunctions,
    Killed,
    Killing,
    Plan,
    no_answer,
    refusal,
    response_url,
)

DEFINITION = "arn:aws:ecs:us-east-1:123456789012:task-definition/setup:7"
STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/openemr-service/1b2c"
PROPERTIES: dict[str, Any] = {
    "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:run-setup",
    "Cluster": CLUSTER,
    "TaskDefinition": DEFINITION,
    "Subnets": ["subnet-a", "subnet-b"],
    "SecurityGroups": ["sg-setup"],
    "AssignPublicIp": "DISABLED",
    "ContainerName": "openemr",
    "LogGroup": "/openemr/setup",
    "TimeoutSeconds": "3000",
    "Settings": "a digest that makes CloudFormation update",
}


@pytest.fixture
def answers() -> Iterator[Answers]:
    with response_url() as url:
        yield url


@pytest.fixture
def clock() -> Clock:
    return Clock()


def request(answers: Answers, kind: str = "Create", number: int = 1, **changes: Any) -> dict[str, Any]:
    event = {
        "RequestType": kind,
        "ResponseURL": answers.url,
        "StackId": STACK,
        "RequestId": f"00000000-0000-0000-0000-{number:012}",
        "ResourceType": "Custom::Setup",
        "LogicalResourceId": "Setup",
        "ResourceProperties": PROPERTIES | changes,
    }
    if kind != "Create":
        event["PhysicalResourceId"] = "hostemr-setup-as-it-was"
    return event


def live(ecs: FakeECS, event: dict[str, Any], functions: FakeFunctions | None = None, life: float = 900) -> int:
    """Lambda: the event, then what the function sent itself. Answers the number of lives."""
    functions = functions or FakeFunctions()
    functions.queue.append(event)
    for lives in itertools.count():
        if not functions.queue:
            return lives
        Setup(ecs, functions, ecs.clock, ecs.clock.sleep).handle(functions.queue.pop(0), Context(ecs.clock, life))
    raise AssertionError


def test_a_set_up_that_ends_with_0_lets_the_stack_go_on(answers: Answers, clock: Clock) -> None:
    ecs = FakeECS(clock, Plan())
    live(ecs, request(answers))
    (answer,) = answers.taken
    assert answer["Status"] == "SUCCESS"
    assert answer["RequestId"] == "00000000-0000-0000-0000-000000000001"
    assert (answer["StackId"], answer["LogicalResourceId"]) == (STACK, "Setup")
    number = ecs.tasks[0].arn.rsplit("/", 1)[1]
    assert f"/openemr/setup, stream setup/openemr/{number}" in answer["Reason"]
    (started,) = ecs.named("run_task")
    assert started["taskDefinition"] == DEFINITION
    assert started["launchType"] == "FARGATE"
    assert "overrides" not in started
    network = {"subnets": ["subnet-a", "subnet-b"], "securityGroups": ["sg-setup"], "assignPublicIp": "DISABLED"}
    assert started["networkConfiguration"] == {"awsvpcConfiguration": network}


def test_the_answer_has_an_empty_content_type_for_s3s_signature(answers: Answers, clock: Clock) -> None:
    live(FakeECS(clock, Plan()), request(answers))
    assert answers.headers[0]["Content-Type"] == ""
    assert int(answers.headers[0]["Content-Length"]) > 0


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_the_same_event_twice_starts_one_task_and_gives_the_same_answer(
    answers: Answers, clock: Clock, kind: str
) -> None:
    ecs = FakeECS(clock, Plan())
    live(ecs, request(answers, kind))
    live(ecs, request(answers, kind))
    assert len(ecs.tasks) == 1
    first, second = answers.taken
    assert first == second


def test_requests_of_one_resource_start_tasks_of_their_own(answers: Answers, clock: Clock) -> None:
    ecs = FakeECS(clock, Plan(), Plan())
    live(ecs, request(answers))
    live(ecs, request(answers, "Update", 2))
    assert len(ecs.tasks) == 2


def test_the_physical_id_stays_so_that_cloudformation_sends_no_delete(answers: Answers, clock: Clock) -> None:
    ecs = FakeECS(clock, Plan(), Plan())
    live(ecs, request(answers))
    created = answers.taken[0]["PhysicalResourceId"]
    live(ecs, request(answers, "Update", 2) | {"PhysicalResourceId": created})
    live(ecs, request(answers, "Delete", 3) | {"PhysicalResourceId": created})
    assert [answer["PhysicalResourceId"] for answer in answers.taken] == [created] * 3


@pytest.mark.parametrize("kind", ["Update", "Delete"])
def test_an_id_of_another_making_is_kept_too(answers: Answers, clock: Clock, kind: str) -> None:
    # CloudFormation makes one up when a Create was never answered.
    live(FakeECS(clock, Plan()), request(answers, kind) | {"PhysicalResourceId": "stack-Setup-1X2Y3Z"})
    assert answers.taken[0]["PhysicalResourceId"] == "stack-Setup-1X2Y3Z"


def test_a_rollback_runs_the_old_definition(answers: Answers, clock: Clock) -> None:
    ecs = FakeECS(clock, Plan(status=1), Plan())
    new = DEFINITION.replace(":7", ":8")
    live(ecs, request(answers, "Update", 2, TaskDefinition=new))
    live(ecs, request(answers, "Update", 3) | {"OldResourceProperties": PROPERTIES | {"TaskDefinition": new}})
    assert [answer["Status"] for answer in answers.taken] == ["FAILED", "SUCCESS"]
    assert [call["taskDefinition"] for call in ecs.named("run_task")] == [new, DEFINITION]


@pytest.mark.parametrize(
    ("status", "meaning"), [(1, "status 1 (failed)"), (4, "status 4 (refused, so as not to harm data)")]
)
def test_a_set_up_that_fails_fails_the_stack_with_its_status_and_log(
    answers: Answers, clock: Clock, status: int, meaning: str
) -> None:
    ecs = FakeECS(clock, Plan(status=status))
    live(ecs, request(answers))
    (answer,) = answers.taken
    assert answer["Status"] == "FAILED"
    assert meaning in answer["Reason"]
    assert "stream setup/openemr/" in answer["Reason"]
    assert "\n" not in answer["Reason"]
    assert len(ecs.tasks) == 1


@pytest.mark.parametrize(
    "plan",
    [
        Plan(status=75, reason="lock"),
        Plan(status=None, code="SpotInterruption"),
        Plan(status=137, code="InfrastructureHealth"),
        Plan(status=0, code="TerminationNotice"),
        Plan(status=None, code="TaskFailedToStart", reason="Capacity is unavailable at this time. Please try again"),
        Plan(status=None, code="TaskFailedToStart", reason="Timeout waiting for network interface provisioning"),
    ],
)
def test_a_set_up_that_was_in_the_way_or_interrupted_is_run_again(answers: Answers, clock: Clock, plan: Plan) -> None:
    ecs = FakeECS(clock, plan, Plan())
    live(ecs, request(answers))
    assert [answer["Status"] for answer in answers.taken] == ["SUCCESS"]
    assert len(ecs.tasks) == 2


@pytest.mark.parametrize(
    "plan",
    [
        Plan(status=None, code="TaskFailedToStart", reason="CannotPullContainerError: manifest unknown\nretry"),
        Plan(status=143, code="UserInitiated", reason="stopped in the console"),
        Plan(status=0, code="UserInitiated", reason="stopped in the console"),
        Plan(status=None, code="EssentialContainerExited", reason="another container ended"),
    ],
)
def test_a_task_that_was_stopped_fails_with_the_reason(answers: Answers, clock: Clock, plan: Plan) -> None:
    ecs = FakeECS(clock, plan)
    live(ecs, request(answers))
    (answer,) = answers.taken
    assert answer["Status"] == "FAILED"
    assert plan.reason.split("\n", maxsplit=1)[0] in answer["Reason"]


def test_only_the_named_containers_status_counts(answers: Answers, clock: Clock) -> None:
    ecs = FakeECS(clock, Plan(), container="something-else")
    live(ecs, request(answers))
    assert answers.taken[0]["Status"] == "FAILED"


def test_a_task_without_capacity_is_tried_again_with_growing_pauses(answers: Answers, clock: Clock) -> None:
    ecs = FakeECS(clock, Plan())
    ecs.not_placed = ["RESOURCE:ENI", "Capacity is unavailable at this time.", "RESOURCE:MEMORY"]
    live(ecs, request(answers))
    assert answers.taken[0]["Status"] == "SUCCESS"
    assert clock.slept[:3] == [10, 20, 40]
    tokens = [call["clientToken"] for call in ecs.named("run_task")]
    assert len(set(tokens)) == 4


@pytest.mark.parametrize("call", ["run_task", "describe_tasks"])
@pytest.mark.parametrize(
    "error",
    [
        refusal("ThrottlingException"),
        refusal("ServerException"),
        refusal("ClientException", message="Capacity is unavailable at this time."),
        no_answer(),
    ],
    ids=["throttled", "server", "capacity", "no answer"],
)
def test_a_passing_error_is_outlasted_without_a_second_task(
    answers: Answers, clock: Clock, call: str, error: Exception
) -> None:
    ecs = FakeECS(clock, Plan())
    ecs.errors[call] = [error] * 5
    live(ecs, request(answers))
    assert [answer["Status"] for answer in answers.taken] == ["SUCCESS"]
    assert len(ecs.tasks) == 1
    assert len({started["clientToken"] for started in ecs.named("run_task")}) == 1


@pytest.mark.parametrize("call", ["run_task", "describe_tasks"])
@pytest.mark.parametrize("code", ["AccessDeniedException", "ClientException", "InvalidParameterException"])
def test_a_lasting_error_fails_at_once_and_leaves_no_task_behind(
    answers: Answers, clock: Clock, call: str, code: str
) -> None:
    ecs = FakeECS(clock, Plan())
    ecs.errors[call] = [refusal(code)]
    live(ecs, request(answers))
    (answer,) = answers.taken
    assert answer["Status"] == "FAILED"
    assert code in answer["Reason"]
    assert clock.slept == []
    assert ecs.running() == []


def test_a_task_that_ecs_does_not_know_yet_is_waited_for(answers: Answers, clock: Clock) -> None:
    ecs = FakeECS(clock, Plan(seconds=30))
    ecs.unknown_for = 20
    live(ecs, request(answers))
    assert answers.taken[0]["Status"] == "SUCCESS"


def test_a_task_that_ecs_never_knows_fails(answers: Answers, clock: Clock) -> None:
    ecs = FakeECS(clock, Plan())
    ecs.unknown_for = 1000
    live(ecs, request(answers))
    assert "does not know the task" in answers.taken[0]["Reason"]


def test_a_set_up_of_forty_minutes_takes_three_lives_and_one_task(answers: Answers, clock: Clock) -> None:
    ecs, functions = FakeECS(clock, Plan(seconds=2400)), FakeFunctions()
    lives = live(ecs, request(answers), functions)
    assert lives == 3
    assert len(ecs.named("run_task")) == 1
    assert [answer["Status"] for answer in answers.taken] == ["SUCCESS"]


def test_a_state_that_arrives_twice_is_harmless(answers: Answers, clock: Clock) -> None:
    ecs, functions = FakeECS(clock, Plan(status=75, seconds=1000), Plan(seconds=300)), FakeFunctions()
    Setup(ecs, functions, clock, clock.sleep).handle(request(answers), Context(clock))
    (state,) = functions.queue
    for _ in range(2):
        Setup(ecs, functions, clock, clock.sleep).handle(state, Context(clock))
    assert len(ecs.tasks) == 2
    first_answer, second_answer = answers.taken
    assert first_answer == second_answer
    assert first_answer["Status"] == "SUCCESS"


def test_a_set_up_that_takes_too_long_is_stopped(answers: Answers, clock: Clock) -> None:
    ecs = FakeECS(clock, Plan(seconds=100_000))
    begun = clock()
    live(ecs, request(answers, TimeoutSeconds="3000"))
    (answer,) = answers.taken
    assert answer["Status"] == "FAILED"
    assert "did not end within 3000 s" in answer["Reason"]
    assert ecs.running() == []
    assert clock() - begun <= 3000


def test_a_lock_that_is_never_free_fails_in_time(answers: Answers, clock: Clock) -> None:
    ecs = FakeECS(clock, *[Plan(status=75, seconds=60) for _ in range(100)])
    begun = clock()
    live(ecs, request(answers))
    assert answers.taken[0]["Status"] == "FAILED"
    assert 2900 < clock() - begun <= 3000
    assert ecs.running() == []


def test_a_function_that_cannot_call_itself_stops_the_task_and_says_so(answers: Answers, clock: Clock) -> None:
    ecs, functions = FakeECS(clock, Plan(seconds=2000)), FakeFunctions()
    functions.errors["invoke"] = [refusal("AccessDeniedException", "Invoke")]
    live(ecs, request(answers), functions)
    assert answers.taken[0]["Status"] == "FAILED"
    assert "Invoke" in answers.taken[0]["Reason"]
    assert ecs.running() == []


def test_a_task_that_cannot_be_stopped_does_not_keep_the_answer_back(answers: Answers, clock: Clock) -> None:
    ecs = FakeECS(clock, Plan(seconds=100_000))
    ecs.errors["stop_task"] = [refusal("AccessDeniedException", "StopTask")]
    live(ecs, request(answers))
    assert "did not end within" in answers.taken[0]["Reason"]


def test_every_kill_is_made_good_when_lambda_delivers_the_event_again(answers: Answers) -> None:
    for number, when in ((number, when) for number in range(200) for when in ("before", "after")):
        clock = Clock()
        functions = FakeFunctions()
        ecs = FakeECS(clock, Plan(status=75, seconds=20), Plan(seconds=900))
        counter = itertools.count()
        killed = False
        queue = [request(answers)]
        answers.taken.clear()
        while queue:
            event = queue.pop(0)
            mortal = Setup(
                Killing(counter, number, when, of=ecs), Killing(counter, number, when, of=functions), clock, clock.sleep
            )
            try:
                mortal.handle(event, Context(clock, 300))
            except Killed:
                killed = True
                queue.append(event)
            queue += functions.queue
            functions.queue = []
        assert {answer["Status"] for answer in answers.taken} == {"SUCCESS"}, (number, when)
        assert len(ecs.tasks) == 2, (number, when)
        if not killed:
            break
    assert 20 < number < 199


@pytest.mark.parametrize("created", [True, False])
def test_a_delete_succeeds_at_once_also_after_a_create_that_failed(
    answers: Answers, clock: Clock, created: bool
) -> None:
    ecs = FakeECS(clock, Plan(status=0 if created else 1))
    live(ecs, request(answers))
    answers.taken.clear()
    for _ in range(2):
        live(ecs, request(answers, "Delete", 2))
    assert [answer["Status"] for answer in answers.taken] == ["SUCCESS"] * 2
    assert {name for name, _ in ecs.calls} == {"run_task", "describe_tasks", "list_tasks"}
    assert len(ecs.tasks) == 1


def test_a_delete_stops_the_task_that_still_runs_for_the_resource_and_no_other(answers: Answers, clock: Clock) -> None:
    ecs, functions = FakeECS(clock, Plan(seconds=5000), Plan(seconds=5000)), FakeFunctions()
    Setup(ecs, functions, clock, clock.sleep).handle(request(answers), Context(clock))
    other = request(answers, number=2) | {"StackId": STACK + "-other"}
    Setup(ecs, functions, clock, clock.sleep).handle(other, Context(clock))
    assert len(ecs.running()) == 2
    live(ecs, request(answers, "Delete", 3))
    assert [task.arn for task in ecs.running()] == [ecs.tasks[1].arn]


@pytest.mark.parametrize("call", ["list_tasks", "stop_task"])
def test_a_delete_succeeds_although_ecs_refuses(answers: Answers, clock: Clock, call: str) -> None:
    ecs, functions = FakeECS(clock, Plan(seconds=5000)), FakeFunctions()
    Setup(ecs, functions, clock, clock.sleep).handle(request(answers), Context(clock))
    ecs.errors[call] = [refusal("AccessDeniedException")]
    live(ecs, request(answers, "Delete", 2))
    assert answers.taken[-1]["Status"] == "SUCCESS"


def test_all_wrong_properties_are_told_at_once(answers: Answers, clock: Clock) -> None:
    wrong: dict[str, Any] = {"Cluster": "", "Subnets": "subnet-a", "SecurityGroups": [], "AssignPublicIp": "maybe"}
    ecs = FakeECS(clock)
    live(ecs, request(answers, **wrong, TimeoutSeconds="1e9"))
    (answer,) = answers.taken
    assert answer["Status"] == "FAILED"
    assert all(name in answer["Reason"] for name in [*wrong, "TimeoutSeconds"])
    assert ecs.calls == []


def test_a_delete_with_wrong_properties_succeeds(answers: Answers, clock: Clock) -> None:
    event = request(answers, "Delete")
    del event["ResourceProperties"]
    live(FakeECS(clock), event)
    assert answers.taken[0]["Status"] == "SUCCESS"


@pytest.mark.parametrize("statuses", [[503, 503], [503, 0]])
def test_an_answer_outlasts_a_server_that_fails_twice(answers: Answers, clock: Clock, statuses: list[int]) -> None:
    answers.statuses = list(statuses)
    live(FakeECS(clock, Plan()), request(answers))
    assert answers.tried == 3
    assert [answer["Status"] for answer in answers.taken] == ["SUCCESS"]
    assert clock.slept[-2:] == [1, 2]


def test_an_answer_that_nobody_takes_makes_lambda_try_again(answers: Answers, clock: Clock) -> None:
    answers.statuses = [503] * 5
    ecs = FakeECS(clock, Plan())
    with pytest.raises(OSError, match="503"):
        live(ecs, request(answers))
    live(ecs, request(answers))
    assert len(ecs.tasks) == 1
    assert [answer["Status"] for answer in answers.taken] == ["SUCCESS"]


def test_an_expired_url_is_not_tried_again(answers: Answers, clock: Clock) -> None:
    answers.statuses = [403]
    with pytest.raises(OSError, match="403"):
        live(FakeECS(clock, Plan()), request(answers))
    assert answers.tried == 1


@pytest.mark.parametrize("text", ['"\\' * 3000, "\u00e4\U0001f600" * 3000, "a\n\t\x07b " * 3000])
def test_a_long_reason_fits_into_the_answer(answers: Answers, clock: Clock, text: str) -> None:
    ecs = FakeECS(clock)
    ecs.errors["run_task"] = [refusal("AccessDeniedException", message=text)]
    event = request(answers) | {"StackId": STACK + "x" * 250, "LogicalResourceId": "L" * 255}
    live(ecs, event)
    (answer,) = answers.taken
    assert answer["Status"] == "FAILED"
    assert "\n" not in answer["Reason"]


def test_the_log_is_json_by_lines_without_the_answers_url(
    answers: Answers, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    answers.statuses = [503]
    live(FakeECS(clock, Plan(seconds=2000)), request(answers))
    said = capsys.readouterr().out
    assert "signature" not in said
    assert answers.url not in said
    lines = [json.loads(line) for line in said.splitlines()]
    assert {"follows a task", "task ended", "answers", "not answered"} <= {line["message"] for line in lines}


def test_by_hand_the_environment_says_what_to_run(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK", json.dumps(PROPERTIES))
    ecs = FakeECS(clock, Plan(), Plan())
    setup = Setup(ecs, FakeFunctions(), clock, clock.sleep)
    assert setup.handle({}, Context(clock))["Status"] == "SUCCESS"
    newer = DEFINITION.replace(":7", ":9")
    assert setup.handle({"TaskDefinition": newer}, Context(clock))["Status"] == "SUCCESS"
    assert [call["taskDefinition"] for call in ecs.named("run_task")] == [DEFINITION, newer]


def test_by_hand_a_failure_is_raised(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK", json.dumps(PROPERTIES))
    with pytest.raises(SetupFailed, match="status 4"):
        Setup(FakeECS(clock, Plan(status=4)), FakeFunctions(), clock, clock.sleep).handle({}, Context(clock))
    monkeypatch.delenv("TASK")
    with pytest.raises(SetupFailed, match="Cluster should be a text"):
        Setup(FakeECS(clock), FakeFunctions(), clock, clock.sleep).handle({}, Context(clock))


def test_by_hand_a_long_set_up_goes_on_by_itself(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK", json.dumps(PROPERTIES))
    ecs, functions = FakeECS(clock, Plan(seconds=2000)), FakeFunctions()
    result = Setup(ecs, functions, clock, clock.sleep).handle({}, Context(clock))
    assert result["Status"] == "RUNNING"
    assert ecs.tasks[0].arn in result["Reason"]
    assert functions.queue == []
    assert len(ecs.running()) == 1


@mock_aws
def test_real_calls_reach_an_emulated_ecs(answers: Answers, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    ec2, ecs = boto3.client("ec2"), boto3.client("ecs")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="setup", Description="setup", VpcId=vpc)["GroupId"]
    cluster = ecs.create_cluster(clusterName="openemr")["cluster"]["clusterArn"]
    definition = ecs.register_task_definition(
        family="setup",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="512",
        memory="1024",
        containerDefinitions=[{"name": "openemr", "image": "openemr/openemr", "memory": 512}],
    )["taskDefinition"]["taskDefinitionArn"]
    where = {"Cluster": cluster, "TaskDefinition": definition, "Subnets": [subnet], "SecurityGroups": [group]}
    Setup(ecs, FakeFunctions(), clock, clock.sleep).handle(request(answers, **where), Context(clock))
    assert answers.taken[0]["Status"] == "SUCCESS"


@mock_aws
def test_the_entry_makes_its_own_clients(answers: Answers, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("ecs").create_cluster(clusterName="openemr")
    event = request(answers, "Delete", Cluster="openemr")
    assert handler(event, Context(clock))["Status"] == "SUCCESS"
    assert answers.taken[0]["Status"] == "SUCCESS"
    monkeypatch.setenv("TASK", json.dumps(PROPERTIES | {"Cluster": "another"}))
    with pytest.raises(ClientError, match="Cluster not found"):
        handler({}, Context(clock))
