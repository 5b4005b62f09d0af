"""The settings of what runs: image, tasks, the application itself, its sessions."""

from __future__ import annotations

from hostemr.deployment.fargate import TASK_MEMORY
from hostemr.deployment.parsers import (
    BOOLEAN,
    IMAGE,
    arn,
    one_of,
    or_null,
    text_of,
    whole,
)
from hostemr.deployment.setting import Setting

IMAGES = (
    Setting(
        name="{application}_version",
        attribute="version",
        kind=text_of(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "an image's tag, such as 8.1.0"),
        meaning="Tag of the application's image. A new one upgrades the database at the next deployment.",
    ),
    Setting(
        name="{application}_image",
        attribute="image",
        kind=IMAGE,
        meaning="Repository of the application's image, on Docker Hub or elsewhere, without tag.",
    ),
    Setting(
        name="{application}_image_digest",
        attribute="image_digest",
        kind=or_null(text_of(r"sha256:[0-9a-f]{64}", "sha256: and 64 hexadecimal digits in lower case")),
        meaning="Digest of the image: pins exactly what runs. Null trusts the tag, which can be moved.",
    ),
    Setting(
        name="docker_hub_secret_arn",
        attribute="docker_hub_secret_arn",
        kind=or_null(
            arn(
                "secretsmanager",
                r"secret:ecr-pullthroughcache/[A-Za-z0-9/_+=.@-]+",
                "the ARN of a Secrets Manager secret whose name begins with ecr-pullthroughcache/, as ECR demands",
            )
        ),
        meaning="Secret with a Docker Hub user name and access token: turns ECR's pull-through cache on, so that tasks "
        "start from a copy in the account, whether or not Docker Hub answers.",
    ),
)

TASKS = (
    Setting(
        name="{application}_service_fargate_minimum_capacity",
        attribute="minimum_capacity",
        kind=whole(1, 5000, "tasks"),
        default=2,
        meaning="Least number of tasks that run.",
        source="seed",
    ),
    Setting(
        name="{application}_service_fargate_maximum_capacity",
        attribute="maximum_capacity",
        kind=whole(1, 5000, "tasks"),
        default=100,
        meaning="Most tasks that autoscaling may start.",
        source="seed",
    ),
    Setting(
        name="{application}_service_fargate_cpu_autoscaling_percentage",
        attribute="cpu_target_percent",
        kind=whole(1, 100, "percent"),
        default=40,
        meaning="Average CPU use that autoscaling holds by adding and removing tasks.",
        source="seed",
    ),
    Setting(
        name="{application}_service_fargate_memory_autoscaling_percentage",
        attribute="memory_target_percent",
        kind=whole(1, 100, "percent"),
        default=40,
        meaning="Average memory use that autoscaling holds by adding and removing tasks.",
        source="seed",
    ),
    Setting(
        name="{application}_service_fargate_cpu",
        attribute="task_cpu",
        kind=one_of(*TASK_MEMORY),
        default=1024,
        meaning="CPU units of one task; 1024 are one vCPU (ARM64).",
        source="peer",
    ),
    Setting(
        name="{application}_service_fargate_memory",
        attribute="task_memory",
        kind=whole(512, 122_880, "MiB, as the CPU allows"),
        default=2048,
        meaning="Memory of one task in MiB; which values are valid depends on the CPU units.",
        source="peer",
    ),
    Setting(
        name="enable_ecs_exec",
        attribute="enable_ecs_exec",
        kind=BOOLEAN,
        default=False,
        meaning="Lets whoever has the right open a shell in a running task (`aws ecs execute-command`); sessions are "
        "encrypted and logged.",
        source="seed",
    ),
    Setting(
        name="cache",
        attribute="cache",
        kind=one_of("valkey_serverless", "none"),
        default="valkey_serverless",
        meaning="Where sessions live: in ElastiCache, where every task sees them, or (none) in the one task's files, "
        "which allows one task only.",
    ),
    Setting(
        name="cache_maximum_gigabytes",
        attribute="cache_maximum_gigabytes",
        kind=whole(1, 5000, "GB"),
        default=5,
        meaning="Most data that the cache may hold, which bounds its cost.",
    ),
)

APPLICATION = (
    Setting(
        name="activate_openemr_apis",
        attribute="activate_apis",
        kind=BOOLEAN,
        default=False,
        meaning="Turns on OpenEMR's REST and FHIR interfaces. Needs certificate_arn.",
        source="seed",
        applications=("openemr",),
    ),
    Setting(
        name="enable_patient_portal",
        attribute="enable_patient_portal",
        kind=BOOLEAN,
        default=False,
        meaning="Turns on OpenEMR's patient portal at /portal. Needs certificate_arn.",
        source="seed",
        applications=("openemr",),
    ),
    Setting(
        name="background_services_interval_minutes",
        attribute="background_services_interval_minutes",
        kind=whole(0, 1440, "minutes"),
        default=1,
        meaning="How often the application's background services (reminders, queues of mail and messages) run though "
        "nobody is signed in; 0 never runs them.",
    ),
    Setting(
        name="setup_run",
        attribute="setup_run",
        kind=text_of(r"[A-Za-z0-9._:-]{0,64}", "up to 64 letters, digits and . _ : -"),
        default="",
        meaning="Any new value makes the next deployment run the set-up task again; today's date serves.",
    ),
)
