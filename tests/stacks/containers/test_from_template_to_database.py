"""The whole way of a set-up and of rotations: the template's own task definitions and scripts, our functions, moto's
Secrets Manager, and a real database that demands TLS. Only ECS is a fake, which runs what the template says."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.secretsmanager.models import secretsmanager_backends

from hostemr.stacks.functions.rotate_credentials.handler import Rotation, Task
from hostemr.stacks.functions.run_setup.handler import Setup
from tests.peers.openemr_image import Image
from tests.stacks.containers.authority import Authority
from tests.stacks.containers.conftest import MASTER_PASSWORD
from tests.stacks.containers.logins import login_works
from tests.stacks.functions.fake_aws import Clock, Context, FakeECS, FakeFunctions, Plan
from tests.stacks.synthesis import synthesize

ACCOUNT, REGION = "123456789012", "us-east-1"
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


def definition(name: str) -> dict[str, Any]:
    """The one container of a task definition of the default deployment."""
    for logical_id, one in synthesize({}).templates.service["Resources"].items():
        if one["Type"] == "AWS::ECS::TaskDefinition" and logical_id.startswith(f"Tasks{name}"):
            [container] = one["Properties"]["ContainerDefinitions"]
            return dict(container)
    raise AssertionError(name)


class Deployment:
    """A data stack's values, as the service stack's template refers to them."""

    def __init__(self, image: Image, secrets: Any) -> None:
        self.image, self.secrets = image, secrets
        value = {"username": image.environment["MYSQL_USER"], "password": image.environment["MYSQL_PASS"]}
        created = secrets.create_secret(Name=f"openemr-{uuid.uuid4()}", SecretString=json.dumps(value))
        self.database_secret = created["ARN"]
        stored: Any = secretsmanager_backends[ACCOUNT][REGION].secrets[self.database_secret]
        # moto's RotateSecret would call the function by itself, in Docker.
        stored.rotation_requested = stored.rotation_enabled = True
        self.stored = stored
        self.said: list[str] = []

    def value(self, stage: str) -> dict[str, str]:
        text = self.secrets.get_secret_value(SecretId=self.database_secret, VersionStage=stage)["SecretString"]
        return dict(json.loads(text))

    def variables(self, container: Mapping[str, Any]) -> dict[str, str]:
        """The container's environment as ECS would make it, secrets by their stages included."""
        made = {one["Name"]: self._plain(one["Value"]) for one in container["Environment"]}
        for one in container["Secrets"]:
            reference, rest = one["ValueFrom"]["Fn::Join"][1]
            _, key, stage, version = rest.split(":")
            assert version == ""
            made[one["Name"]] = self._secret(reference["Fn::ImportValue"], stage)[key]
        return made

    def _plain(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        environment = self.image.environment
        if value == {"Fn::ImportValue": "openemr-data:DatabaseHost"}:
            return environment["MYSQL_HOST"]
        assert value["Fn::FindInMap"][0] == "DatabaseRoots"
        return environment["DATABASE_CA"] if value["Fn::FindInMap"][2] == "Root" else ""

    def _secret(self, name: str, stage: str) -> dict[str, str]:
        if name == "openemr-data:DatabaseSecretArn":
            return self.value(stage)
        assert stage == "", "only the application's credential has stages"
        return {
            "openemr-data:MasterSecretArn": {"username": "master", "password": MASTER_PASSWORD},
            "openemr-data:AdministratorSecretArn": {"username": "admin", "password": "adminPassword-1"},
        }[name]

    def run(self, name: str) -> int:
        """What ECS does with the task definition: its own command in its own environment."""
        container = definition(name)
        assert container["EntryPoint"] == ["/bin/sh", "-c"]
        # The image and the test's server are elsewhere than in AWS; names and port are this test's.
        here = self.image.environment
        moved = {key: here[key] for key in ("MYSQL_PORT", "MYSQL_DATABASE", "HOSTEMR_TRUST_STORE")}
        quick = {"CREDENTIAL_GRACE_SECONDS": "0.3"}
        ended = subprocess.run(
            ["dash", "-c", *container["Command"]],
            env=self.image.variables() | self.variables(container) | moved | quick,
            cwd=self.image.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        self.said.append(ended.stdout + ended.stderr)
        return ended.returncode


@pytest.fixture
def deployment(image: Image) -> Iterator[Deployment]:
    # What the template does not say, the task must not have.
    for name in ("MYSQL_ROOT_USER", "MYSQL_ROOT_PASS", "OE_USER", "OE_PASS", "IMAGE_REFERENCE"):
        del image.environment[name]
    with mock_aws():
        yield Deployment(image, boto3.client("secretsmanager", region_name=REGION))


def properties(name: str) -> dict[str, Any]:
    return {
        "Cluster": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/openemr",
        "TaskDefinition": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{name}:1",
        "Subnets": ["subnet-a"],
        "SecurityGroups": ["sg-tasks"],
        "ContainerName": definition("Setup")["Name"],
        "LogGroup": "tasks",
        "TimeoutSeconds": "2700",
    }


def test_an_installation_and_three_rotations_by_what_the_template_says(
    deployment: Deployment, authority: Authority
) -> None:
    image, clock = deployment.image, Clock()
    ecs = FakeECS(clock, Plan(effect=lambda: deployment.run("Setup")))
    result = Setup(ecs, FakeFunctions(), clock, clock.sleep).handle(properties("setup"), Context(clock))
    assert result["Status"] == "SUCCESS", deployment.said
    first = deployment.value("AWSCURRENT")
    assert image.credential() == (first["username"], first["password"])
    seen = [image.credential()]
    for number in range(3):
        token = str(uuid.uuid4())
        version = {"createdate": 0, "version_id": token, "version_stages": ["AWSPENDING"]}
        deployment.stored.remove_version_stages_from_old_versions(["AWSPENDING"])
        deployment.stored.versions[token] = version
        ecs = FakeECS(clock, Plan(effect=lambda: deployment.run("Rotation")))
        for step in STEPS:
            event = {"Step": step, "SecretId": deployment.database_secret, "ClientRequestToken": token}
            Rotation(deployment.secrets, ecs, Task.read(json.dumps(properties("rotation"))), clock, clock.sleep).step(
                event, Context(clock)
            )
        current = deployment.value("AWSCURRENT")
        assert image.credential() == (current["username"], current["password"])
        assert current["username"].endswith(("_b", "_a")[number % 2])
        assert login_works(image, authority, *image.credential())
        assert not any(login_works(image, authority, *older) for older in seen)
        seen.append(image.credential())
    assert deployment.run("Setup") == 0, deployment.said[-1]
    everything = "".join(deployment.said)
    assert not any(password in everything for _, password in seen)
