"""The evidence behind the acknowledgements of Express Plus: facts that its template shows, pure functions of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hostemr.stacks.evidence import Resource, Template, as_list

_ALLOWED = {"Ref": "AllowedAddressRange"}
_WITH_A_DOMAIN = {"Fn::If": ["HasDomain", "0.0.0.0/0", _ALLOWED]}
_SSH_CONDITION = "HasEC2KeyPair"
_WITHOUT_RESOURCES = {
    "cloudwatch:PutMetricData": ("StringEquals", "cloudwatch:namespace"),
    "ec2:DescribeVolumes": ("StringEquals", "ec2:Region"),
    "ssmmessages:CreateControlChannel": None,
    "ssmmessages:CreateDataChannel": None,
    "ssmmessages:OpenControlChannel": None,
    "ssmmessages:OpenDataChannel": None,
}
"""Actions that know no resources, and the operator and key of the condition that bounds them where AWS has one."""
_TAG = ("StringEquals", "aws:ResourceTag/hostemr:stack")
_ON_ANY = {
    (":instance/*", "ec2:AttachVolume"): _TAG,
    (":instance/*", "ec2:AssociateAddress"): _TAG,
    (":network-interface/*", "ec2:AssociateAddress"): ("ArnEquals", "ec2:Vpc"),
    (":instance/*", "ssm:UpdateInstanceInformation"): None,
}
"""What the server may do to instances and interfaces whose ids nobody knows yet, and the condition that bounds it."""
_IN_BUCKETS = {
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
}
_NEVER = {"s3:DeleteObjectVersion", "s3:BypassGovernanceRetention", "s3:PutLifecycleConfiguration"}


def only_the_web_is_open(template: Template) -> bool:
    """443 and 80 are open to the allowed addresses, 80 to all with a domain, 22 only to them and with a key pair."""
    rules = [
        (one["Properties"]["FromPort"], one["Properties"]["ToPort"], one["Properties"]["CidrIp"], one.get("Condition"))
        for _, one in _of(template, "AWS::EC2::SecurityGroupIngress")
    ]
    inline = [one for _, one in _of(template, "AWS::EC2::SecurityGroup") if "SecurityGroupIngress" in one["Properties"]]
    known = ((443, 443, _ALLOWED, None), (80, 80, _WITH_A_DOMAIN, None), (22, 22, _ALLOWED, _SSH_CONDITION))
    return not inline and bool(rules) and all(rule in known for rule in rules)


def only_the_server_reads_the_secrets(template: Template) -> bool:
    """One role may read the secrets: that of the server."""
    readers = {
        name
        for name, statement in _statements(template)
        if "secretsmanager:GetSecretValue" in as_list(statement["Action"])
    }
    roles = [name for name, _ in _of(template, "AWS::IAM::Role")]
    return readers <= {"SecretsPolicy", "RecoveryPolicy"} and roles == ["ServerRole"]


def secrets_outlive_the_stack(template: Template) -> bool:
    """No secret goes with the stack, and none changes by itself."""
    kept = all(_kept(secret) for _, secret in _of(template, "AWS::SecretsManager::Secret"))
    return kept and not list(_of(template, "AWS::SecretsManager::RotationSchedule"))


def the_database_is_behind_the_web_server(template: Template) -> bool:
    """Nothing but the web is open, and there is no other database than the one on the server."""
    return only_the_web_is_open(template) and not list(_of(template, "AWS::RDS::DBInstance", "AWS::RDS::DBCluster"))


def statements_for_everything_are_bound(template: Template) -> bool:
    """`*` stands only where an action knows no resource, under a condition wherever AWS has one."""
    for _, statement in _statements(template):
        if statement["Resource"] != "*":
            continue
        for action in as_list(statement["Action"]):
            if action not in _WITHOUT_RESOURCES:
                return False
            bound = _WITHOUT_RESOURCES[action]
            if bound is not None and not statement.get("Condition", {}).get(bound[0], {}).get(bound[1]):
                return False
    return True


def instances_are_those_of_the_stack(template: Template) -> bool:
    """What moves disk and address works on the stack's own servers only: by their tag, or by their VPC."""
    for _, statement in _statements(template):
        for end in (":instance/*", ":network-interface/*"):
            for action in as_list(statement["Action"]) if _ends(statement["Resource"], end) else ():
                if (end, action) not in _ON_ANY:
                    return False
                bound = _ON_ANY[end, action]
                if bound is not None and not statement.get("Condition", {}).get(bound[0], {}).get(bound[1]):
                    return False
    return True


def backups_are_written_and_never_destroyed(template: Template) -> bool:
    """Below one prefix the server writes and marks as deleted; what would destroy versions is denied to it."""
    for _, statement in _statements(template):
        if _ends(statement["Resource"], "/Backup/*") and not set(as_list(statement["Action"])) <= _IN_BUCKETS:
            return False
    denied = {
        action
        for _, policy in _of(template, "AWS::S3::BucketPolicy")
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny" and statement["Principal"] == {"AWS": {"Fn::GetAtt": ["ServerRole", "Arn"]}}
        for action in as_list(statement["Action"])
    }
    return denied >= _NEVER


def the_other_bucket_is_only_read(template: Template) -> bool:
    """A recovery reads the other stack's bucket, and changes nothing there."""
    policy = template["Resources"].get("RecoveryPolicy")
    if policy is None:
        return True
    actions = {
        action
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
    }
    reading = {"s3:ListBucket", "s3:GetBucketLocation", "s3:GetObject", "kms:Decrypt", "secretsmanager:GetSecretValue"}
    return actions == reading


def silence_is_an_alarm(template: Template) -> bool:
    """Whoever subscribes hears when the server says nothing of its health, its backups or its drills."""
    loud = {
        alarm["Properties"]["MetricName"]
        for _, alarm in _of(template, "AWS::CloudWatch::Alarm")
        if alarm["Properties"]["TreatMissingData"] == "breaching" and alarm["Properties"].get("AlarmActions")
    }
    return loud == {"Unhealthy", "BackupAgeHours", "DrillAgeDays"}


def every_interface_names_its_groups(template: Template) -> bool:
    """The server says which security groups it wears, and nothing else has an interface in the VPC."""
    interfaces = [
        interface
        for _, one in _of(template, "AWS::EC2::LaunchTemplate")
        for interface in one["Properties"]["LaunchTemplateData"].get("NetworkInterfaces", [])
    ]
    others = list(_of(template, "AWS::EC2::Instance", "AWS::EC2::NetworkInterface", "AWS::EC2::VPCEndpoint"))
    return bool(interfaces) and not others and all(one.get("Groups") for one in interfaces)


def the_way_out_is_one_subnets(template: Template) -> bool:
    """One subnet, which gives public addresses to nobody by itself, and a server that lets in the web alone."""
    subnets = [one["Properties"] for _, one in _of(template, "AWS::EC2::Subnet")]
    return len(subnets) == 1 and subnets[0]["MapPublicIpOnLaunch"] is False and only_the_web_is_open(template)


def buckets_are_versioned_and_kept(template: Template) -> bool:
    """No bucket loses an object by being overwritten, or with the stack."""
    return all(
        bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"} and _kept(bucket)
        for _, bucket in _of(template, "AWS::S3::Bucket")
    )


def the_log_bucket_takes_only_logs(template: Template) -> bool:
    """One bucket has S3's own keys, and AWS's two log services alone may write there."""
    with_s3_keys = [
        name
        for name, bucket in _of(template, "AWS::S3::Bucket")
        for rule in bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        if rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    ]
    writers = {
        statement["Principal"]["Service"]
        for _, policy in _of(template, "AWS::S3::BucketPolicy")
        if policy["Properties"]["Bucket"] == {"Ref": "LogBucket"}
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and "s3:PutObject" in as_list(statement["Action"])
    }
    return with_s3_keys == ["LogBucket"] and writers == {"delivery.logs.amazonaws.com", "logging.s3.amazonaws.com"}


def the_trail_is_kept_and_proves_itself(template: Template) -> bool:
    """The trail writes digests beside its files, to a bucket that is kept."""
    return buckets_are_versioned_and_kept(template) and all(
        trail["Properties"]["EnableLogFileValidation"] is True
        and trail["Properties"]["S3BucketName"] == {"Ref": "AuditBucket"}
        for _, trail in _of(template, "AWS::CloudTrail::Trail")
    )


def _of(template: Template, *types: str) -> Iterator[tuple[str, Resource]]:
    for name, resource in template["Resources"].items():
        if resource["Type"] in types:
            yield name, resource


def _statements(template: Template) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, policy in _of(template, "AWS::IAM::ManagedPolicy"):
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            yield name, statement


def _kept(resource: Resource) -> bool:
    return bool(resource.get("DeletionPolicy") == resource.get("UpdateReplacePolicy") == "Retain")


def _ends(value: Any, end: str) -> bool:
    """Whether an ARN, which may be joined of parts, ends so."""
    if isinstance(value, Mapping) and "Fn::Join" in value:
        return _ends(value["Fn::Join"][1][-1], end)
    return isinstance(value, str) and value.endswith(end)
