"""cdk-nag on templates that no CDK app has made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostemr.stacks.nag import nag

KEPT = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
LOGS_ONLY = {"cdk_nag": {"rules_to_suppress": [{"id": "AwsSolutions-S1", "reason": "it holds logs alone"}]}}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("nag")
    made = folder / "made.json"
    # With the parameter and the rule that CDK apps put into their templates.
    made.write_text(
        json.dumps(
            {
                "Parameters": {"BootstrapVersion": {"Type": "String", "Default": "1"}},
                "Rules": {"CheckBootstrapVersion": {"Assertions": [{"Assert": {"Fn::Equals": ["a", "a"]}}]}},
                "Resources": {
                    "Bucket": {"Type": "AWS::S3::Bucket", **KEPT},
                    "Logs": {"Type": "AWS::S3::Bucket", **KEPT, "Metadata": LOGS_ONLY},
                },
            }
        ),
        encoding="utf-8",
    )
    broken = folder / "broken.yaml"
    broken.write_text(
        "Resources:\n  T:\n    Type: AWS::SNS::Topic\n    Properties: {TopicName: !Ref Nowhere}\n", "utf-8"
    )
    return nag([made, broken])


def test_a_finding_names_rule_and_resource(answers: list[dict[str, Any]]) -> None:
    rules = {(row["rule"], row["logical_id"]) for row in answers[0]["findings"] if not row["accepted"]}
    assert {("AwsSolutions-S1", "Bucket"), ("HIPAA.Security-S3BucketLoggingEnabled", "Logs")} <= rules


def test_a_suppression_in_the_metadata_is_kept_with_its_reason(answers: list[dict[str, Any]]) -> None:
    accepted = [(row["rule"], row["logical_id"], row["accepted"]) for row in answers[0]["findings"] if row["accepted"]]
    assert accepted == [("AwsSolutions-S1", "Logs", "it holds logs alone")]


def test_a_template_that_cannot_be_read_says_why_and_hides_no_other(answers: list[dict[str, Any]]) -> None:
    assert "Nowhere" in answers[1]["unreadable"]
    assert answers[1]["findings"] == []
    assert answers[0]["unreadable"] == ""
