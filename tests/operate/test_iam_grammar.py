"""IAM statements against AWS's grammar: wrong ones that were seen in the field, right ones, and our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hostemr.operate.iam_grammar import Finding, _meet, check_statements
from tests.operate.templates import NO_VALUE, att, choose, ref, resource, sub, template

SNAPSHOTS = sorted((Path(__file__).parents[1] / "snapshots").glob("*/*.json"))
ECS = "arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}"
SERVERLESS = "arn:${AWS::Partition}:emr-serverless:${AWS::Region}:${AWS::AccountId}"


def allow(actions: Any, on: Any, when: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": on, **({"Condition": when} if when else {})}


def join(*parts: Any) -> dict[str, Any]:
    return {"Fn::Join": ["", list(parts)]}


def found(*statements: Any, **sections: Any) -> list[tuple[int, str, str]]:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    policy = resource("AWS::IAM::ManagedPolicy", PolicyDocument=document)
    findings = check_statements(template({"Policy": policy}, **sections))
    assert {(one.logical_id, one.document) for one in findings} <= {("Policy", "PolicyDocument")}
    return [(one.statement, one.action, one.problem) for one in findings]


# Seen in an OpenMRS deployment: nobody could start a job or follow an export.
@pytest.mark.parametrize(
    ("statement", "action", "problem"),
    [
        (allow("emr-serverless:RunJob", "*"), "emr-serverless:RunJob", "is no action of emr-serverless"),
        (
            allow("emr-serverless:StartJobRun", sub(f"{SERVERLESS}:applications/*")),
            "emr-serverless:StartJobRun",
            "is for arn:*:emr-serverless:*:*:/applications/*; got arn:*:emr-serverless:*:*:applications/*",
        ),
        (
            allow("ecs:DescribeTasks", "*", {"ArnEquals": {"ecs:TaskArn": "arn:aws:ecs:*:*:task/*"}}),
            "ecs:DescribeTasks",
            "knows no condition key ecs:TaskArn",
        ),
        # Ours: SES would have denied every broadcast.
        (
            allow(["ses:SendEmail", "ses:SendBulkEmail"], "*", {"StringEquals": {"ses:FromAddress": "a@example.org"}}),
            "ses:SendBulkEmail",
            "knows no condition key ses:FromAddress",
        ),
    ],
)
def test_a_statement_that_was_wrong_in_the_field_is_found(statement: Any, action: str, problem: str) -> None:
    assert found(statement) == [(0, action, problem)]


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (allow("emrserverless:StartJobRun", "*"), "is of no service that AWS has: emrserverless"),
        (allow("StartJobRun", "*"), "is of no service that AWS has: StartJobRun"),
        (allow("s3:Fetch*", "*"), "is no action of s3"),
        (allow("ecs:UpdateService", sub(f"{ECS}:cluster/openmrs")), "is for arn:*:ecs:*:*:service/*; got"),
        (allow("ecs:UpdateService", "arn:aws:ec2:*:*:service/x"), "is for arn:*:ecs:*:*:service/*; got"),
        (allow("ecs:UpdateService", "openmrs"), "is for arn:*:ecs:*:*:service/*; got openmrs"),
        (allow("iam:CreateAccessKey", "arn:aws:iam:us-east-1:123456789012:user/mail"), "is for arn:*:iam::*:user/*"),
        (allow("s3:GetObject", "arn:aws:s3:us-east-1::bucket/*"), "is for arn:*:s3:*:*:accesspoint/* or arn:*:s3:::*"),
        (allow("ecr:GetAuthorizationToken", att("Repository", "Arn")), "knows no resource types"),
        (allow("kms:Decrypt", "*", {"StringEquals": {"kms:ViaServices": "x"}}), "no condition key kms:ViaServices"),
        (allow("iam:PassRole", "*", {"StringEquals": {"kms:ViaService": "x"}}), "no condition key kms:ViaService"),
        (allow("s3:GetObject", "*", choose("c", {"Bool": {"s3:No": "x"}}, NO_VALUE)), "no condition key s3:No"),
        ({"Effect": "Deny", "NotAction": "s3:Gett", "Resource": "*"}, "is no action of s3"),
    ],
)
def test_what_allows_nothing_is_found(statement: Any, problem: str) -> None:
    ((number, _, told),) = found(allow("s3:ListAllMyBuckets", "*"), statement)
    assert number == 1
    assert problem in told


@pytest.mark.parametrize(
    "statement",
    [
        allow("emr-serverless:StartJobRun", sub(f"{SERVERLESS}:/applications/${{Application}}")),
        allow("emr-serverless:StartJobRun", sub(f"{SERVERLESS}:${{Application}}")),
        allow(["ecs:UpdateService", "ecs:DescribeServices"], sub(f"{ECS}:service/${{Cluster}}/${{Service.Name}}")),
        allow(["ecs:RunTask", "ecs:StopTask"], [ref("Definition"), sub(f"{ECS}:task/c/*")]),
        allow("ecs:ListTasks", "*", {"ArnEquals": {"ecs:cluster": att("Cluster", "Arn")}}),
        allow("ECS:describetasks", "*", {"ArnEquals": {"ECS:Cluster": "x", "aws:SourceVpc": "y"}}),
        allow("s3:*", ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]),
        allow(["s3:ListBucket", "s3:GetObject"], [att("Bucket", "Arn"), join(att("Bucket", "Arn"), "/*")]),
        allow("s3:ListBucket", "*", {"StringLike": {"s3:prefix": "a/*"}}),
        allow("s3:GetObject", "*", {"StringEquals": {"s3:ExistingObjectTag/kind": "report"}}),
        allow("kms:Decrypt", "*", {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": "x"}}),
        allow("ses:SendRawEmail", sub("arn:${AWS::Partition}:ses:*:${AWS::AccountId}:identity/${D}", {"D": "x.org"})),
        allow("ses:SendRawEmail", "*", {"StringEquals": {"ses:FromAddress": "a@example.org"}}),
        allow("iam:*AccessKey*", join("arn:", ref("AWS::Partition"), ":iam::", ref("AWS::AccountId"), ":user/m*")),
        allow("secretsmanager:GetSecretValue", {"Fn::ImportValue": "data:SecretArn"}),
        allow("ssm:GetParameter", "arn:aws:ssm:*:*:parameter/${aws:username}/*"),
        allow("ecr:GetAuthorizationToken", ref("Everything")),
        allow("dynamodb:GetItem", "*", {"StringEquals": {"dynamodb:LeadingKeys": "x"}}),
        allow("*", "*"),
        allow("s3:GetObject", "*", {"ArnEquals": {"lambda:SourceFunctionArn": "x"}}),
        allow(choose("c", "s3:GetObject", NO_VALUE), choose("c", "arn:aws:s3:::b/*", "arn:aws:s3:::c/*")),
        {"Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "NotResource": "arn:aws:ec2:*:*:x"},
    ],
)
def test_what_iam_understands_is_not_found(statement: Any) -> None:
    assert found(statement, Parameters={"Everything": {"Type": "String"}}) == []


def test_a_resource_that_no_action_of_the_statement_is_for_is_found() -> None:
    on = ["arn:aws:s3:::b/*", "arn:aws:logs:*:*:log-group:l:*"]
    problem = "have no use for arn:aws:logs:*:*:log-group:l:*"
    assert found(allow(["s3:GetObject", "s3:PutObject"], on)) == [(0, "s3:GetObject, s3:PutObject", problem)]


def test_roles_users_and_policies_are_all_read_and_trust_is_not() -> None:
    wrong = {"Statement": allow("s3:Gett", "*")}
    inline = [
        {"PolicyName": "right", "PolicyDocument": {"Statement": []}},
        {"PolicyName": "w", "PolicyDocument": wrong},
    ]
    findings = check_statements(
        template(
            {
                "Role": resource("AWS::IAM::Role", AssumeRolePolicyDocument=wrong, Policies=inline),
                "User": resource("AWS::IAM::User", Policies=[choose("c", inline[1], NO_VALUE)]),
                "Policy": resource("AWS::IAM::Policy", PolicyDocument=wrong),
                "Managed": resource("AWS::IAM::ManagedPolicy", PolicyDocument=wrong),
                "Bucket": resource("AWS::S3::BucketPolicy", PolicyDocument=wrong),
                "Bare": resource("AWS::IAM::User"),
            }
        )
    )
    assert [(one.logical_id, one.document) for one in findings] == [
        ("Role", "Policies[1].PolicyDocument"),
        ("User", "Policies[0].PolicyDocument"),
        ("Policy", "PolicyDocument"),
        ("Managed", "PolicyDocument"),
    ]


def test_a_finding_says_where_it_is() -> None:
    finding = Finding("Role", "PolicyDocument", 2, "s3:Gett", "is no action of s3")
    assert str(finding) == "Role.PolicyDocument.Statement[2]: s3:Gett is no action of s3"


@pytest.mark.parametrize(
    ("one", "other", "meets"),
    [
        ("abc", "abc", True),
        ("abc", "abd", False),
        ("a*", "*c", True),
        ("a*b", "a*c", False),
        ("*", "", True),
        ("", "a", False),
        ("a?c", "ab*", True),
        ("a?", "a", False),
        ("*x*", "y*z", True),
        ("user/*", "role/*", False),
    ],
)
def test_two_patterns_meet_if_one_text_fits_both(one: str, other: str, meets: bool) -> None:
    assert _meet(one, other) is _meet(other, one) is meets


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_our_own_templates_say_nothing_in_vain(path: Path) -> None:
    assert [str(finding) for finding in check_statements(json.loads(path.read_text()))] == []


def test_a_mistake_in_our_own_template_would_be_found() -> None:
    (path,) = (path for path in SNAPSHOTS if path.name == "clinic-service.json")
    text = path.read_text()
    assert check_statements(json.loads(text.replace("ecs:RunTask", "ecs:RunJob")))
    assert check_statements(json.loads(text.replace(":file-system/", ":filesystem/")))
    assert check_statements(json.loads(text.replace('"ecs:cluster"', '"ecs:TaskArn"')))
