"""The four templates created, updated and deleted on an emulator of CloudFormation."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.stacks.express_plus import ANSWERS, VARIANTS, synthesize

REGION = "us-east-1"
STACK = "Clinic"
UNKNOWN_TO_MOTO = {
    "AWS::CloudFormation::WaitCondition",
    "AWS::CloudFormation::WaitConditionHandle",
    "AWS::CloudTrail::Trail",
    "AWS::CloudWatch::Alarm",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SecretsManager::Secret",
}
"""What moto passes over with a warning. A type that it learns fails the test, so that this list stays true."""
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS.*not supported by moto:UserWarning")
KEPT = {"AWS::S3::Bucket", "AWS::KMS::Key", "AWS::EC2::Volume"}


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in (("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y"), ("AWS_DEFAULT_REGION", REGION)):
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def fitted(template: Mapping[str, Any]) -> dict[str, Any]:
    """Without the two things that moto's own code fails at: tags of a key, and a folder below a log's bucket."""
    fit = copy.deepcopy(dict(template))
    del fit["Resources"]["Key"]["Properties"]["Tags"]
    fit["Resources"]["FlowLog"]["Properties"]["LogDestination"] = {"Fn::GetAtt": ["LogBucket", "Arn"]}
    return fit


class Stack:
    """One stack on moto, made of a template that the console would take from S3."""

    def __init__(self) -> None:
        self.cloudformation = client("cloudformation")
        client("s3").create_bucket(Bucket="templates")
        self.passed_over: set[str] = set()

    def create(self, template: Mapping[str, Any], **answers: str) -> None:
        self._put(self.cloudformation.create_stack, template, answers)

    def update(self, template: Mapping[str, Any], **answers: str) -> None:
        self._put(self.cloudformation.update_stack, template, answers)

    def delete(self) -> None:
        # CloudFormation detaches a role's policies before it deletes them; moto only complains.
        role = self.physical("ServerRole")
        iam = client("iam")
        for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])
        self._delete_routes()
        self.cloudformation.delete_stack(StackName=STACK)

    @property
    def status(self) -> str:
        [status] = [one["StackStatus"] for one in self.cloudformation.list_stacks()["StackSummaries"]]
        return str(status)

    def resources(self) -> dict[str, str]:
        listed = self.cloudformation.list_stack_resources(StackName=STACK)["StackResourceSummaries"]
        # moto lists what has no name of its own under none.
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed if one["LogicalResourceId"]}

    def physical(self, logical_id: str) -> str:
        return self.resources()[logical_id]

    def _delete_routes(self) -> None:
        """moto's CloudFormation leaves route tables where they are, and then the VPC cannot go."""
        ec2, table = client("ec2"), self.physical("PublicRoutes")
        [described] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        for association in described["Associations"]:
            ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
        ec2.delete_route_table(RouteTableId=table)

    def _put(self, call: Callable[..., Any], template: Mapping[str, Any], answers: Mapping[str, str]) -> None:
        # Too large to be the body of a request: as the console does it.
        client("s3").put_object(Bucket="templates", Key="template.json", Body=json.dumps(fitted(template)))
        given = {name: value for name, value in {**ANSWERS, **answers}.items() if name in template["Parameters"]}
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            call(
                StackName=STACK,
                TemplateURL=f"https://templates.s3.{REGION}.amazonaws.com/template.json",
                Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
                Capabilities=["CAPABILITY_IAM"],
            )
        types = {one["Type"] for one in template["Resources"].values()}
        for line in map(str, (one.message for one in told)):
            self.passed_over |= {kind for kind in types if f"parse {kind} but" in line}


def made(template: Mapping[str, Any], *, unless: frozenset[str] = frozenset()) -> set[str]:
    """The logical ids that moto should have made; `unless` are conditions that do not hold."""
    return {
        name
        for name, one in template["Resources"].items()
        if one["Type"] not in UNKNOWN_TO_MOTO and one.get("Condition") not in unless
    }


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_created_updated_and_deleted_and_its_data_stays(name: str) -> None:
    context, stack = VARIANTS[name], Stack()
    template = synthesize(context).template

    stack.create(template)
    assert stack.status == "CREATE_COMPLETE"
    assert set(stack.resources()) == made(template, unless=frozenset({"HasEC2KeyPair"}))
    assert stack.passed_over == UNKNOWN_TO_MOTO - {"AWS::SNS::Subscription"}
    [group] = client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert [one["InstanceType"] for one in group["Instances"]] == ["t3.small"]
    network = stack.physical("Vpc")
    data = {logical: physical for logical, physical in stack.resources().items() if holds_data(template, logical)}
    client("s3").put_object(Bucket=data["BackupBucket"], Key="Backup/point", Body=b"a backup")

    stack.update(template, InstanceSize="t4g.medium", Domain="emr.example.org", Email="it@clinic.example")
    stack.update(synthesize({**context, "backup_engine": "duplicity"}).template, InstanceSize="t4g.medium")
    assert stack.status == "UPDATE_COMPLETE"
    assert data.items() <= stack.resources().items(), "what holds data is the same as before"

    stack.delete()
    assert stack.status == "DELETE_COMPLETE"
    assert client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert network not in {one["VpcId"] for one in client("ec2").describe_vpcs()["Vpcs"]}
    assert client("s3").get_object(Bucket=data["BackupBucket"], Key="Backup/point")["Body"].read() == b"a backup"
    assert {data["LogBucket"], data["AuditBucket"]} <= {one["Name"] for one in client("s3").list_buckets()["Buckets"]}
    assert data["Key"] in {one["KeyId"] for one in client("kms").list_keys()["Keys"]}


def holds_data(template: Mapping[str, Any], logical_id: str) -> bool:
    return template["Resources"][logical_id]["Type"] in KEPT


def test_ssh_is_open_only_to_a_developer_with_a_key_pair() -> None:
    client("ec2").create_key_pair(KeyName="mine")
    stack = Stack()
    stack.create(synthesize({"dev": True}).template, EC2KeyPair="mine")
    [rules] = [
        one["IpPermissions"]
        for one in client("ec2").describe_security_groups()["SecurityGroups"]
        if one["GroupId"] == stack.physical("ServerSecurityGroup")
    ]
    opened = {rule["FromPort"]: [one["CidrIp"] for one in rule["IpRanges"]] for rule in rules}
    assert opened == {port: ["203.0.113.0/24"] for port in (22, 80, 443)}


def test_two_copies_fit_into_one_account_and_region() -> None:
    """No name is fixed: CloudFormation makes them all."""
    template = synthesize({}).template
    named = {
        (name, key)
        for name, one in template["Resources"].items()
        for key in one.get("Properties", {})
        if key in {"BucketName", "TrailName", "RoleName", "ManagedPolicyName", "TopicName", "AlarmName", "Name"}
        or key in {"LaunchTemplateName", "AutoScalingGroupName", "InstanceProfileName", "GroupName", "AliasName"}
    }
    assert named == set()
    assert not any("Export" in output for output in template["Outputs"].values())
