"""Runs one check on small templates."""

from __future__ import annotations

from typing import Any

from hostemr.operate.checks.record import Found
from hostemr.operate.checks.registry import BY_ID
from hostemr.operate.checks.templates import Templates
from tests.operate.templates import template


def found(identity: str, resources: dict[str, Any], **sections: Any) -> list[Found]:
    """What the check finds in a template of these resources, the only stack of its deployment."""
    return across(identity, {"clinic": template(resources, **sections)})


def across(identity: str, templates: dict[str, Any]) -> list[Found]:
    """What the check finds in several templates of one deployment."""
    return list(BY_ID[f"HOSTEMR-{identity}"].find(Templates(templates)))


def problems(identity: str, resources: dict[str, Any], **sections: Any) -> list[str]:
    """As lines: the resource and what is wrong with it."""
    return [f"{one.resource.logical_id}: {one.problem}" for one in found(identity, resources, **sections)]


def role(
    *statements: dict[str, Any], managed: tuple[Any, ...] = (), service: str = "ec2.amazonaws.com"
) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "AssumeRolePolicyDocument": {
            "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]
        }
    }
    if statements:
        properties["Policies"] = [{"PolicyName": "own", "PolicyDocument": {"Statement": list(statements)}}]
    if managed:
        properties["ManagedPolicyArns"] = list(managed)
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def allow(*actions: str, on: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def service_may(service: str, *actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"Service": service}, "Action": list(actions), "Resource": "*"}


def key(*statements: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {"Type": "AWS::KMS::Key", **attributes, "Properties": {"KeyPolicy": {"Statement": list(statements)}}}
