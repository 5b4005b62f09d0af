"""The settings of the registration service on AWS as rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hostemr.deployment.access_rows import ACCESS
from hostemr.deployment.data_rows import BACKUP, DATABASE, WATCHING
from hostemr.deployment.option_rows import DOMAIN
from hostemr.deployment.parsers import BOOLEAN, DIGEST, IMAGE_MAYBE_TAGGED, arn, one_of, or_null, ranges, text_of, whole
from hostemr.deployment.setting import Setting
from hostemr.deployment.task_rows import TASKS

REGISTRATION = "registration"
"""The deployment's name on the command line."""

_SHARED = {row.name: row for row in (*ACCESS, *DOMAIN, *TASKS, *DATABASE, *BACKUP, *WATCHING)}
_HOST = r"(?=.{1,200}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"
INSTANCE_CLASSES = tuple(
    f"db.{family}.{size}"
    for family, sizes in (
        ("t4g", ("micro", "small", "medium", "large")),
        ("m7g", ("large", "xlarge", "2xlarge")),
        ("r7g", ("large", "xlarge", "2xlarge")),
    )
    for size in sizes
)
"""Graviton classes that RDS for MySQL 8.4 runs on.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.DBInstanceClass.Support.html
"""


def _shared(row: str, /, **changes: Any) -> Setting:
    """A row that the applications on Fargate have too, whatever their sizes say."""
    return replace(_SHARED[row], sized=False, applications=None, **changes)


_ADDRESS = (
    Setting(
        name="host_name",
        attribute="host_name",
        kind=text_of(_HOST, "a host name in small letters, such as reg.example.org"),
        default="reg.open-emr.org",
        meaning="The name under which installations and the board reach the service. OpenEMR has its default built in.",
        source="seed",
    ),
    _shared(
        "certificate_arn",
        meaning="ACM certificate for host_name, in the service's region. Null has one made: it is issued when the "
        "CNAME record that ACM shows is in the DNS, by itself where route53_domain is given, else by your hand while "
        "the deployment waits.",
    ),
    _shared(
        "route53_domain",
        meaning="The domain whose public hosted zone, in this account's Route 53, gets the records of host_name, of "
        "the certificate and of mail_from's domain, as far as they are in it. Null leaves DNS to you.",
        source="ours",
    ),
    _shared("hosted_zone_id", meaning="The hosted zone of route53_domain; both or none."),
    _shared("vpc_cidr"),
    _shared("availability_zones"),
    _shared(
        "egress",
        kind=one_of("public_ip", "one_nat", "nat_per_zone"),
        default="public_ip",
        meaning="How tasks reach AWS: by public addresses of their own, which nobody can reach them by, or by NAT "
        "gateways, one for all or one for each zone.",
    ),
    _shared("enable_waf"),
    _shared(
        "waf_rate_limit",
        default=2_000,
        meaning="Most requests of one address in five minutes before the firewall blocks it; SNS's reports do not "
        "count. A hosting provider's clinics may share an address. Null sets no limit.",
    ),
    Setting(
        name="board_ip_range",
        attribute="board_ranges",
        kind=ranges(),
        default=(),
        meaning="The networks, IPv4 and IPv6, from which the board's console can be opened. Null lets everybody see "
        "its sign-in page. Needs enable_waf.",
    ),
    _shared("load_balancer_deletion_protection"),
)

_MAIL = (
    Setting(
        name="mail_from",
        attribute="mail_from",
        kind=text_of(
            rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_HOST}",
            "an address whose domain is in small letters, such as noreply@example.org",
        ),
        default="noreply@open-emr.org",
        meaning="Sender of broadcasts. Its domain becomes an SES identity with DKIM.",
        source="seed",
    ),
    Setting(
        name="ses_region",
        attribute="ses_region",
        kind=or_null(text_of(r"[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}", "a region such as us-east-1")),
        meaning="Region of Amazon SES, which gets a stack of its own: the one in which AWS lets the account send. "
        "Null is the service's own.",
        source="seed",
    ),
)

_RUNNING = (
    Setting(
        name="registration_image",
        attribute="image",
        kind=or_null(IMAGE_MAYBE_TAGGED),
        meaning="Image of the service, made elsewhere. Null has `cdk deploy` build it from this checkout.",
    ),
    Setting(
        name="registration_image_digest",
        attribute="image_digest",
        kind=DIGEST,
        meaning="Digest of that image or, where none is given, of the Python image that ours is built on. Null trusts "
        "the tag, which can be moved.",
    ),
    Setting(
        name="cpu_architecture",
        attribute="cpu_architecture",
        kind=one_of("X86_64", "ARM64"),
        default="X86_64",
        meaning="Processor of the tasks. ARM64 costs a fifth less; building its image on another kind of machine needs "
        "emulation.",
    ),
    _shared("{application}_service_fargate_minimum_capacity", default=1, kind=whole(1, 20, "tasks")),
    _shared("{application}_service_fargate_maximum_capacity", default=2, kind=whole(1, 20, "tasks")),
    _shared("{application}_service_fargate_cpu_autoscaling_percentage", default=60, source="ours"),
    _shared(
        "openemr_service_fargate_cpu",
        name="registration_service_fargate_cpu",
        default=512,
        meaning="CPU units of a task, which is a server and a delivery worker; 1024 are one vCPU.",
        source="ours",
    ),
    _shared(
        "openemr_service_fargate_memory",
        name="registration_service_fargate_memory",
        default=1024,
        meaning="Memory of a task in MiB.",
        source="ours",
    ),
    _shared("enable_ecs_exec"),
)

_DATABASE = (
    Setting(
        name="database_instance_class",
        attribute="database_instance_class",
        kind=one_of(*INSTANCE_CLASSES),
        default="db.t4g.micro",
        meaning="Instance class of RDS for MySQL.",
        source="seed",
    ),
    Setting(
        name="database_multi_az",
        attribute="database_multi_az",
        kind=BOOLEAN,
        default=True,
        meaning="A standby in another zone that takes over within a minute or two. It costs as much again.",
        source="seed",
    ),
    Setting(
        name="database_storage",
        attribute="database_storage",
        kind=whole(20, 1024, "GiB"),
        default=20,
        meaning="First size of the database's storage; RDS cannot make it smaller.",
        source="seed",
    ),
    Setting(
        name="database_maximum_storage",
        attribute="database_maximum_storage",
        kind=whole(20, 16_384, "GiB"),
        default=100,
        meaning="Up to which size the storage grows by itself when it is nearly full.",
    ),
    _shared("rds_deletion_protection"),
    _shared("credential_rotation_days", meaning="After how many days the service gets a new database password."),
    Setting(
        name="restored_database_host",
        attribute="restored_database_host",
        kind=or_null(text_of(_HOST, "the endpoint of an RDS instance in this VPC")),
        meaning="Endpoint of a database that was restored from a backup: the service uses it instead of the stack's "
        "own, which stays. Null uses the stack's own.",
    ),
    Setting(
        name="restored_database_secret_arn",
        attribute="restored_database_secret_arn",
        kind=or_null(
            arn(
                "secretsmanager",
                r"secret:[A-Za-z0-9/_+=.@!-]{1,519}",
                "the ARN of the secret in which RDS keeps its master's password",
            )
        ),
        meaning="The master's secret of the restored database; both or none.",
    ),
)

SETTINGS = (
    _shared("{application}_resource_suffix", source="ours"),
    *_ADDRESS,
    *_MAIL,
    *_RUNNING,
    *_DATABASE,
    _shared("backup_vault_lock_days"),
    _shared("backup_copy_vault_arn"),
    _shared("restore_testing"),
    _shared("log_retention_days", meaning="How many days CloudWatch keeps logs."),
    _shared("enable_monitoring_alarms", meaning="CloudWatch alarms on what clinics and the board would notice."),
    _shared("monitoring_email"),
    _shared("deployment_notification_email"),
    _shared("enable_stack_termination_protection"),
)
"""What the service on AWS can be told, in the order in which people read it."""
