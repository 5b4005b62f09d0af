"""The settings of what lasts and who watches it: database, backups, trail, logs, alarms."""

from __future__ import annotations

from hostemr.deployment.parsers import (
    BOOLEAN,
    EMAILS,
    arn,
    halves,
    one_of,
    or_null,
    whole,
)
from hostemr.deployment.setting import Setting

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545),
    *(731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)

DATABASE = (
    Setting(
        name="aurora_minimum_capacity",
        attribute="aurora_minimum_capacity",
        kind=halves(0, 256, "ACU"),
        default=0.5,
        meaning="Least capacity of the database in ACU (about 2 GiB of memory each). 0 lets it sleep, and then the "
        "first request waits until it wakes.",
    ),
    Setting(
        name="aurora_maximum_capacity",
        attribute="aurora_maximum_capacity",
        kind=halves(1, 256, "ACU"),
        default=256.0,
        meaning="Most capacity of the database in ACU; also bounds its number of connections and its cost.",
    ),
    Setting(
        name="aurora_auto_pause_minutes",
        attribute="aurora_auto_pause_minutes",
        kind=whole(5, 1440, "minutes"),
        default=5,
        meaning="After how many idle minutes the database falls asleep; only with aurora_minimum_capacity 0.",
    ),
    Setting(
        name="aurora_reader",
        attribute="aurora_reader",
        kind=BOOLEAN,
        default=True,
        meaning="A second database instance in another zone, which takes over within about a minute. It costs as much "
        "again.",
    ),
    Setting(
        name="rds_deletion_protection",
        attribute="rds_deletion_protection",
        kind=BOOLEAN,
        default=True,
        meaning="Whether AWS refuses to delete the database.",
        source="peer",
    ),
    Setting(
        name="credential_rotation_days",
        attribute="credential_rotation_days",
        kind=whole(1, 365, "days"),
        default=30,
        meaning="After how many days the application gets a new database password.",
    ),
)

BACKUP = (
    Setting(
        name="backup_vault_lock_days",
        attribute="backup_vault_lock_days",
        kind=or_null(whole(3, 36_500, "days")),
        meaning="After that many days nobody, AWS included, can shorten the retention of the backups or delete them "
        "early (AWS Backup Vault Lock in compliance mode). Until then the lock can be removed. Null sets none.",
    ),
    Setting(
        name="backup_copy_vault_arn",
        attribute="backup_copy_vault_arn",
        kind=or_null(
            arn(
                "backup",
                r"backup-vault:[A-Za-z0-9_.-]{2,50}",
                "the ARN of a backup vault, arn:PARTITION:backup:REGION:ACCOUNT:backup-vault:NAME",
            )
        ),
        meaning="Backup vault in another region or account that gets a copy of every backup.",
    ),
    Setting(
        name="restore_testing",
        attribute="restore_testing",
        kind=one_of("off", "weekly", "monthly"),
        default="monthly",
        meaning="How often AWS Backup restores the newest backup by itself, to see that it can, and deletes the copy.",
    ),
)

WATCHING = (
    Setting(
        name="enable_cloudtrail",
        attribute="enable_cloudtrail",
        kind=BOOLEAN,
        default=True,
        meaning="A trail of every call to AWS in the account, kept in S3 for seven years. Turn it off where the "
        "organisation has one already.",
    ),
    Setting(
        name="enable_long_term_cloudtrail_monitoring",
        attribute="long_term_trail",
        kind=BOOLEAN,
        default=True,
        meaning="The trail goes to CloudWatch Logs too, which keeps it for nine years, to be searched at once.",
        source="seed",
    ),
    Setting(
        name="log_retention_days",
        attribute="log_retention_days",
        kind=one_of(*LOG_RETENTION_DAYS),
        default=365,
        meaning="How many days CloudWatch keeps logs; HIPAA wants records for six years, 2192 (45 CFR 164.316(b)(2)).",
    ),
    Setting(
        name="enable_monitoring_alarms",
        attribute="enable_alarms",
        kind=BOOLEAN,
        default=True,
        meaning="CloudWatch alarms on what patients and staff would notice.",
        source="peer",
    ),
    Setting(
        name="monitoring_email",
        attribute="monitoring_email",
        kind=EMAILS,
        default=(),
        meaning="Who hears the alarms; each address confirms by a link that AWS sends.",
        source="peer",
    ),
    Setting(
        name="deployment_notification_email",
        attribute="deployment_notification_email",
        kind=EMAILS,
        default=(),
        meaning="Who hears how deployments of tasks went.",
        source="peer",
    ),
    Setting(
        name="enable_stack_termination_protection",
        attribute="enable_termination_protection",
        kind=BOOLEAN,
        default=True,
        meaning="Whether CloudFormation refuses to delete the data stack.",
        source="peer",
    ),
)
