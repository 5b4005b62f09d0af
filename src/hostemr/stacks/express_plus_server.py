"""The one server: a group of exactly one, the template that it is launched from, and what waits for it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudformation as cloudformation
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam

from hostemr.deployment.express_plus_rows import INSTANCE_SIZES
from hostemr.stacks.express_plus_access import MARK
from hostemr.stacks.express_plus_network import Network
from hostemr.stacks.express_plus_parameters import Parameters

LAUNCH_TEMPLATE = "LaunchTemplate"
"""The logical id of the resource whose metadata carries the agent and its configuration."""
GROUP = "ServerGroup"
"""The logical id of the group, which waits for a signal during an update."""
READY_HANDLE = "ReadyHandle"
_ARCHITECTURES = "Architecture"
# https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/
_UBUNTU = "/aws/service/canonical/ubuntu/server/24.04/stable/current/{architecture}/hvm/ebs-gp3/ami-id"
# Ubuntu, three images, and swap. Nothing on it lasts.
_DISK_GIB = 20


class LaunchScript(Protocol):
    """Makes the user data, a shell script for Fn::Sub in which `${ReadyUrl}` is the wait condition's URL."""

    def __call__(self, *, resource: str, agent_sha256: str, configuration_sha256: str) -> str:
        """`resource` is the logical id of what carries the agent; the digests make another agent another script."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What the server runs: the agent, and the script that fetches it when the server is launched."""

    agent: bytes
    script: LaunchScript

    @property
    def agent_text(self) -> str:
        """The agent as a template can hold it: in base64."""
        return base64.b64encode(self.agent).decode()

    @property
    def agent_sha256(self) -> str:
        """What the server holds the agent against before it runs it."""
        return hashlib.sha256(self.agent).hexdigest()


def ready_handle(stack: cdk.Stack) -> str:
    """The URL by which the server says that it is ready, or why not."""
    return cloudformation.CfnWaitConditionHandle(stack, READY_HANDLE).ref


def launch_template(
    stack: cdk.Stack,
    parameters: Parameters,
    *,
    program: Program,
    configuration: Mapping[str, Any],
    role: iam.CfnRole,
    security_group_id: str,
    ready_url: str,
) -> ec2.CfnLaunchTemplate:
    """What a server is launched from. Another agent, another configuration or other parameters make another version.

    The program is in the metadata, because user data holds 16 KB.
    """
    cdk.CfnMapping(
        stack,
        _ARCHITECTURES,
        mapping={size: {"Name": "arm64" if size.startswith("t4g.") else "amd64"} for size in INSTANCE_SIZES},
    )
    size = parameters.reference("InstanceSize")
    architecture = cdk.Fn.find_in_map(_ARCHITECTURES, size, "Name")
    profile = iam.CfnInstanceProfile(stack, "ServerProfile", roles=[role.ref])
    template = ec2.CfnLaunchTemplate(
        stack,
        LAUNCH_TEMPLATE,
        launch_template_data=ec2.CfnLaunchTemplate.LaunchTemplateDataProperty(
            # Resolved when a server is launched: a new release of Ubuntu changes no running one, nor the stack.
            # https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html
            image_id=f"resolve:ssm:{_UBUNTU.format(architecture=architecture)}",
            instance_type=size,
            key_name=parameters.either("EC2KeyPair", {"Ref": "EC2KeyPair"}, cdk.Aws.NO_VALUE),
            iam_instance_profile={"arn": profile.attr_arn},
            ebs_optimized=True,
            block_device_mappings=[
                {
                    "deviceName": "/dev/sda1",
                    "ebs": {
                        "volumeType": "gp3",
                        "volumeSize": _DISK_GIB,
                        "encrypted": True,
                        # Not the account's default key, which may be one that Auto Scaling's role has no grant for.
                        "kmsKeyId": "alias/aws/ebs",
                        "deleteOnTermination": True,
                    },
                }
            ],
            metadata_options={"httpTokens": "required", "httpPutResponseHopLimit": 1, "httpEndpoint": "enabled"},
            network_interfaces=[
                # Until it has taken the stack's own address it needs another, to ask for it.
                {"deviceIndex": 0, "associatePublicIpAddress": True, "groups": [security_group_id]}
            ],
            user_data=cdk.Fn.base64(
                cdk.Fn.sub(_user_data(stack, parameters, program, configuration), {"ReadyUrl": ready_url})
            ),
        ),
    )
    template.add_metadata("hostemr", {"agent": program.agent_text, "configuration": dict(configuration)})
    return template


def server_group(
    stack: cdk.Stack, *, template: ec2.CfnLaunchTemplate, network: Network, after: Sequence[cdk.CfnResource]
) -> autoscaling.CfnAutoScalingGroup:
    """One server, always: a dead one is replaced. An update ends the old one first, for there is one data volume."""
    group = autoscaling.CfnAutoScalingGroup(
        stack,
        GROUP,
        min_size="1",
        max_size="1",
        desired_capacity="1",
        vpc_zone_identifier=[network.subnet.ref],
        launch_template={"launchTemplateId": template.ref, "version": template.attr_latest_version_number},
        health_check_type="EC2",
        health_check_grace_period=300,
        tags=[
            {"key": "Name", "value": cdk.Aws.STACK_NAME, "propagateAtLaunch": True},
            {"key": MARK, "value": cdk.Aws.STACK_ID, "propagateAtLaunch": True},
        ],
    )
    group.cfn_options.update_policy = cdk.CfnUpdatePolicy(
        auto_scaling_rolling_update=cdk.CfnAutoScalingRollingUpdate(
            min_instances_in_service=0,
            max_batch_size=1,
            # The most that CloudFormation takes; an upgrade of OpenEMR is part of the start.
            pause_time="PT1H",
            wait_on_resource_signals=True,
            # While CloudFormation replaces the server nobody else does.
            suspend_processes=["HealthCheck", "ReplaceUnhealthy", "AZRebalance", "AlarmNotification"],
        )
    )
    for one in (*network.way_out, *after):
        group.add_resource_dependency(one)
    return group


def ready(stack: cdk.Stack, *, handle: str, group: cdk.CfnResource, minutes: int) -> cloudformation.CfnWaitCondition:
    """What keeps the stack from being complete before the server is; a failed set-up ends it with its reason."""
    condition = cloudformation.CfnWaitCondition(stack, "Ready", handle=handle, count=1, timeout=str(minutes * 60))
    condition.add_resource_dependency(group)
    return condition


def _user_data(stack: cdk.Stack, parameters: Parameters, program: Program, configuration: Mapping[str, Any]) -> str:
    """The script, and after it the parameters that the configuration hangs on: as a comment, for CloudFormation.

    Metadata is no property, so CloudFormation would not launch another server because of it.
    """
    document = stack.resolve(configuration)
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    script = program.script(resource=LAUNCH_TEMPLATE, agent_sha256=program.agent_sha256, configuration_sha256=digest)
    named = " ".join(f"${{{name}}}" for name in sorted(set(_references(document)) & parameters.names))
    return f"{script.rstrip()}\n# Made for: {named}\n"


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("Ref"), str):
            yield value["Ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
