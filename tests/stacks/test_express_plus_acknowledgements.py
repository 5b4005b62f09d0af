"""Each acknowledgement of Express Plus matches a finding wherever it is given, and its evidence can fail."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from hostemr.stacks import express_plus_evidence as evidence
from hostemr.stacks.evidence import Template
from hostemr.stacks.express_plus_acknowledgements import OF_EXPRESS_PLUS, ExpressPlusAcknowledgement
from tests.stacks.express_plus import synthesize

MOST = {"recovery": True, "dev": True}
Breaks = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize("entry", OF_EXPRESS_PLUS, ids=lambda entry: f"{entry.rules[0]} {entry.paths[0]}")
def test_every_rule_and_path_of_an_acknowledgement_matches_a_finding(entry: ExpressPlusAcknowledgement) -> None:
    matched = set()
    for rule, path in synthesize(MOST).acknowledged:
        for wanted in entry.rules:
            # A rule that cdk-nag could not judge stands in its report by its own name.
            unread = wanted.partition("[")[2].removesuffix("]") if wanted.startswith("CdkNagValidation") else ""
            for place in entry.paths:
                if place == f"express-plus/{path}" and rule in {wanted.partition("[")[0], unread}:
                    matched.add((wanted, place))
    assert matched == {(rule, place) for rule in entry.rules for place in entry.paths}


def test_every_reason_is_a_sentence_of_its_own() -> None:
    reasons = [entry.reason for entry in OF_EXPRESS_PLUS]
    assert len(set(reasons)) == len(reasons)
    assert all(reason.endswith(".") and len(reason) > 40 for reason in reasons)


def _properties(template: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"][name]["Properties"]
    return found


def _statements(template: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _properties(template, name)["PolicyDocument"]["Statement"]
    return found


def _on(template: dict[str, Any], name: str, action: str, *, last: bool = False) -> dict[str, Any]:
    found = [one for one in _statements(template, name) if action in one["Action"]]
    return found[-1] if last else found[0]


def _add(template: dict[str, Any], kind: str, **properties: Any) -> None:
    template["Resources"]["Added"] = {"Type": kind, "Properties": properties}


BROKEN: dict[str, tuple[Callable[[Template], bool], Breaks]] = {
    "a port of the database that is open": (
        evidence.only_the_web_is_open,
        lambda one: _properties(one, "HttpsIn").update(FromPort=3306, ToPort=3306),
    ),
    "the login page open to the world": (
        evidence.only_the_web_is_open,
        lambda one: _properties(one, "HttpsIn").update(CidrIp="0.0.0.0/0"),
    ),
    "SSH without a key pair": (
        evidence.only_the_web_is_open,
        lambda one: one["Resources"]["SshIn"].pop("Condition"),
    ),
    "a rule inside the group": (
        evidence.only_the_web_is_open,
        lambda one: _properties(one, "ServerSecurityGroup").update(SecurityGroupIngress=[]),
    ),
    "a second role": (evidence.only_the_server_reads_the_secrets, lambda one: _add(one, "AWS::IAM::Role")),
    "another policy that reads secrets": (
        evidence.only_the_server_reads_the_secrets,
        lambda one: _statements(one, "MetricsPolicy")[0].update(Action="secretsmanager:GetSecretValue"),
    ),
    "a passphrase that goes with the stack": (
        evidence.secrets_outlive_the_stack,
        lambda one: one["Resources"]["PassphraseSecret"].update(DeletionPolicy="Delete"),
    ),
    "a passphrase that rotates": (
        evidence.secrets_outlive_the_stack,
        lambda one: _add(one, "AWS::SecretsManager::RotationSchedule"),
    ),
    "a database of its own": (
        evidence.the_database_is_behind_the_web_server,
        lambda one: _add(one, "AWS::RDS::DBInstance"),
    ),
    "metrics of any namespace": (
        evidence.statements_for_everything_are_bound,
        lambda one: _statements(one, "MetricsPolicy")[0].pop("Condition"),
    ),
    "any volume": (
        evidence.statements_for_everything_are_bound,
        lambda one: _on(one, "DiskAndAddressPolicy", "ec2:AttachVolume").update(Resource="*"),
    ),
    "any instance": (
        evidence.instances_are_those_of_the_stack,
        lambda one: _on(one, "DiskAndAddressPolicy", "ec2:AttachVolume", last=True).pop("Condition"),
    ),
    "an instance that is ended": (
        evidence.instances_are_those_of_the_stack,
        lambda one: _on(one, "SessionPolicy", "ssm:UpdateInstanceInformation")["Action"].append(
            "ec2:TerminateInstances"
        ),
    ),
    "an interface of another network": (
        evidence.instances_are_those_of_the_stack,
        lambda one: _on(one, "DiskAndAddressPolicy", "ec2:AssociateAddress", last=True).pop("Condition"),
    ),
    "versions that the server may delete": (
        evidence.backups_are_written_and_never_destroyed,
        lambda one: _on(one, "BackupsPolicy", "s3:PutObject")["Action"].append("s3:DeleteObjectVersion"),
    ),
    "no denial in the bucket's policy": (
        evidence.backups_are_written_and_never_destroyed,
        lambda one: _statements(one, "BackupBucketPolicy").pop(),
    ),
    "a recovery that writes": (
        evidence.the_other_bucket_is_only_read,
        lambda one: _statements(one, "RecoveryPolicy")[0]["Action"].append("s3:PutObject"),
    ),
    "silence that is well": (
        evidence.silence_is_an_alarm,
        lambda one: _properties(one, "BackupIsOld").update(TreatMissingData="notBreaching"),
    ),
    "an alarm that nobody hears": (
        evidence.silence_is_an_alarm,
        lambda one: _properties(one, "OpenEmrDoesNotAnswer").update(AlarmActions=[]),
    ),
    "an interface in the default group": (
        evidence.every_interface_names_its_groups,
        lambda one: _properties(one, "LaunchTemplate")["LaunchTemplateData"]["NetworkInterfaces"][0].pop("Groups"),
    ),
    "another interface": (
        evidence.every_interface_names_its_groups,
        lambda one: _add(one, "AWS::EC2::VPCEndpoint"),
    ),
    "a subnet that gives addresses away": (
        evidence.the_way_out_is_one_subnets,
        lambda one: _properties(one, "PublicSubnet").update(MapPublicIpOnLaunch=True),
    ),
    "a bucket without versions": (
        evidence.buckets_are_versioned_and_kept,
        lambda one: _properties(one, "BackupBucket").update(VersioningConfiguration={"Status": "Suspended"}),
    ),
    "a bucket that goes with the stack": (
        evidence.buckets_are_versioned_and_kept,
        lambda one: one["Resources"]["AuditBucket"].update(DeletionPolicy="Delete"),
    ),
    "a third writer of logs": (
        evidence.the_log_bucket_takes_only_logs,
        lambda one: _statements(one, "LogBucketPolicy").append(
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "s3:PutObject"}
        ),
    ),
    "backups with S3's own keys": (
        evidence.the_log_bucket_takes_only_logs,
        lambda one: _properties(one, "BackupBucket").update(
            BucketEncryption=_properties(one, "LogBucket")["BucketEncryption"]
        ),
    ),
    "a trail that could be changed": (
        evidence.the_trail_is_kept_and_proves_itself,
        lambda one: _properties(one, "Trail").update(EnableLogFileValidation=False),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_evidence_fails_where_the_fact_does_not_hold(name: str) -> None:
    holds, spoil = BROKEN[name]
    template = copy.deepcopy(synthesize(MOST).template)
    assert holds(template)
    spoil(template)
    assert not holds(template)


def test_every_evidence_is_shown_to_fail() -> None:
    assert {entry.evidence for entry in OF_EXPRESS_PLUS} == {holds for holds, _ in BROKEN.values()}
