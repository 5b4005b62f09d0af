"""No bucket, topic, queue, key, vault or secret is open to everybody."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.identities import documents
from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Templates

_TYPES = (
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::KMS::Key",
    "AWS::SecretsManager::ResourcePolicy",
    "AWS::Backup::BackupVault",
    "AWS::EFS::FileSystem",
)


def _find(templates: Templates) -> Iterator[Found]:
    for holder in templates.of(*_TYPES):
        for statement in documents(holder):
            if statement.allows and statement.anybody(templates) and not statement.content.get("Condition"):
                yield Found(
                    holder,
                    f"its policy allows {', '.join(statement.actions(templates))} to everybody, without a condition",
                    "name the principals, or bound the statement to the account (aws:SourceAccount, "
                    "aws:PrincipalOrgID)",
                    str(statement.content.get("Sid", "")),
                )


CHECK = Check(
    id="HOSTEMR-OpenPolicy",
    title="No resource's policy is open to everybody",
    severity="error",
    reason="A principal of * is everybody who has an AWS account, or nobody at all has to have one.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
    find=_find,
)
