"""Behind `RDStoS3ExportLambda`: one export at a time, a name of its own for each, and RDS's answer."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws

from hostemr.stacks.functions.export_database.handler import Export, ExportFailed, Plan, handler
from tests.stacks.functions.fake_aws import Killed, Killing, no_answer, refusal
from tests.stacks.functions.fake_exports import START, FakeDatabases, Time

CLUSTER = "arn:aws:rds:us-east-1:123456789012:cluster:openemr"
PLAN = {
    "SourceArn": CLUSTER,
    "Bucket": "exports",
    "RoleArn": "arn:aws:iam::123456789012:role/export",
    "KeyArn": "arn:aws:kms:us-east-1:123456789012:key/1b2c",
}


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def rds(time: Time) -> FakeDatabases:
    return FakeDatabases(time)


def invoke(rds: Any, time: Time) -> dict[str, Any]:
    return Export(rds, Plan.read(json.dumps(PLAN)), time).handle()


def test_it_answers_what_rds_says_with_times_as_texts(rds: FakeDatabases, time: Time) -> None:
    answer = invoke(rds, time)
    assert answer["ExportTaskIdentifier"] == "aurora-to-s3-2026-11-22-10-15-30"
    assert answer["TaskStartTime"] == START.isoformat()
    assert answer["Status"] == "STARTING"
    assert "ResponseMetadata" not in answer
    assert json.loads(json.dumps(answer)) == answer
    (started,) = rds.named("start_export_task")
    assert started == {
        "ExportTaskIdentifier": "aurora-to-s3-2026-11-22-10-15-30",
        "SourceArn": CLUSTER,
        "S3BucketName": "exports",
        "S3Prefix": "database",
        "IamRoleArn": PLAN["RoleArn"],
        "KmsKeyId": PLAN["KeyArn"],
    }


@pytest.mark.parametrize("status", ["STARTING", "IN_PROGRESS", "in_progress"])
def test_while_one_is_under_way_it_is_the_answer(rds: FakeDatabases, time: Time, status: str) -> None:
    first = invoke(rds, time)
    rds.tasks[0]["Status"] = status
    time.passes(minutes=30)
    second = invoke(rds, time)
    assert second["ExportTaskIdentifier"] == first["ExportTaskIdentifier"]
    assert second["TaskStartTime"] == START.isoformat()
    assert len(rds.tasks) == 1


@pytest.mark.parametrize("status", ["COMPLETE", "FAILED", "CANCELED", "CANCELING"])
def test_after_it_has_ended_the_next_call_starts_another(rds: FakeDatabases, time: Time, status: str) -> None:
    names = []
    for _ in range(3):
        names.append(invoke(rds, time)["ExportTaskIdentifier"])
        rds.tasks[-1]["Status"] = status
        time.passes(seconds=1)
    assert len(set(names)) == 3
    # As RDS wants them: letters, digits and single hyphens, at most 60.
    assert all(re.fullmatch(r"[a-z](-?[a-z0-9]+)*", name) and len(name) <= 60 for name in names)


def test_exports_of_others_or_to_elsewhere_are_not_the_answer(rds: FakeDatabases, time: Time) -> None:
    invoke(rds, time)
    rds.tasks[0]["S3Bucket"] = "somewhere-else"
    time.passes(seconds=1)
    invoke(rds, time)
    rds.tasks[1]["SourceArn"] += "-2"
    time.passes(seconds=1)
    invoke(rds, time)
    assert len(rds.tasks) == 3


def test_it_is_found_behind_many_that_have_ended(time: Time) -> None:
    rds = FakeDatabases(time, page=2)
    for _ in range(5):
        invoke(rds, time)
        rds.tasks[-1]["Status"] = "COMPLETE"
        time.passes(seconds=1)
    last = invoke(rds, time)
    time.passes(seconds=1)
    assert invoke(rds, time)["ExportTaskIdentifier"] == last["ExportTaskIdentifier"]
    assert len(rds.tasks) == 6


def test_two_calls_in_the_same_second_start_one_export(rds: FakeDatabases, time: Time) -> None:
    first, second = (Export(rds, Plan.read(json.dumps(PLAN)), time) for _ in range(2))
    assert first.under_way() is None
    assert second.under_way() is None
    assert first.start()["ExportTaskIdentifier"] == second.start()["ExportTaskIdentifier"]
    assert len(rds.tasks) == 1


def test_a_source_that_is_busy_with_another_export_is_answered_with_that_one(rds: FakeDatabases, time: Time) -> None:
    one, other = (Export(rds, Plan.read(json.dumps(PLAN)), time) for _ in range(2))
    assert other.under_way() is None
    first = one.start()
    time.passes(seconds=5)
    rds.errors["start_export_task"] = [refusal("InvalidExportSourceState")]
    assert other.start()["ExportTaskIdentifier"] == first["ExportTaskIdentifier"]


@pytest.mark.parametrize("code", ["InvalidExportSourceState", "ExportTaskAlreadyExists"])
def test_a_refusal_without_another_export_is_told(rds: FakeDatabases, time: Time, code: str) -> None:
    rds.errors["start_export_task"] = [refusal(code)]
    with pytest.raises(ClientError, match=code):
        invoke(rds, time)


@pytest.mark.parametrize("name", ["describe_export_tasks", "start_export_task"])
@pytest.mark.parametrize("error", [refusal("Throttling"), refusal("KMSKeyNotAccessibleFault"), no_answer()])
def test_what_rds_refuses_is_raised_and_the_next_call_tries_again(
    rds: FakeDatabases, time: Time, name: str, error: Exception
) -> None:
    rds.errors[name] = [error]
    with pytest.raises((ClientError, ConnectTimeoutError)):
        invoke(rds, time)
    assert rds.tasks == []
    invoke(rds, time)
    assert len(rds.tasks) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [0, 1])
def test_killed_at_any_call_the_next_one_finds_or_starts_the_one_export(
    rds: FakeDatabases, time: Time, at: int, when: str
) -> None:
    with pytest.raises(Killed):
        invoke(Killing(itertools.count(), at, when, of=rds), time)
    time.passes(minutes=1)
    answer = invoke(rds, time)
    assert [task["ExportTaskIdentifier"] for task in rds.tasks] == [answer["ExportTaskIdentifier"]]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "should be a JSON object"),
        ("3", "should be a JSON object"),
        ("{}", "SourceArn should be a text; Bucket should be a text; RoleArn should be a text; KeyArn should be"),
        (json.dumps(PLAN | {"Bucket": ["exports"]}), "wrong: Bucket should be a text"),
    ],
)
def test_a_wrong_environment_is_told_whole(text: str, told: str) -> None:
    with pytest.raises(ExportFailed, match=told):
        Plan.read(text)


def test_the_entry_works_against_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        rds = boto3.client("rds")
        made = {"DBClusterIdentifier": "openemr", "Engine": "aurora-mysql"}
        rds.create_db_cluster(**made, MasterUsername="root", MasterUserPassword="not-a-password")
        # moto exports snapshots only.
        snapshot = rds.create_db_cluster_snapshot(DBClusterIdentifier="openemr", DBClusterSnapshotIdentifier="now")[
            "DBClusterSnapshot"
        ]["DBClusterSnapshotArn"]
        monkeypatch.setenv("EXPORT", json.dumps(PLAN | {"SourceArn": snapshot}))
        answer = handler({}, None)
        assert answer["ExportTaskIdentifier"].startswith("aurora-to-s3-2")
        assert (answer["SourceArn"], answer["S3Bucket"]) == (snapshot, "exports")
