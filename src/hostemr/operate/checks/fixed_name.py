"""Two copies of a deployment can live in one account and region."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Templates
from hostemr.operate.texts import UNKNOWN

NAMES = {
    "AWS::Backup::BackupVault": "BackupVaultName",
    "AWS::CloudTrail::Trail": "TrailName",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::ElastiCache::ReplicationGroup": "ReplicationGroupId",
    "AWS::ElastiCache::ServerlessCache": "ServerlessCacheName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::RDS::DBCluster": "DBClusterIdentifier",
    "AWS::RDS::DBInstance": "DBInstanceIdentifier",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SES::ReceiptRuleSet": "RuleSetName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SSM::Parameter": "Name",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::WAFv2::WebACL": "Name",
}


def _find(templates: Templates) -> Iterator[Found]:
    for resource in templates.of(*NAMES):
        for name in (templates.text(resource.stack, one) for one in resource.at(NAMES[resource.type])):
            # A name with the stack's own in it is as unique as the stack.
            if UNKNOWN in name or resource.stack.lower() in name.lower():
                continue
            yield Found(
                resource,
                f"its name is fixed: {name}",
                "leave the name to CloudFormation, or put ${AWS::StackName} in it",
                NAMES[resource.type],
            )


CHECK = Check(
    id="HOSTEMR-FixedName",
    title="Names leave room for a second copy",
    severity="note",
    reason="A restore to a new copy beside the old one fails when a name is taken; so does any replacement of the "
    "resource.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html",
    find=_find,
)
