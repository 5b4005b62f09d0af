"""AWS's own command line, against an emulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from hostemr.errors import OutsideWorldError
from hostemr.host.aws import Aws
from hostemr.host.programs import ProgramFailed, Programs
from tests.peers.s3 import CREDENTIALS, REGION, PrivateS3

BIN = Path("/usr/bin")


@pytest.fixture
def aws(s3: PrivateS3, tmp_path: Path) -> Aws:
    """The command line of the distribution, whatever else lies in PATH."""
    if not (BIN / "aws").exists():
        pytest.skip("needs awscli")
    environment = {"PATH": f"{BIN}:/bin", "HOME": str(tmp_path), "AWS_MAX_ATTEMPTS": "1", **CREDENTIALS}
    return Aws(Programs(environment), region=REGION, endpoint_url=s3.url)


@pytest.fixture
def client(s3: PrivateS3) -> Iterator[Callable[[str], Any]]:
    clients = []

    def make(service: str) -> Any:
        made = boto3.client(
            service,
            endpoint_url=s3.url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        clients.append(made)
        return made

    yield make
    for one in clients:
        one.close()


@pytest.mark.real
def test_a_secret_is_its_text_without_a_line_end(aws: Aws, client: Callable[[str], Any]) -> None:
    made = client("secretsmanager").create_secret(Name="passphrase", SecretString=' pass "phrase" ü\n')
    assert aws.secret(made["ARN"]) == 'pass "phrase" ü'


@pytest.mark.real
def test_a_secret_that_is_not_there_is_named(aws: Aws) -> None:
    with pytest.raises(ProgramFailed, match="ResourceNotFoundException") as caught:
        aws.secret("no-such-secret")
    assert caught.value.status == 254
    assert "no-such-secret" in caught.value.message


@pytest.mark.real
def test_a_small_object_is_read(aws: Aws, s3: PrivateS3) -> None:
    s3.make_bucket("small-objects")
    s3.client.put_object(Bucket="small-objects", Key="Backup/passphrase.txt", Body="grüße\n".encode())
    assert aws.text_object("small-objects", "Backup/passphrase.txt") == "grüße"


@pytest.mark.real
def test_metrics_arrive_with_their_server(aws: Aws, client: Callable[[str], Any]) -> None:
    aws.metric("hostemr/ExpressPlus", "clinic", {"BackupAgeHours": (1.5, "None"), "BackupFailures": (0, "Count")})
    found = client("cloudwatch").list_metrics(Namespace="hostemr/ExpressPlus")["Metrics"]
    assert {one["MetricName"] for one in found} >= {"BackupAgeHours", "BackupFailures"}
    assert all(one["Dimensions"] == [{"Name": "Server", "Value": "clinic"}] for one in found)


def scripted(folder: Path, script: str) -> Aws:
    """An `aws` that does what a test says."""
    program = folder / "aws"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Aws(Programs({"PATH": f"{folder}:/usr/bin:/bin"}), region="eu-west-1")


def test_a_call_names_the_region_and_asks_for_json(tmp_path: Path) -> None:
    aws = scripted(tmp_path, f'printf "%s\\n" "$@" > {tmp_path}/argv')
    assert aws.call("ec2", "describe-volumes", {"VolumeIds": ["vol-1"]}) == {}
    words = (tmp_path / "argv").read_text().splitlines()
    assert words[:4] == ["--region", "eu-west-1", "--output", "json"]
    assert "--endpoint-url" not in words
    assert words[-4:-1] == ["ec2", "describe-volumes", "--cli-input-json"]
    assert json.loads(words[-1]) == {"VolumeIds": ["vol-1"]}


@pytest.mark.parametrize("answer", ['{"SecretString": "  "}', '{"SecretBinary": "aGk="}', ""])
def test_a_secret_without_a_text_is_refused(tmp_path: Path, answer: str) -> None:
    with pytest.raises(OutsideWorldError, match="The secret arn:x has no text") as caught:
        scripted(tmp_path, f"echo '{answer}'").secret("arn:x")
    assert caught.value.hint


@pytest.mark.parametrize("end", ["exit 0", "exit 1", "kill -9 $$"])
def test_a_secret_that_was_half_answered_stands_in_no_error(tmp_path: Path, end: str) -> None:
    aws = scripted(tmp_path, f'echo \'{{"SecretString": "hunter2"\'\n{end}')
    with pytest.raises(OutsideWorldError) as caught:
        aws.secret("arn:x")
    assert "hunter2" not in f"{caught.value.message}{caught.value.args}{vars(caught.value)}"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("end", ["exit 1", "kill -9 $$"])
def test_a_passphrase_whose_object_was_half_read_stands_in_no_error(tmp_path: Path, end: str) -> None:
    with pytest.raises(OutsideWorldError) as caught:
        scripted(tmp_path, f"echo hunter2\n{end}").text_object("bucket", "passphrase.txt")
    assert "hunter2" not in f"{caught.value.message}{caught.value.args}{vars(caught.value)}"
