"""The evidence behind the acknowledgements of the analytics stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hostemr.stacks.evidence import Templates, as_list

_KNOW_NO_RESOURCE = {
    "ecs:ListTasks",
    "emr-serverless:ListApplications",
    "rds:DescribeExportTasks",
    "s3:ListAllMyBuckets",
    "sagemaker-mlflow:AccessUI",
    "sagemaker:ListApps",
    "sagemaker:ListDomains",
    "sagemaker:ListMlflowTrackingServers",
    "sagemaker:ListSpaces",
    "sagemaker:ListUserProfiles",
}


def _statements(templates: Templates) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of a policy in the analytics stack, with the policy's logical id."""
    for name, one in (templates.analytics or {"Resources": {}})["Resources"].items():
        if one["Type"] == "AWS::IAM::ManagedPolicy":
            for statement in one["Properties"]["PolicyDocument"]["Statement"]:
                yield name, statement


def only_listing_is_for_everything(templates: Templates) -> bool:
    """With a star there are only actions that know no resource, nearly all of which list; tasks are of the cluster."""
    return all(
        set(as_list(statement["Action"])) <= _KNOW_NO_RESOURCE
        and ("ecs:ListTasks" not in as_list(statement["Action"]) or "ecs:cluster" in json.dumps(statement["Condition"]))
        for _, statement in _statements(templates)
        if "*" in as_list(statement["Resource"])
    )


def objects_are_of_the_export_buckets_only(templates: Templates) -> bool:
    """Whatever names objects in S3 names those of the two buckets of this stack; Spark writes results alone."""
    for name, statement in _statements(templates):
        if not any(action.startswith("s3:") for action in as_list(statement["Action"])) or statement["Resource"] == "*":
            continue
        text = json.dumps(statement["Resource"])
        if "EFSExportBucket" not in text and "S3ExportBucket" not in text:
            return False
        if name.startswith("Spark") and "s3:PutObject" in as_list(statement["Action"]) and "/results/*" not in text:
            return False
    return True


def only_the_export_writes_with_any_action_on_objects(templates: Templates) -> bool:
    """Actions with a star are of one policy, whose role only RDS's exports may assume."""
    resources = (templates.analytics or {"Resources": {}})["Resources"]
    named = {name for name, statement in _statements(templates) if "Object*" in json.dumps(statement["Action"])}
    roles = [
        one["Properties"]
        for one in resources.values()
        if one["Type"] == "AWS::IAM::Role" and any(name in json.dumps(one["Properties"]) for name in named)
    ]
    trusted = [role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] for role in roles]
    return all(name.startswith("DatabaseExportWrite") for name in named) and all(
        principal == {"Service": "export.rds.amazonaws.com"} for principal in trusted
    )


def names_within_are_of_what_the_stack_made(templates: Templates) -> bool:
    """Tasks, job runs, apps, spaces and tracking servers are named below what this stack made, or after it."""
    kinds = (":task/", "/jobruns/", ":app/", ":space/", ":user-profile/", ":mlflow-tracking-server/")
    for _, statement in _statements(templates):
        for resource in as_list(statement["Resource"]):
            text = json.dumps(resource)
            if any(kind in text for kind in kinds) and not any(
                own in text for own in ("FilesExportCluster", "SparkApplication", "StudioDomain", "-analytics")
            ):
                return False
    return True
