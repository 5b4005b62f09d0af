"""Rotation by Secrets Manager (moto's), with a database that the task changes as the set-up script does."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.secretsmanager.models import secretsmanager_backends

from hostemr.stacks.functions.rotate_credentials.handler import PROVEN, Rotation, RotationFailed, Task, handler
from tests.stacks.functions.fake_aws import CLUSTER, Clock, Context, FakeECS, Killed, Killing, Plan, no_answer, refusal

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
DEFINITION = "arn:aws:ecs:us-east-1:123456789012:task-definition/credentials:3"
PROPERTIES: dict[str, Any] = {
    "Cluster": CLUSTER,
    "TaskDefinition": DEFINITION,
    "Subnets": ["subnet-a"],
    "SecurityGroups": ["sg-setup"],
    "ContainerName": "openemr",
    "LogGroup": "/openemr/setup",
}
FIRST = {"username": "openemr_a", "password": "first", "dbname": "openemr"}


@dataclass
class Database:
    """Users, and the credential by which OpenEMR logs in, which has to work at every moment."""

    secrets: Any
    arn: str
    users: dict[str, str] = field(default_factory=lambda: {"openemr_a": "first", "openemr_b": "never told"})
    locked: set[str] = field(default_factory=lambda: {"openemr_b"})
    sqlconf: tuple[str, str] = ("openemr_a", "first")
    runs: int = 0

    def takes(self, user: str, password: str) -> bool:
        return user not in self.locked and self.users[user] == password

    def rotate(self) -> int:
        """What the script does in mode `credentials`."""
        self.runs += 1
        following, current = self.staged("AWSPENDING"), self.staged("AWSCURRENT")
        name, old = following["username"], current["username"]
        assert name != old
        self.users[name] = following["password"]
        self.locked.discard(name)
        assert self.takes(*self.sqlconf), "OpenEMR is locked out"
        self.sqlconf = (name, following["password"])
        self.users[old] = uuid.uuid4().hex
        self.locked.add(old)
        return 0

    def staged(self, stage: str) -> dict[str, str]:
        # By stage: moto's answer without one is stale after a stage has moved.
        text = self.secrets.get_secret_value(SecretId=self.arn, VersionStage=stage)["SecretString"]
        value: dict[str, str] = json.loads(text)
        return value


@dataclass
class World:
    """A secret, its database, and ECS."""

    secrets: Any
    database: Database
    clock: Clock
    ecs: FakeECS
    arn: str
    more: dict[str, Any] = field(default_factory=dict)
    """What TASK has beside PROPERTIES."""

    def begin(self, value: dict[str, str] | None = None) -> str:
        """Secrets Manager begins a rotation; answers its token."""
        token = str(uuid.uuid4())
        version = {"createdate": 0, "version_id": token, "version_stages": ["AWSPENDING"]}
        stored = _stored(self.arn)
        stored.remove_version_stages_from_old_versions(["AWSPENDING"])
        stored.versions[token] = version | ({"secret_string": json.dumps(value)} if value else {})
        return token

    def step(self, name: str, token: str, *, life: float = 900, secrets: Any = None, ecs: Any = None) -> None:
        task = Task.read(json.dumps(PROPERTIES | self.more))
        event = {"Step": name, "SecretId": self.arn, "ClientRequestToken": token}
        Rotation(secrets or self.secrets, ecs or self.ecs, task, self.clock, self.clock.sleep).step(
            event, Context(self.clock, life)
        )

    def rotate(self, token: str) -> None:
        for name in STEPS:
            self.step(name, token)

    def stages(self) -> dict[str, list[str]]:
        described = self.secrets.describe_secret(SecretId=self.arn)["VersionIdsToStages"]
        return {version: sorted(stages) for version, stages in described.items() if stages}

    def assert_in_step(self) -> None:
        """The secret, the application and the database agree, and the other user is of no use."""
        current = self.database.staged("AWSCURRENT")
        assert self.database.sqlconf == (current["username"], current["password"])
        assert self.database.takes(current["username"], current["password"])
        other = {"openemr_a": "openemr_b", "openemr_b": "openemr_a"}[current["username"]]
        assert other in self.database.locked
        assert current["dbname"] == "openemr"


def _stored(arn: str) -> Any:
    # moto's RotateSecret would call the function by itself, in Docker.
    return secretsmanager_backends["123456789012"]["us-east-1"].secrets[arn]


def new_world(secrets: Any) -> World:
    arn = secrets.create_secret(Name=f"openemr-{uuid.uuid4()}", SecretString=json.dumps(FIRST))["ARN"]
    _stored(arn).rotation_requested = _stored(arn).rotation_enabled = True
    clock, database = Clock(), Database(secrets, arn)
    ecs = FakeECS(clock, *[Plan(effect=database.rotate) for _ in range(20)])
    return World(secrets, database, clock, ecs, arn)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """moto's Secrets Manager, where each test has a secret of its own: a client takes long to make."""
    with mock_aws():
        yield boto3.client("secretsmanager", region_name="us-east-1")


@pytest.fixture
def world(client: Any) -> World:
    return new_world(client)


def test_six_rotations_change_both_users_and_make_every_older_password_worthless(world: World) -> None:
    seen = [("openemr_a", "first"), ("openemr_b", "never told")]
    for number in range(6):
        world.rotate(world.begin())
        world.assert_in_step()
        current = world.database.staged("AWSCURRENT")
        assert current["username"] == ("openemr_b", "openemr_a")[number % 2]
        assert len(current["password"]) == 32
        assert current["password"].isalnum()
        assert not any(world.database.takes(*older) for older in seen)
        seen += world.database.users.items()
    assert world.database.runs == 6
    assert len(world.ecs.tasks) == 6


def test_every_step_can_be_repeated(world: World) -> None:
    for _ in range(6):
        token = world.begin()
        for name in STEPS:
            world.step(name, token)
            world.step(name, token)
        finished = world.stages()
        for name in STEPS:
            world.step(name, token)
        world.assert_in_step()
        assert world.stages() == finished
        assert sorted(itertools.chain(*finished.values())) == ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"]
    assert len(world.ecs.tasks) == 6


def test_a_finished_rotation_leaves_only_the_stages_of_secrets_manager(world: World) -> None:
    (first,) = world.stages()
    token = world.begin()
    world.rotate(token)
    assert world.stages() == {first: ["AWSPREVIOUS"], token: ["AWSCURRENT", "AWSPENDING"]}


def test_the_task_is_started_in_its_mode_with_no_secret_in_the_call(world: World) -> None:
    token = world.begin()
    world.rotate(token)
    (started,) = world.ecs.named("run_task")
    override = {"name": "openemr", "environment": [{"name": "SETUP_MODE", "value": "credentials"}]}
    assert started["overrides"] == {"containerOverrides": [override]}
    assert started["taskDefinition"] == DEFINITION
    pending = world.database.staged("AWSCURRENT")
    assert pending["password"] not in json.dumps(world.ecs.calls)


def test_nothing_secret_is_logged(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.rotate(world.begin())
    said = capsys.readouterr().out
    assert {"step", "started", "task ended"} <= {json.loads(line)["message"] for line in said.splitlines()}
    assert world.database.staged("AWSCURRENT")["password"] not in said
    assert "first" not in said


def test_a_function_killed_between_any_two_calls_is_taken_up_again(client: Any) -> None:
    # Before a call is after the one before it.
    for number in range(100):
        world = new_world(client)
        token = world.begin()
        counter = itertools.count()
        secrets = Killing(counter, number, "after", of=world.secrets)
        ecs = Killing(counter, number, "after", of=world.ecs)
        try:
            for name in STEPS:
                world.step(name, token, secrets=secrets, ecs=ecs)
        except Killed:
            # Secrets Manager starts again from the first step.
            world.rotate(token)
        else:
            break
        world.assert_in_step()
        assert PROVEN not in itertools.chain(*world.stages().values())
        assert len(world.ecs.running()) == 0
        world.rotate(world.begin())
        world.assert_in_step()
    assert 15 < number < 99


def test_a_task_that_still_runs_is_followed_by_the_next_try_and_no_second_is_started(world: World) -> None:
    world.ecs.plans.insert(0, Plan(seconds=250, effect=world.database.rotate))
    token = world.begin()
    world.step("createSecret", token)
    for _ in range(2):
        with pytest.raises(RotationFailed, match="the next try follows arn:aws:ecs"):
            world.step("setSecret", token, life=120)
    world.rotate(token)
    world.assert_in_step()
    assert len(world.ecs.tasks) == 1


@pytest.mark.parametrize(
    "plan",
    [
        Plan(status=75),
        Plan(status=76),
        Plan(status=None, code="SpotInterruption"),
        Plan(status=143, code="InfrastructureHealth"),
        Plan(status=None, code="TaskFailedToStart", reason="Capacity is unavailable at this time."),
    ],
)
def test_a_task_in_the_way_or_interrupted_is_run_again_in_the_same_step(world: World, plan: Plan) -> None:
    world.ecs.plans.insert(0, plan)
    world.rotate(world.begin())
    world.assert_in_step()
    assert len(world.ecs.tasks) == 2


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(status=1), "status 1 \\(failed\\)"),
        (Plan(status=4), "refused, so as not to harm data"),
        (Plan(status=None, code="TaskFailedToStart", reason="CannotPullContainerError"), "CannotPullContainerError"),
        (Plan(status=0, code="UserInitiated", reason="by hand"), "UserInitiated: by hand"),
    ],
)
def test_a_task_that_fails_fails_the_step_and_the_next_try_starts_another(
    world: World, plan: Plan, message: str
) -> None:
    world.ecs.plans.insert(0, plan)
    token = world.begin()
    world.step("createSecret", token)
    with pytest.raises(RotationFailed, match=message):
        world.step("setSecret", token)
    with pytest.raises(RotationFailed, match="No task has proven"):
        world.step("testSecret", token)
    assert world.database.staged("AWSCURRENT") == FIRST
    world.rotate(token)
    world.assert_in_step()


@pytest.mark.parametrize("call", ["list_tasks", "run_task", "describe_tasks"])
@pytest.mark.parametrize("error", [refusal("ThrottlingException"), refusal("ServerException"), no_answer()])
def test_a_passing_error_is_outlasted(world: World, call: str, error: Exception) -> None:
    world.ecs.errors[call] = [error] * 4
    world.rotate(world.begin())
    world.assert_in_step()
    assert len(world.ecs.tasks) == 1


@pytest.mark.parametrize("call", ["list_tasks", "run_task", "describe_tasks"])
def test_a_lasting_error_fails_the_step_at_once(world: World, call: str) -> None:
    token = world.begin()
    world.step("createSecret", token)
    world.ecs.errors[call] = [refusal("AccessDeniedException")]
    with pytest.raises(ClientError, match="AccessDenied"):
        world.step("setSecret", token)
    assert world.clock.slept == []
    world.rotate(token)
    world.assert_in_step()
    assert len(world.ecs.tasks) == 1


def test_without_capacity_the_step_fails_in_time(world: World) -> None:
    world.ecs.not_placed = ["RESOURCE:ENI"] * 100
    token = world.begin()
    world.step("createSecret", token)
    begun = world.clock()
    with pytest.raises(RotationFailed, match="follows a new one"):
        world.step("setSecret", token)
    assert 700 < world.clock() - begun < 870


def test_a_rotation_given_up_after_its_task_does_not_lock_the_application_out(world: World) -> None:
    abandoned = world.begin()
    for name in STEPS[:2]:
        world.step(name, abandoned)
    assert PROVEN in world.stages()[abandoned]
    world.rotate(world.begin())
    world.assert_in_step()
    assert world.database.sqlconf[0] == "openemr_a"


def test_a_value_put_by_hand_after_a_rotation_is_what_the_next_one_starts_from(world: World) -> None:
    token = world.begin()
    world.rotate(token)
    # moto would take the stage from the version that was current before, and leave two.
    _stored(world.arn).set_default_version_id(token)
    by_hand = world.database.staged("AWSCURRENT") | {"password": "by hand", "note": "kept"}
    world.secrets.put_secret_value(SecretId=world.arn, SecretString=json.dumps(by_hand))
    token = world.begin()
    world.step("createSecret", token)
    pending = world.database.staged("AWSPENDING")
    assert (pending["username"], pending["note"]) == ("openemr_a", "kept")
    assert world.database.staged("AWSCURRENT") == by_hand


def test_secrets_managers_own_test_with_a_copy_of_the_current_value_passes(world: World) -> None:
    world.step("testSecret", world.begin(FIRST))
    assert world.ecs.calls == []


def test_a_pending_value_for_the_user_in_use_never_reaches_the_database(world: World) -> None:
    token = world.begin(FIRST | {"password": "another"})
    world.step("createSecret", token)
    with pytest.raises(ValueError, match="is for openemr_a; expected openemr_b") as caught:
        world.step("setSecret", token)
    assert "another" not in str(caught.value)
    assert world.ecs.calls == []


def test_an_unknown_step_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="createUser is no step"):
        world.step("createUser", world.begin())


def test_rotation_that_is_not_enabled_is_refused(world: World) -> None:
    token = world.begin()
    _stored(world.arn).rotation_enabled = False
    with pytest.raises(ValueError, match="not enabled"):
        world.step("createSecret", token)


def test_a_version_that_does_not_exist_or_is_not_pending_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="has no version"):
        world.step("createSecret", str(uuid.uuid4()))
    (first,) = world.stages()
    world.rotate(world.begin())
    with pytest.raises(ValueError, match="not staged as AWSPENDING"):
        world.step("setSecret", first)
    world.assert_in_step()


@pytest.mark.parametrize("text", ["secret words", "[]", '{"password": "x"}', '{"username": "root", "password": "x"}'])
def test_a_secret_that_is_no_credential_is_refused_without_being_shown(world: World, text: str) -> None:
    world.secrets.put_secret_value(SecretId=world.arn, SecretString=text)
    with pytest.raises(ValueError, match="should be an object with a username") as caught:
        world.step("createSecret", world.begin())
    assert text not in str(caught.value)


def test_all_that_is_wrong_in_the_environment_is_told_at_once() -> None:
    with pytest.raises(RotationFailed) as caught:
        Task.read('{"Subnets": [], "AssignPublicIp": "maybe"}')
    names = ("Cluster", "TaskDefinition", "ContainerName", "LogGroup", "Subnets", "SecurityGroups", "AssignPublicIp")
    assert all(name in str(caught.value) for name in names)


def test_the_entry_makes_its_own_clients(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("TASK", json.dumps(PROPERTIES))
    event = {"Step": "createSecret", "SecretId": world.arn, "ClientRequestToken": world.begin()}
    for _ in range(2):
        handler(event, Context(world.clock))
    assert world.database.staged("AWSPENDING")["username"] == "openemr_b"


SERVICE = "openmrs"


@dataclass
class Deployments:
    """The tasks of a service that reads its credential when it starts, by the credential that each deployment holds."""

    world: World
    held: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.more = {"Service": SERVICE}
        self.world.ecs.rollouts[SERVICE] = []
        self.deploy()

    def deploy(self) -> None:
        """A deployment to its end."""
        self.held = [self.world.database.staged("AWSCURRENT")]
        self.world.ecs.rollouts[SERVICE][:] = ["COMPLETED"]

    def rotate(self) -> int:
        """What OpenMRS's script does in mode `credentials`: the user in use stays open."""
        database = self.world.database
        following = database.staged("AWSPENDING")
        database.users[following["username"]] = following["password"]
        database.locked.clear()
        database.runs += 1
        self.assert_all_let_in()
        return 0

    def assert_all_let_in(self) -> None:
        current = self.world.database.staged("AWSCURRENT")
        for one in (current, *self.held):
            assert self.world.database.takes(one["username"], one["password"]), one["username"]

    @property
    def restarts(self) -> int:
        return len(self.world.ecs.named("update_service"))


def deployed(world: World) -> Deployments:
    deployments = Deployments(world)
    world.ecs.plans = [Plan(effect=deployments.rotate) for _ in range(20)]
    return deployments


def test_a_service_that_reads_its_credential_at_its_start_is_started_anew_and_never_locked_out(world: World) -> None:
    service = deployed(world)
    for number in range(1, 7):
        world.rotate(world.begin())
        service.assert_all_let_in()
        assert world.ecs.rollouts[SERVICE] == ["IN_PROGRESS", "COMPLETED"]
        assert service.restarts == number
        service.deploy()
        service.assert_all_let_in()
    (*_, last) = world.ecs.named("update_service")
    assert last == {"cluster": CLUSTER, "service": SERVICE, "forceNewDeployment": True}


@pytest.mark.parametrize(
    "states", [["IN_PROGRESS", "COMPLETED"], ["IN_PROGRESS"], ["COMPLETED", "COMPLETED"], ["COMPLETED", "FAILED"]]
)
def test_no_password_is_changed_while_tasks_of_the_deployment_before_may_hold_it(
    world: World, states: list[str]
) -> None:
    service = deployed(world)
    token = world.begin()
    world.step("createSecret", token)
    world.ecs.rollouts[SERVICE][:] = states
    with pytest.raises(RotationFailed, match="is being deployed"):
        world.step("setSecret", token)
    assert world.ecs.tasks == []
    service.assert_all_let_in()
    service.deploy()
    world.rotate(token)
    assert service.restarts == 1


@pytest.mark.parametrize("gone", [True, False])
def test_a_service_that_is_not_there_is_told_before_anything_changes(world: World, gone: bool) -> None:
    deployed(world)
    world.ecs.rollouts = {} if gone else {SERVICE: []}
    token = world.begin()
    world.step("createSecret", token)
    with pytest.raises(RotationFailed, match="has no active service openmrs"):
        world.step("setSecret", token)
    assert world.ecs.tasks == []


def test_a_finished_rotation_that_is_finished_again_starts_nothing_anew(world: World) -> None:
    service = deployed(world)
    token = world.begin()
    world.rotate(token)
    for name in STEPS:
        world.step(name, token)
    assert service.restarts == 1


def test_a_function_killed_between_any_two_calls_starts_the_service_anew_twice_at_most(client: Any) -> None:
    restarts = set()
    for number in range(100):
        world = new_world(client)
        service = deployed(world)
        token = world.begin()
        counter = itertools.count()
        secrets = Killing(counter, number, "after", of=world.secrets)
        ecs = Killing(counter, number, "after", of=world.ecs)
        try:
            for name in STEPS:
                world.step(name, token, secrets=secrets, ecs=ecs)
        except Killed:
            world.rotate(token)
        else:
            break
        restarts.add(service.restarts)
        service.assert_all_let_in()
        assert PROVEN not in itertools.chain(*world.stages().values())
    assert restarts == {1, 2}
    assert 17 < number < 99


def test_a_rotation_given_up_after_its_task_has_the_service_take_it_before_the_next_begins(world: World) -> None:
    service = deployed(world)
    abandoned = world.begin()
    for name in STEPS[:2]:
        world.step(name, abandoned)
    token = world.begin()
    world.step("createSecret", token)
    assert service.restarts == 1
    with pytest.raises(RotationFailed, match="is being deployed"):
        world.step("setSecret", token)
    service.assert_all_let_in()
    service.deploy()
    world.rotate(token)
    service.assert_all_let_in()


@pytest.mark.parametrize("error", [refusal("ThrottlingException"), refusal("ServerException"), no_answer()])
def test_a_restart_that_cannot_be_had_now_is_asked_for_again(world: World, error: Exception) -> None:
    service = deployed(world)
    world.ecs.errors["update_service"] = [error] * 4
    world.rotate(world.begin())
    assert service.restarts == 5
    assert world.ecs.rollouts[SERVICE] == ["IN_PROGRESS", "COMPLETED"]


@pytest.mark.parametrize(("error", "calls"), [(refusal("AccessDeniedException"), 1), (no_answer(), 88)])
def test_a_restart_that_fails_is_had_by_repeating_the_last_step(world: World, error: Exception, calls: int) -> None:
    service = deployed(world)
    token = world.begin()
    for name in STEPS[:3]:
        world.step(name, token)
    world.ecs.errors["update_service"] = [error] * calls
    with pytest.raises(type(error)):
        world.step("finishSecret", token)
    assert world.ecs.rollouts[SERVICE] == ["COMPLETED"]
    assert service.restarts == calls
    world.step("finishSecret", token)
    assert world.ecs.rollouts[SERVICE] == ["IN_PROGRESS", "COMPLETED"]


def test_without_a_service_ecs_is_asked_about_none(world: World) -> None:
    world.rotate(world.begin())
    assert world.ecs.named("describe_services") == world.ecs.named("update_service") == []


@pytest.mark.parametrize("service", ["", None, 7])
def test_a_service_that_is_no_text_is_refused(service: object) -> None:
    with pytest.raises(RotationFailed, match="Service should be an ECS service's name or ARN, or left out"):
        Task.read(json.dumps(PROPERTIES | {"Service": service}))
