"""The evidence behind the registration service's acknowledgements: facts that its three templates show."""

from __future__ import annotations

import json

from hostemr.stacks import evidence
from hostemr.stacks.evidence import Templates, as_list

_DATABASE = "AWS::RDS::DBInstance"


def every_interface_names_its_security_groups(templates: Templates) -> bool:
    """Whatever gets an interface in the VPC, the database too, says which groups it wears."""
    named = [instance["Properties"].get("VPCSecurityGroups") for _, instance in templates.of(_DATABASE)]
    return all(named) and bool(named) and evidence.every_interface_names_its_security_groups(templates)


def no_statement_is_logged(templates: Templates) -> bool:
    """The logs that would hold statements are off, and RDS exports the one of errors."""
    off = all(
        group["Properties"]["Parameters"][log] == "0"
        for _, group in templates.of("AWS::RDS::DBParameterGroup")
        for log in ("general_log", "slow_query_log")
    )
    return off and all(
        instance["Properties"]["EnableCloudwatchLogsExports"] == ["error"] for _, instance in templates.of(_DATABASE)
    )


def any_second_of_35_days_can_be_restored(templates: Templates) -> bool:
    """RDS keeps continuous backups for as long as it can, and they outlive the instance."""
    return all(
        instance["Properties"]["BackupRetentionPeriod"] == 35
        and instance["Properties"]["DeleteAutomatedBackups"] is False
        for _, instance in templates.of(_DATABASE)
    )


def the_database_outlives_its_stack(templates: Templates) -> bool:
    """Neither deleting the stack nor a replacement deletes the database, and nothing that it stands on."""
    kinds = (_DATABASE, "AWS::RDS::DBSubnetGroup", "AWS::RDS::DBParameterGroup", "AWS::KMS::Key")
    return all(
        one.get("DeletionPolicy") == one.get("UpdateReplacePolicy") == "Retain" for _, one in templates.of(*kinds)
    )


def the_secrets_for_good_are_kept_and_never_made_anew(templates: Templates) -> bool:
    """The key and the pin outlive their stack, and no schedule changes them."""
    kept = [
        one.get("DeletionPolicy") == one.get("UpdateReplacePolicy") == "Retain"
        for name, one in templates.of("AWS::SecretsManager::Secret")
        if name in {"SecretKey", "BoardPin"}
    ]
    changed = [
        name
        for name, schedule in templates.of("AWS::SecretsManager::RotationSchedule")
        if any(word in json.dumps(schedule["Properties"]["SecretId"]) for word in (":SecretKeyArn", ":PinSecretArn"))
    ]
    return kept == [True, True] and not changed


def what_cannot_be_delivered_goes_to_the_queue(templates: Templates) -> bool:
    """The queue takes messages of the one topic alone, and the service's subscription leads there when it fails."""
    senders = [
        statement
        for _, policy in templates.of("AWS::SQS::QueuePolicy")
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    [(_, queue)] = templates.of("AWS::SQS::Queue")
    led = [
        queue["Properties"]["QueueName"] in json.dumps(subscription["Properties"].get("RedrivePolicy", {}))
        for _, subscription in templates.of("AWS::SNS::Subscription")
        if subscription["Properties"]["Protocol"] == "https"
    ]
    return (
        led == [True]
        and len(senders) == 1
        and as_list(senders[0]["Action"]) == ["sqs:SendMessage"]
        and "aws:SourceArn" in json.dumps(senders[0]["Condition"])
    )


def only_https_is_open_to_the_world(templates: Templates) -> bool:
    """Ranges of addresses are admitted to the load balancer's group alone, and there to port 443 alone."""
    ports = {
        (rule["FromPort"], rule["ToPort"])
        for _, group in templates.of("AWS::EC2::SecurityGroup")
        for rule in group["Properties"].get("SecurityGroupIngress", [])
    }
    return evidence.only_the_load_balancer_is_open(templates) and ports == {(443, 443)}


def mail_is_sent_under_one_name(templates: Templates) -> bool:
    """Whatever may send mail names an identity and a set, and may use one sender.

    The action SendBulkEmail knows no sender; what it sends is checked under SendBulkTemplatedEmail besides.
    """
    free: set[str] = set()
    bound: set[str] = set()
    for _, policy in templates.of("AWS::IAM::ManagedPolicy"):
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            sending = {action for action in as_list(statement["Action"]) if action.startswith("ses:Send")}
            (bound if "ses:FromAddress" in str(statement.get("Condition")) else free).update(sending)
            places = [json.dumps(one).replace(":template/*", "") for one in as_list(statement["Resource"])]
            if sending and any("*" in one for one in places):
                return False
    everywhere = evidence.actions_for_everything(templates, "SendMail")
    return "ses:SendBulkTemplatedEmail" in bound and free == {"ses:SendBulkEmail"} and everywhere == {"ses:GetAccount"}
