"""Values of a template as they would be in a deployed stack, with what they name made in the emulator on the way.

What the emulator cannot make gets a name and an ARN of the right form only, and is listed as a stand-in.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hostemr.operate.joined import Joined, Node
from hostemr.operate.prices.evaluation import Unknown
from hostemr.operate.references import filled, substitution
from hostemr.operate.rehearsal.emulator import ACCOUNT, Emulator
from hostemr.operate.template import intrinsic


@dataclass(frozen=True, slots=True)
class Made:
    """What Ref and Fn::GetAtt of a resource answer."""

    ref: str
    attributes: Mapping[str, str] = field(default_factory=dict)


_NOTHING = object()
Maker = Callable[["Emulated", Node, Mapping[str, Any]], Made]


class Emulated:
    """The values of joined templates in one emulator; each resource that a value names is made once."""

    def __init__(self, joined: Joined, emulator: Emulator) -> None:
        self.joined, self.emulator = joined, emulator
        self.made: dict[Node, Made] = {}
        self.stand_ins: set[str] = set()
        self._pseudo = {
            "AWS::Region": emulator.region,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }

    def stack_id(self, stack: str) -> str:
        """The ARN that a stack would have."""
        return self.arn("cloudformation", f"stack/{stack}/0f0e0d0c-1111-2222-3333-444455556666")

    def arn(self, service: str, resource: str) -> str:
        """An ARN of the emulator's account and region."""
        return f"arn:aws:{service}:{self.emulator.region}:{ACCOUNT}:{resource}"

    def value(self, stack: str, value: Any) -> Any:
        """The value with every function worked out."""
        function = intrinsic(value)
        if function is not None:
            return self._call(stack, function, value[function])
        if isinstance(value, Mapping):
            worked = {key: self.value(stack, member) for key, member in value.items()}
            return {key: member for key, member in worked.items() if member is not _NOTHING}
        if isinstance(value, list):
            members = [self.value(stack, member) for member in value]
            return [member for member in members if member is not _NOTHING]
        return value

    def properties(self, node: Node) -> dict[str, Any]:
        """A resource's properties, worked out."""
        worked = self.value(node.stack, self.joined.resources[node].properties)
        return worked if isinstance(worked, dict) else {}

    def any_role(self) -> str:
        """A role, for where the emulator looks whether there is one; it never asks what a role may do."""
        iam, name = self.emulator.client("iam"), "rehearsal"
        with suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"

    def make(self, node: Node) -> Made:
        """The resource in the emulator, made now if it is not there yet."""
        if node not in self.made:
            type_name = self.joined.resources[node].type
            maker = MAKERS.get(type_name)
            if maker is None:
                self.stand_ins.add(type_name)
                self.made[node] = _stand_in(self, node, {})
            else:
                self.made[node] = maker(self, node, self.properties(node))
        return self.made[node]

    def _call(self, stack: str, function: str, argument: Any) -> Any:  # noqa: PLR0911, one for each function
        if function == "Ref":
            return self._ref(stack, str(argument))
        if function == "Fn::GetAtt":
            parts = argument.split(".", 1) if isinstance(argument, str) else argument
            return self._attribute(stack, str(parts[0]), str(parts[1]))
        if function == "Fn::Sub":
            return self._sub(stack, argument)
        if function == "Fn::ImportValue":
            exported = self.joined.exports.imported(stack, argument)
            return f"import-of-{argument}" if exported is None else self.value(*exported)
        if function == "Fn::Join":
            return str(argument[0]).join(map(str, self.value(stack, argument[1])))
        if function == "Fn::Split":
            return str(self.value(stack, argument[1])).split(str(argument[0]))
        if function == "Fn::Select":
            return self.value(stack, argument[1])[int(self.value(stack, argument[0]))]
        if function == "Fn::GetAZs":
            return [f"{self.emulator.region}{letter}" for letter in "abc"]
        if function == "Fn::Base64":
            return base64.b64encode(str(self.value(stack, argument)).encode()).decode()
        return self._known(stack, {function: argument})

    def _known(self, stack: str, value: Any) -> Any:
        """Fn::If, Fn::FindInMap and the rest, as far as they can be known."""
        evaluation = self.joined.evaluations[stack]
        if intrinsic(value) == "Fn::If":
            holds = evaluation.condition(value["Fn::If"][0])
            return self.value(stack, value["Fn::If"][1 if holds is True else 2])
        worked = evaluation.value(value)
        return f"unknown-{intrinsic(value)}" if isinstance(worked, Unknown) else worked

    def _ref(self, stack: str, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        if name == "AWS::StackName":
            return stack
        if name == "AWS::StackId":
            return self.stack_id(stack)
        if name in self._pseudo:
            return self._pseudo[name]
        node = Node(stack, name)
        return self.make(node).ref if node in self.joined.resources else self._known(stack, {"Ref": name})

    def _attribute(self, stack: str, name: str, attribute: str) -> str:
        node = Node(stack, name)
        if node not in self.joined.resources:
            return f"{name}.{attribute}"
        made = self.make(node)
        if attribute in made.attributes:
            return made.attributes[attribute]
        service = self.joined.resources[node].type.split("::")[1].lower()
        return self.arn(service, made.ref) if attribute.endswith("Arn") else f"{made.ref}-{attribute.lower()}"

    def _sub(self, stack: str, argument: Any) -> str:
        text, local = substitution(argument)

        def fill(name: str) -> str:
            target, _, attribute = name.partition(".")
            if name in local:
                return str(self.value(stack, local[name]))
            return self._attribute(stack, target, attribute) if attribute else str(self._ref(stack, target))

        return filled(text, fill)


def _stand_in(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:  # noqa: ARG001, a Maker
    return Made(f"{node.stack}-{node.logical_id}")


def _vpc(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:  # noqa: ARG001, a Maker
    ec2 = one.emulator.client("ec2")
    vpc = ec2.create_vpc(CidrBlock=properties.get("CidrBlock", "10.0.0.0/16"))["Vpc"]
    for name in ("EnableDnsSupport", "EnableDnsHostnames"):
        ec2.modify_vpc_attribute(VpcId=vpc["VpcId"], **{name: {"Value": True}})
    return Made(vpc["VpcId"], {"VpcId": vpc["VpcId"], "CidrBlock": vpc["CidrBlock"]})


def _subnet(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:  # noqa: ARG001, a Maker
    given = {name: properties[name] for name in ("VpcId", "CidrBlock", "AvailabilityZone") if name in properties}
    made = one.emulator.client("ec2").create_subnet(**given)["Subnet"]
    return Made(made["SubnetId"], {"SubnetId": made["SubnetId"], "AvailabilityZone": made["AvailabilityZone"]})


def _group(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:
    made = one.emulator.client("ec2").create_security_group(
        GroupName=f"{node.stack}-{node.logical_id}",
        Description=properties.get("GroupDescription", node.logical_id),
        **({"VpcId": properties["VpcId"]} if "VpcId" in properties else {}),
    )
    return Made(made["GroupId"], {"GroupId": made["GroupId"], "Id": made["GroupId"]})


def _cluster(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:
    name = properties.get("ClusterName", f"{node.stack}-{node.logical_id}")
    made = one.emulator.client("ecs").create_cluster(clusterName=name)["cluster"]
    return Made(made["clusterName"], {"Arn": made["clusterArn"]})


def _task_definition(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:
    """Only what a task needs to start on the emulator, which runs no container anyway."""
    containers = [
        {"name": written["Name"], "image": str(written.get("Image", "image")), "memory": 512, "essential": True}
        for written in properties.get("ContainerDefinitions", [])
    ]
    made = one.emulator.client("ecs").register_task_definition(
        family=properties.get("Family", f"{node.stack}-{node.logical_id}"),
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu=str(properties.get("Cpu", "256")),
        memory=str(properties.get("Memory", "512")),
        containerDefinitions=containers,
    )["taskDefinition"]
    return Made(made["taskDefinitionArn"], {"TaskDefinitionArn": made["taskDefinitionArn"]})


def _log_group(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:
    name = properties.get("LogGroupName", f"{node.stack}-{node.logical_id}")
    one.emulator.client("logs").create_log_group(logGroupName=name)
    return Made(name, {"Arn": one.arn("logs", f"log-group:{name}:*")})


def _secret(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:
    generated = properties.get("GenerateSecretString")
    value = properties.get("SecretString", "rehearsal")
    if isinstance(generated, Mapping):
        password = one.emulator.client("secretsmanager").get_random_password()["RandomPassword"]
        written = json.loads(generated.get("SecretStringTemplate", "{}"))
        key = generated.get("GenerateStringKey")
        value = json.dumps({**written, key: password}) if key else password
    name = properties.get("Name", f"{node.stack}-{node.logical_id}")
    made = one.emulator.client("secretsmanager").create_secret(Name=name, SecretString=value)
    return Made(made["ARN"], {"Id": made["ARN"]})


def _user(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:
    name = properties.get("UserName", f"{node.stack}-{node.logical_id}")
    made = one.emulator.client("iam").create_user(UserName=name)["User"]
    return Made(name, {"Arn": made["Arn"]})


def _bucket(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:
    name = str(properties.get("BucketName", f"{node.stack}-{node.logical_id}")).lower()[:63]
    one.emulator.make_bucket(name)
    domain = f"{name}.s3.amazonaws.com"
    return Made(name, {"Arn": f"arn:aws:s3:::{name}", "DomainName": domain, "RegionalDomainName": domain})


def _key(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:  # noqa: ARG001, a Maker
    made = one.emulator.client("kms").create_key(Description=str(node))["KeyMetadata"]
    return Made(made["KeyId"], {"Arn": made["Arn"], "KeyId": made["KeyId"]})


def _topic(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:
    name = properties.get("TopicName", f"{node.stack}-{node.logical_id}")
    made = one.emulator.client("sns").create_topic(Name=name)["TopicArn"]
    return Made(made, {"TopicArn": made, "TopicName": name})


def _file_system(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:  # noqa: ARG001, a Maker
    made = one.emulator.client("efs").create_file_system(CreationToken=str(node))
    return Made(made["FileSystemId"], {"Arn": made["FileSystemArn"], "FileSystemId": made["FileSystemId"]})


def _role(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:
    """Without its policies: the emulator lets everybody do everything."""
    name = str(properties.get("RoleName", f"{node.stack}-{node.logical_id}"))[:64]
    trust = json.dumps(properties.get("AssumeRolePolicyDocument", {"Version": "2012-10-17", "Statement": []}))
    made = one.emulator.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    return Made(name, {"Arn": made["Arn"], "RoleId": made["RoleId"]})


def _function(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:
    """So that others may name it. The emulator would need Docker to call it; its code runs elsewhere."""
    name = str(properties.get("FunctionName", f"{node.stack}-{node.logical_id}"))[:64]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("index.py", str((properties.get("Code") or {}).get("ZipFile", "")))
    made = one.emulator.client("lambda").create_function(
        FunctionName=name,
        Runtime=properties.get("Runtime", "python3.13"),
        Role=one.any_role(),
        Handler=properties.get("Handler", "index.handler"),
        Code={"ZipFile": archive.getvalue()},
    )
    return Made(name, {"Arn": made["FunctionArn"]})


def _hosted_zone(one: Emulated, node: Node, properties: Mapping[str, Any]) -> Made:
    made = one.emulator.client("route53").create_hosted_zone(Name=properties["Name"], CallerReference=str(node))
    return Made(made["HostedZone"]["Id"].rsplit("/", 1)[-1])


MAKERS: Mapping[str, Maker] = {
    "AWS::EC2::SecurityGroup": _group,
    "AWS::EC2::Subnet": _subnet,
    "AWS::EC2::VPC": _vpc,
    "AWS::ECS::Cluster": _cluster,
    "AWS::ECS::TaskDefinition": _task_definition,
    "AWS::EFS::FileSystem": _file_system,
    "AWS::IAM::Role": _role,
    "AWS::IAM::User": _user,
    "AWS::KMS::Key": _key,
    "AWS::Lambda::Function": _function,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::Route53::HostedZone": _hosted_zone,
    "AWS::S3::Bucket": _bucket,
    "AWS::SNS::Topic": _topic,
    "AWS::SecretsManager::Secret": _secret,
}
