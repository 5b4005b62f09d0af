"""Behind `Custom::ReceiptRule`: our rule where mail comes in, and nobody else's touched."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from hostemr.stacks.functions.receive_mail.handler import Receiving, Refused, Rule, handler
from tests.stacks.functions.fake_aws import (
    Answers,
    Clock,
    Context,
    Killed,
    Killing,
    no_answer,
    refusal,
    response_url,
)
from tests.stacks.functions.fake_mail import FakeReceiving

STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/openmrs-service/1b2c"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:forward-mail"
PROPERTIES: dict[str, Any] = {
    "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:receive-mail",
    "RuleName": "openmrs-help",
    "RuleSetName": "openmrs",
    "Recipient": "help@clinic.example",
    "Bucket": "clinic-mail",
    "Prefix": "mail/",
    "FunctionArn": FUNCTION,
}
WANTED: dict[str, Any] = {
    "Name": "openmrs-help",
    "Enabled": True,
    "TlsPolicy": "Require",
    "Recipients": ["help@clinic.example"],
    "Actions": [
        {"S3Action": {"BucketName": "clinic-mail", "ObjectKeyPrefix": "mail/"}},
        {"LambdaAction": {"FunctionArn": FUNCTION, "InvocationType": "Event"}},
    ],
    "ScanEnabled": True,
}
CATCH_ALL: dict[str, Any] = {"Name": "catch-all", "Enabled": True, "Actions": [{"StopAction": {"Scope": "RuleSet"}}]}
NAMESAKE: dict[str, Any] = {
    "Name": "openmrs-help",
    "Recipients": ["help@other.example"],
    "Actions": [{"S3Action": {"BucketName": "other"}}, {"LambdaAction": {"FunctionArn": FUNCTION + "-other"}}],
}


@pytest.fixture
def answers() -> Iterator[Answers]:
    with response_url() as url:
        yield url


def request(answers: Answers, kind: str = "Create", **changes: Any) -> dict[str, Any]:
    event = {
        "RequestType": kind,
        "ResponseURL": answers.url,
        "StackId": STACK,
        "RequestId": "00000000-0000-0000-0000-000000000001",
        "LogicalResourceId": "ReceiptRule",
        "ResourceProperties": PROPERTIES | changes,
    }
    if kind == "Update":
        event["OldResourceProperties"] = PROPERTIES
    return event if kind == "Create" else event | {"PhysicalResourceId": "as-it-was"}


def run(answers: Answers, ses: Any, event: dict[str, Any], seconds: float = 900) -> dict[str, Any]:
    """What CloudFormation gets, after the event came twice."""
    clock = Clock()
    for _ in range(2):
        Receiving(ses, Context(clock, seconds), clock.sleep).handle(event)
    first, second = answers.taken[-2:]
    assert first == second
    return first


def active(**sets: list[dict[str, Any]]) -> FakeReceiving:
    """With these sets, the first of which is active."""
    ses = FakeReceiving(**copy.deepcopy(sets))
    ses.active = next(iter(sets))
    return ses


def changes(ses: FakeReceiving) -> list[str]:
    return [name for name, _ in ses.calls if not name.startswith(("describe", "list"))]


def test_without_an_active_set_ours_is_made_and_activated_after_the_rule_is_in_it(answers: Answers) -> None:
    ses = FakeReceiving(other=[CATCH_ALL])
    answer = run(answers, ses, request(answers))
    assert answer["Status"] == "SUCCESS"
    assert ses.sets == {"other": [CATCH_ALL], "openmrs": [WANTED]}
    assert ses.active == "openmrs"
    assert changes(ses) == ["create_receipt_rule_set", "create_receipt_rule", "set_active_receipt_rule_set"]


def test_the_rule_goes_first_into_the_set_that_is_active(answers: Answers) -> None:
    ses = active(others=[CATCH_ALL])
    assert "rule set others" in run(answers, ses, request(answers))["Reason"]
    assert ses.sets == {"others": [WANTED, CATCH_ALL]}
    assert ses.active == "others"
    assert changes(ses) == ["create_receipt_rule"]


def test_our_inactive_set_is_not_activated_over_the_operators(answers: Answers) -> None:
    ses = active(others=[CATCH_ALL], openmrs=[])
    run(answers, ses, request(answers))
    assert ses.sets == {"others": [WANTED, CATCH_ALL]}
    assert ses.active == "others"


def test_our_inactive_set_is_activated_again_where_none_is(answers: Answers) -> None:
    ses = FakeReceiving(openmrs=[CATCH_ALL])
    run(answers, ses, request(answers))
    assert ses.sets == {"openmrs": [WANTED, CATCH_ALL]}
    assert ses.active == "openmrs"


def test_an_update_changes_the_rule_where_it_is(answers: Answers) -> None:
    ses = active(others=[CATCH_ALL, WANTED, CATCH_ALL | {"Name": "last"}])
    run(answers, ses, request(answers, "Update", Prefix="inbox/", FunctionArn=FUNCTION + "-new"))
    assert [rule["Name"] for rule in ses.sets["others"]] == ["catch-all", "openmrs-help", "last"]
    assert ses.sets["others"][1]["Actions"][0]["S3Action"]["ObjectKeyPrefix"] == "inbox/"
    assert changes(ses) == ["update_receipt_rule"]


def test_an_update_moves_the_rule_to_the_set_that_is_active_now(answers: Answers) -> None:
    ses = active(new=[CATCH_ALL], old=[CATCH_ALL, WANTED], openmrs=[WANTED])
    answer = run(answers, ses, request(answers, "Update"))
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == "as-it-was"
    assert ses.sets == {"new": [WANTED, CATCH_ALL], "old": [CATCH_ALL]}


def test_a_rule_with_a_new_name_replaces_the_old_one(answers: Answers) -> None:
    ses = active(others=[CATCH_ALL, WANTED])
    run(answers, ses, request(answers, "Update", RuleName="renamed"))
    assert [rule["Name"] for rule in ses.sets["others"]] == ["renamed", "catch-all"]


def test_the_way_back_from_wrong_properties_succeeds(answers: Answers) -> None:
    ses = active(others=[WANTED])
    event = request(answers, "Update") | {"OldResourceProperties": PROPERTIES | {"RuleName": "not a name"}}
    assert run(answers, ses, event)["Status"] == "SUCCESS"
    assert changes(ses) == []


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_namesake_is_refused_and_outlives_the_clean_up(answers: Answers, kind: str) -> None:
    ses = active(others=[NAMESAKE, CATCH_ALL])
    answer = run(answers, ses, request(answers, kind))
    assert answer["Status"] == "FAILED"
    assert "rule openmrs-help already that is not of this deployment" in answer["Reason"]
    run(answers, ses, request(answers, "Delete"))
    assert ses.sets == {"others": [NAMESAKE, CATCH_ALL]}
    assert changes(ses) == []


def test_deleting_takes_only_our_rule_from_whichever_set_has_it(answers: Answers) -> None:
    ses = active(a=[CATCH_ALL], b=[NAMESAKE], c=[CATCH_ALL, WANTED], openmrs=[WANTED, CATCH_ALL])
    assert run(answers, ses, request(answers, "Delete"))["Status"] == "SUCCESS"
    assert ses.sets == {"a": [CATCH_ALL], "b": [NAMESAKE], "c": [CATCH_ALL], "openmrs": [CATCH_ALL]}
    assert ses.active == "a"


def test_deleting_removes_our_set_if_it_is_empty_though_active(answers: Answers) -> None:
    ses = active(openmrs=[WANTED], others=[])
    run(answers, ses, request(answers, "Delete"))
    assert ses.sets == {"others": []}
    assert ses.active == ""


def test_another_deployments_rule_keeps_our_set_active(answers: Answers) -> None:
    another = WANTED | {"Name": "openemr-help"}
    ses = active(openmrs=[WANTED, another])
    run(answers, ses, request(answers, "Delete"))
    assert (ses.sets, ses.active) == ({"openmrs": [another]}, "openmrs")


def test_a_rule_that_comes_while_the_set_goes_is_not_lost(answers: Answers) -> None:
    ses = active(openmrs=[WANTED])
    real = ses.set_active_receipt_rule_set

    def deactivate(**parameters: Any) -> dict[str, Any]:
        if not parameters:
            ses.sets["openmrs"].append(CATCH_ALL)
        return real(**parameters)

    ses.set_active_receipt_rule_set = deactivate  # type: ignore[method-assign]
    run(answers, ses, request(answers, "Delete"))
    assert (ses.sets, ses.active) == ({"openmrs": [CATCH_ALL]}, "openmrs")


def test_a_set_that_becomes_active_while_we_make_ours_gets_the_rule(answers: Answers) -> None:
    ses = FakeReceiving(others=[CATCH_ALL])
    real = ses.create_receipt_rule

    def create(**parameters: Any) -> dict[str, Any]:
        ses.active = "others"
        return real(**parameters)

    ses.create_receipt_rule = create  # type: ignore[method-assign]
    run(answers, ses, request(answers))
    assert (ses.sets, ses.active) == ({"others": [WANTED, CATCH_ALL]}, "others")


@pytest.mark.parametrize("code", ["RuleSetDoesNotExist", "AlreadyExists"])
def test_sets_that_change_between_looking_and_doing_are_looked_at_again(answers: Answers, code: str) -> None:
    ses = active(others=[])
    ses.errors["create_receipt_rule"] = [refusal(code)]
    assert run(answers, ses, request(answers))["Status"] == "SUCCESS"
    assert ses.sets == {"others": [WANTED]}


def test_deleting_what_was_never_made_succeeds(answers: Answers) -> None:
    ses = FakeReceiving()
    assert run(answers, ses, request(answers, "Delete"))["Status"] == "SUCCESS"
    assert run(answers, ses, request(answers, "Delete", Recipient="", RuleName=7))["Status"] == "SUCCESS"
    assert changes(ses) == []


@pytest.mark.parametrize("call", ["describe_active_receipt_rule_set", "list_receipt_rule_sets"])
def test_a_region_that_receives_no_mail_is_told_so(answers: Answers, call: str) -> None:
    ses = FakeReceiving()
    ses.errors[call] = [refusal("InvalidAction", message="Unavailable Operation")] * 2
    answer = run(answers, ses, request(answers))
    assert answer["Status"] == "FAILED"
    assert "SES receives no mail in eu-central-1" in answer["Reason"]
    ses.errors["list_receipt_rule_sets"] = [refusal("InvalidAction")] * 2
    assert run(answers, ses, request(answers, "Delete"))["Status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("InvalidS3Configuration", "SES may not write to s3://clinic-mail/mail/"),
        ("InvalidLambdaFunction", f"SES may not call {FUNCTION}"),
        ("LimitExceeded", "SES allows 200 rules"),
        ("AccessDenied", "The function's role lacks a permission"),
    ],
)
def test_what_ses_refuses_is_explained(answers: Answers, code: str, reason: str) -> None:
    ses = active(others=[CATCH_ALL])
    ses.errors["create_receipt_rule"] = [refusal(code)] * 20
    answer = run(answers, ses, request(answers))
    assert answer["Status"] == "FAILED"
    assert reason in answer["Reason"]
    assert ses.sets == {"others": [CATCH_ALL]}


@pytest.mark.parametrize("code", ["InvalidS3Configuration", "Throttling", "ServerException"])
@pytest.mark.parametrize("call", ["create_receipt_rule", "create_receipt_rule_set", "set_active_receipt_rule_set"])
def test_new_permissions_and_throttling_are_outlasted(answers: Answers, code: str, call: str) -> None:
    ses = FakeReceiving()
    ses.errors[call] = [refusal(code)] * 5
    assert run(answers, ses, request(answers))["Status"] == "SUCCESS"
    assert (ses.sets, ses.active) == ({"openmrs": [WANTED]}, "openmrs")


def test_it_answers_before_lambda_ends_it(answers: Answers) -> None:
    ses = FakeReceiving()
    ses.errors["describe_active_receipt_rule_set"] = [no_answer()] * 99
    assert run(answers, ses, request(answers), seconds=70)["Status"] == "FAILED"
    assert len(ses.calls) < 10


def test_wrong_properties_are_told_all_at_once(answers: Answers) -> None:
    answer = run(answers, FakeReceiving(), request(answers, RuleName="-x", Recipient="help", Bucket=""))
    assert answer["Status"] == "FAILED"
    for key in ("RuleName", "Recipient", "Bucket"):
        assert f"{key} should" in answer["Reason"]
    with pytest.raises(Refused, match="Prefix should be a text"):
        Rule.read(PROPERTIES | {"Prefix": None})


def test_without_a_prefix_ses_is_given_none() -> None:
    rule = Rule.read(PROPERTIES | {"Prefix": ""})
    assert rule.wanted()["Actions"][0] == {"S3Action": {"BucketName": "clinic-mail"}}
    assert rule.made(rule.wanted())


SITUATIONS: dict[str, tuple[str, dict[str, list[dict[str, Any]]], str]] = {
    "create, none active": ("Create", {"others": [CATCH_ALL]}, ""),
    "create, another active": ("Create", {"others": [CATCH_ALL]}, "others"),
    "move": ("Update", {"old": [WANTED], "new": [CATCH_ALL], "openmrs": []}, "new"),
    "delete with the set": ("Delete", {"openmrs": [WANTED], "others": [CATCH_ALL]}, "openmrs"),
}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_call_and_called_again_it_ends_the_same(answers: Answers, situation: str, when: str) -> None:
    kind, sets, which = SITUATIONS[situation]
    smooth = FakeReceiving(**copy.deepcopy(sets))
    smooth.active = which
    Receiving(smooth, Context(Clock())).handle(request(answers, kind))
    kills = 0
    for at in range(1, len(smooth.calls) + 1):
        ses = FakeReceiving(**copy.deepcopy(sets))
        ses.active = which
        before = len(answers.taken)
        with pytest.raises(Killed):
            Receiving(Killing(itertools.count(1), at, when, of=ses), Context(Clock())).handle(request(answers, kind))
        kills += 1
        assert len(answers.taken) == before
        Receiving(ses, Context(Clock())).handle(request(answers, kind))
        assert answers.taken[-1]["Status"] == "SUCCESS"
        assert (ses.sets, ses.active) == (smooth.sets, smooth.active)
    assert kills >= 5


def test_by_hand_it_raises() -> None:
    with pytest.raises(Refused, match="RuleName"):
        Receiving(FakeReceiving(), Context(Clock())).handle({"ResourceProperties": {}})


@mock_aws
def test_the_entry_speaks_with_ses(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3").create_bucket(Bucket="clinic-mail")
    iam, functions, ses = boto3.client("iam"), boto3.client("lambda"), boto3.client("ses")
    role = iam.create_role(RoleName="forward", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    made = functions.create_function(
        FunctionName="forward-mail", Runtime="python3.13", Role=role, Handler="x.y", Code={"ZipFile": b""}
    )["FunctionArn"]
    properties = PROPERTIES | {"FunctionArn": made}
    for kind in ("Create", "Update"):  # moto has no DeleteReceiptRule
        handler(request(answers, kind) | {"ResourceProperties": properties}, Context(Clock()))
        assert answers.taken[-1]["Status"] == "SUCCESS"
        found = ses.describe_active_receipt_rule_set()
        assert found["Metadata"]["Name"] == "openmrs"
        assert [rule["Name"] for rule in found["Rules"]] == ["openmrs-help"]
