"""The evidence behind the acknowledgements of options: domain, mail, attachments in S3, Bedrock."""

from __future__ import annotations

import json
import re

from hostemr.stacks.evidence import Templates, actions_for_everything, as_list, buckets_are_versioned_and_retained


def the_forwarder_reads_the_archive_only(templates: Templates) -> bool:
    """It is not in the VPC, reads objects of one prefix of one bucket, and sends from one address."""
    named = [(name, one) for name, one in templates.of("AWS::IAM::ManagedPolicy") if name.startswith("ReceivedMail")]
    reads = [
        json.dumps(resource)
        for _, policy in named
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if any(action.startswith("s3:") for action in as_list(statement["Action"]))
        for resource in as_list(statement["Resource"])
    ]
    functions = [one for name, one in templates.of("AWS::Lambda::Function") if name.startswith("ReceivedMail")]
    return all(":MailBucket" in one and '/mail/*"' in one for one in reads) and not any(
        "VpcConfig" in one["Properties"] for one in functions
    )


def only_addresses_of_the_domain_send(templates: Templates) -> bool:
    """Every statement that lets somebody send mail says from which addresses."""
    return all(
        "ses:FromAddress" in json.dumps(statement.get("Condition", {}))
        for _, policy in templates.of("AWS::IAM::ManagedPolicy")
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if any(action.startswith("ses:Send") for action in as_list(statement["Action"]))
    )


_KNOW_NO_RESOURCE = re.compile(r"route53:ListHostedZonesByName|ses:\w*Receipt\w*")


def what_knows_no_resource_is_all_that_is_for_everything(templates: Templates) -> bool:
    """With a star there are only the listing of zones, and SES's actions on receipt rules."""
    found = actions_for_everything(templates, "KeepRule") | actions_for_everything(templates, "ListZones")
    return all(_KNOW_NO_RESOURCE.fullmatch(action) for action in found)


def only_tasks_reach_the_attachments(templates: Templates) -> bool:
    """No policy but the tasks' own names the bucket."""
    return not any(
        ":AttachmentsBucket" in json.dumps(policy)
        for name, policy in templates.of("AWS::IAM::ManagedPolicy")
        if not name.startswith("TasksAttachments")
    )


def models_are_called_by_the_database_only(templates: Templates) -> bool:
    """Only RDS may assume the role, which may call models and do nothing else; the endpoint lets nobody else in."""
    policies = [one for name, one in templates.of("AWS::IAM::ManagedPolicy") if name.startswith("Bedrock")]
    actions = {
        action
        for policy in policies
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
    }
    roles = [one["Properties"] for name, one in templates.of("AWS::IAM::Role") if name.startswith("Bedrock")]
    trusted = all("rds.amazonaws.com" in json.dumps(role["AssumeRolePolicyDocument"]) for role in roles)
    return trusted and actions <= {"bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"}


def record_buckets_in_use_are_backed_up(templates: Templates) -> bool:
    """The buckets of mail and attachments are versioned and kept, and the plan names the ones that are written."""
    selected = "".join(
        json.dumps(selection["Properties"]["BackupSelection"]["Resources"])
        for _, selection in templates.of("AWS::Backup::BackupSelection")
    )
    in_use = {
        "Mail": any(templates.of("Custom::ReceiptRule")),
        "Attachments": ":AttachmentsBucket" in json.dumps(templates.service),
    }
    for name, used in in_use.items():
        for logical_id, _ in templates.of("AWS::S3::Bucket"):
            if logical_id.startswith(f"Records{name}") and used and f'"{logical_id}"' not in selected:
                return False
    return buckets_are_versioned_and_retained(templates)
