"""The whole way of a set-up, of workers and of a rotation: the template's own task definitions and scripts, our
functions, moto's Secrets Manager, and a real database that demands TLS. ECS is a fake that runs what the template says,
and OpenMRS a stand-in."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.secretsmanager.models import secretsmanager_backends

from hostemr.stacks.functions.rotate_credentials.handler import Rotation
from hostemr.stacks.functions.rotate_credentials.handler import Task as RotationTask
from hostemr.stacks.functions.run_setup.handler import Setup
from tests.peers.openemr_image import kill_session
from tests.peers.openmrs_image import Task
from tests.stacks.containers.authority import Authority
from tests.stacks.containers.conftest import MASTER_PASSWORD
from tests.stacks.containers.openmrs.logins import login_works
from tests.stacks.functions.fake_aws import Clock, Context, FakeECS, FakeFunctions, Plan
from tests.stacks.synthesis import synthesize

ACCOUNT, REGION = "123456789012", "us-east-1"
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
SERVICE = "openmrs"
MOVED = ("OMRS_DB_PORT", "OMRS_DB_NAME")
"""The test's server and schema have another port and name than AWS's; all else is the template's."""


def resources(kind: str, beginning: str) -> dict[str, Any]:
    """The properties of the one resource of this type whose logical id begins so, in the default deployment."""
    service = synthesize({}, "openmrs").templates.service["Resources"]
    [found] = [one for name, one in service.items() if one["Type"] == kind and name.startswith(beginning)]
    return dict(found["Properties"])


def backend(name: str) -> dict[str, Any]:
    """The backend's container in the task definition of this name."""
    containers = resources("AWS::ECS::TaskDefinition", f"Tasks{name}")["ContainerDefinitions"]
    [found] = [one for one in containers if one["Name"] == "openmrsbackend"]
    assert found["EntryPoint"] == ["/bin/sh", "-c"]
    return dict(found)


class Deployment:
    """A data stack's values, as the service stack's template refers to them."""

    def __init__(self, task: Task, secrets: Any) -> None:
        self.task, self.secrets = task, secrets
        self.said: list[str] = []
        # What the template does not say, a container must not have.
        self.here = {name: task.environment.pop(name) for name in list(task.environment)}
        self.kept = {name: self.here[name] for name in ("HOSTEMR_CLIENT_CLASSES", "STOP_SECONDS", *MOVED)}
        used = {"username": self.here["OMRS_DB_USERNAME"], "password": self.here["OMRS_DB_PASSWORD"]}
        admin = {"username": "admin", "password": "adminPassword-1"}
        self.arns = {
            f"openmrs-data:{name}SecretArn": self._made(value)
            for name, value in {
                "Database": used,
                "Administrator": admin,
                "Master": {"username": "master", "password": MASTER_PASSWORD},
            }.items()
        }
        self.database_secret = self.arns["openmrs-data:DatabaseSecretArn"]
        stored: Any = secretsmanager_backends[ACCOUNT][REGION].secrets[self.database_secret]
        # moto's RotateSecret would call the function by itself, in Docker.
        stored.rotation_requested = stored.rotation_enabled = True
        self.stored = stored

    def _made(self, value: Mapping[str, str]) -> str:
        created = self.secrets.create_secret(Name=f"openmrs-{uuid.uuid4()}", SecretString=json.dumps(value))
        return str(created["ARN"])

    def value(self, stage: str, arn: str = "") -> dict[str, str]:
        found = self.secrets.get_secret_value(SecretId=arn or self.database_secret, VersionStage=stage)
        return dict(json.loads(found["SecretString"]))

    def credential(self) -> tuple[str, str]:
        current = self.value("AWSCURRENT")
        return current["username"], current["password"]

    def begin(self) -> str:
        """Secrets Manager begins a rotation; answers its token."""
        token = str(uuid.uuid4())
        self.stored.remove_version_stages_from_old_versions(["AWSPENDING"])
        self.stored.versions[token] = {"createdate": 0, "version_id": token, "version_stages": ["AWSPENDING"]}
        return token

    def variables(self, name: str, task: Task) -> dict[str, str]:
        """The container's environment as ECS would make it, secrets by their stages included."""
        container = backend(name)
        made = {one["Name"]: self._plain(one["Value"]) for one in container["Environment"]}
        for one in container["Secrets"]:
            reference, rest = one["ValueFrom"]["Fn::Join"][1]
            _, key, stage, version = rest.split(":")
            assert version == ""
            arn = self.arns[reference["Fn::ImportValue"]]
            assert stage == "" or arn == self.database_secret, "only the application's credential has stages"
            made[one["Name"]] = self.value(stage or "AWSCURRENT", arn)[key]
        task.environment.clear()
        quick = {"LOOK_SECONDS": "1", "HEALTH_POLL_SECONDS": "0.1"}
        return task.variables(**made) | self.kept | quick

    def _plain(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        if value == {"Fn::ImportValue": "openmrs-data:DatabaseHost"}:
            return self.here["OMRS_DB_HOSTNAME"]
        assert value["Fn::FindInMap"][0] == "DatabaseRoots"
        return self.here["DATABASE_CA"] if value["Fn::FindInMap"][2] == "Root" else ""

    def start(self, name: str, task: Task) -> subprocess.Popen[str]:
        """What ECS does with the task definition: its own command in its own environment."""
        return subprocess.Popen(
            ["dash", "-c", *backend(name)["Command"]],
            env=self.variables(name, task),
            cwd=task.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def container(self, name: str) -> Task:
        """A new one, which shares with the others what the share holds."""
        return Task(self.task.folder.parent / f"{name}-{uuid.uuid4()}", self.task.shared, {}, path=self.task.path)

    def run(self, name: str) -> int:
        """A task to its end, in a container of its own."""
        process = self.start(name, self.container(name))
        try:
            process.wait(timeout=60)
        finally:
            kill_session(process.pid)
            self.said.append(process.communicate(timeout=10)[0])
        return process.returncode

    @contextmanager
    def worker(self) -> Iterator[Task]:
        """A worker that has started, until it is told to stop."""
        task = self.container("worker")
        process = self.start("Worker", task)
        try:
            deadline = time.monotonic() + 30
            while not (task.openmrs / "started").exists():
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield task
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)
        finally:
            kill_session(process.pid)
            self.said.append(process.communicate(timeout=10)[0])
        assert process.returncode == 143, self.said[-1]


@pytest.fixture
def deployment(task: Task) -> Iterator[Deployment]:
    with mock_aws():
        yield Deployment(task, boto3.client("secretsmanager", region_name=REGION))


def properties(function: str) -> dict[str, Any]:
    """What the template tells this function of the task that it starts, with its references resolved."""
    environment = resources("AWS::Lambda::Function", function)["Environment"]["Variables"]["TASK"]
    parts = environment["Fn::Join"][1]
    # The service is known to the fake by its name; of all else the fake wants the form only.
    made = "".join(part if isinstance(part, str) else _resolved(part) for part in parts)
    return dict(json.loads(made))


def _resolved(reference: Mapping[str, Any]) -> str:
    match reference:
        case {"Fn::GetAtt": ["Service", "Name"]}:
            return SERVICE
        case {"Fn::GetAtt": ["Cluster", "Arn"]}:
            return f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/openmrs"
        case {"Ref": name}:
            return f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{name}:1"
        case {"Fn::GetAtt": [name, "GroupId"]} | {"Fn::ImportValue": name}:
            return str(name).rpartition(":")[2]
        case _:
            raise AssertionError(reference)


def test_a_set_up_workers_and_a_rotation_by_what_the_template_says(
    deployment: Deployment, authority: Authority
) -> None:
    task, clock = deployment.task, Clock()
    ecs = FakeECS(clock, Plan(effect=lambda: deployment.run("Setup")), container="openmrsbackend")
    result = Setup(ecs, FakeFunctions(), clock, clock.sleep).handle(properties("SetupRunner"), Context(clock))
    assert result["Status"] == "SUCCESS", deployment.said
    former = deployment.credential()
    rotator = RotationTask.read(json.dumps(properties("RotationRotator")))
    with deployment.worker() as serving:
        assert f"connection.username={former[0]}\n" in serving.properties.read_text()
        ecs = FakeECS(clock, Plan(effect=lambda: deployment.run("Rotation")), container="openmrsbackend")
        ecs.rollouts[SERVICE] = ["COMPLETED"]
        token = deployment.begin()
        for step in STEPS:
            event = {"Step": step, "SecretId": deployment.database_secret, "ClientRequestToken": token}
            Rotation(deployment.secrets, ecs, rotator, clock, clock.sleep).step(event, Context(clock))
        current = deployment.credential()
        assert (former[0][-2:], current[0][-2:]) == ("_a", "_b")
        # What serves knows the former user only; ECS was asked, after that, to put new tasks in its place.
        assert login_works(deployment.here, authority, former)
        [asked] = ecs.named("update_service")
        assert (asked["service"], asked["forceNewDeployment"]) == (SERVICE, True)
        with deployment.worker() as renewed:
            assert f"connection.username={current[0]}\n" in renewed.properties.read_text()
            assert f"connection.password={current[1]}\n" in renewed.properties.read_text()
            assert login_works(deployment.here, authority, current)
            assert login_works(deployment.here, authority, former)
            assert renewed.log() == serving.log() == ["index built"]
    everything = "".join(deployment.said)
    secrets = (former[1], current[1], "adminPassword-1", MASTER_PASSWORD)
    assert not [secret for secret in secrets if secret in everything]
    assert (task.handed_over / "installed").read_text().strip() == backend("Setup")["Image"]
