"""The settings of what runs: image, tasks, the application itself, its sessions."""

from __future__ import annotations

from hostemr.deployment.fargate import TASK_MEMORY
from hostemr.deployment.parsers import (
    BOOLEAN,
    CONFIG_URLS,
    IMAGE,
    IMAGE_MAYBE_TAGGED,
    SEARCH_URIS,
    arn,
    one_of,
    or_null,
    text_of,
    whole,
)
from hostemr.deployment.setting import Setting, Source

_TAG = text_of(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "an image's tag, such as 8.1.0")
_DIGEST = or_null(text_of(r"sha256:[0-9a-f]{64}", "sha256: and 64 hexadecimal digits in lower case"))


def _image(part: str, attribute: str) -> tuple[Setting, Setting]:
    """The settings of one of OpenMRS's three images: any of them may be the operator's own."""
    return (
        Setting(
            name=f"openmrs_{part}_image",
            attribute=attribute,
            kind=IMAGE_MAYBE_TAGGED,
            meaning=f"Image of the {part} container, on Docker Hub or elsewhere. Without a tag it has the one of "
            "openmrs_reference_application_version.",
            applications=("openmrs",),
        ),
        Setting(
            name=f"openmrs_{part}_image_digest",
            attribute=f"{attribute}_digest",
            kind=_DIGEST,
            meaning=f"Digest of the {part} image: pins exactly what runs. Null trusts the tag, which can be moved.",
            applications=("openmrs",),
        ),
    )


IMAGES = (
    Setting(
        name="openemr_version",
        attribute="version",
        kind=_TAG,
        meaning="Tag of the application's image. A new one upgrades the database at the next deployment.",
        applications=("openemr",),
    ),
    Setting(
        name="openemr_image",
        attribute="image",
        kind=IMAGE,
        meaning="Repository of the application's image, on Docker Hub or elsewhere, without tag.",
        applications=("openemr",),
    ),
    Setting(
        name="openemr_image_digest",
        attribute="image_digest",
        kind=_DIGEST,
        meaning="Digest of the image: pins exactly what runs. Null trusts the tag, which can be moved.",
        applications=("openemr",),
    ),
    Setting(
        name="openmrs_reference_application_version",
        attribute="version",
        kind=_TAG,
        meaning="Version of the OpenMRS reference application, as its images are tagged. A new one upgrades the "
        "database at the next deployment. From the seed's 3.2.0-rc.3 on.",
        source="seed",
        applications=("openmrs",),
    ),
    *_image("backend", "image"),
    *_image("frontend", "frontend_image"),
    *_image("gateway", "gateway_image"),
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

_TASK_SIZE: tuple[tuple[str, str, str, Source], ...] = (
    ("openemr", "openemr_service_fargate_cpu", "openemr_service_fargate_memory", "peer"),
    ("openmrs", "openmrs_service_fargate_cpu_per_task", "openmrs_service_fargate_ram_per_task", "seed"),
)
"""Application, its names for CPU and memory, and whose names they are."""

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
    *(
        row
        for application, cpu, memory, source in _TASK_SIZE
        for row in (
            Setting(
                name=cpu,
                attribute="task_cpu",
                kind=one_of(*TASK_MEMORY),
                default=1024,
                meaning="CPU units of one task; 1024 are one vCPU (ARM64).",
                source=source,
                applications=(application,),
            ),
            Setting(
                name=memory,
                attribute="task_memory",
                kind=whole(512, 122_880, "MiB, as the CPU allows"),
                default=2048,
                meaning="Memory of one task in MiB; which values are valid depends on the CPU units.",
                source=source,
                applications=(application,),
            ),
        )
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
        applications=("openemr",),
        elsewhere="none",
    ),
    Setting(
        name="cache_maximum_gigabytes",
        attribute="cache_maximum_gigabytes",
        kind=whole(1, 5000, "GB"),
        default=5,
        meaning="Most data that the cache may hold, which bounds its cost.",
        applications=("openemr",),
        elsewhere=1,
    ),
    Setting(
        name="sticky_session_cookie_length_in_minutes",
        attribute="sticky_session_minutes",
        kind=whole(0, 10_080, "minutes"),
        default=0,
        meaning="How long the load balancer sends a browser to the task that it was with. OpenMRS keeps sessions in "
        "one task's memory and needs it; OpenEMR does not. 0 sends each request to any task.",
        source="seed",
    ),
)

APPLICATION = (
    Setting(
        name="activate_openemr_apis",
        attribute="activate_apis",
        kind=BOOLEAN,
        default=False,
        elsewhere=False,
        meaning="Turns on OpenEMR's REST and FHIR interfaces. Needs certificate_arn or route53_domain.",
        source="seed",
        applications=("openemr",),
    ),
    Setting(
        name="enable_patient_portal",
        attribute="enable_patient_portal",
        kind=BOOLEAN,
        default=False,
        elsewhere=False,
        meaning="Turns on OpenEMR's patient portal at /portal. Needs certificate_arn or route53_domain.",
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
        applications=("openemr",),
        elsewhere=0,
    ),
    Setting(
        name="openmrs_attachment_storage",
        attribute="attachment_storage",
        kind=one_of("files", "s3"),
        default="files",
        meaning="Where patients' attachments are kept: on the shared file system, or in an S3 bucket of their own, "
        "which the backups cover too. S3 needs version 3.6.0 or later. What is in one place is not moved to the other.",
        applications=("openmrs",),
        elsewhere="files",
    ),
    Setting(
        name="openmrs_clustered_cache",
        attribute="clustered_cache",
        kind=BOOLEAN,
        default=False,
        meaning="Lets the tasks tell each other what has changed, so that none answers from an outdated cache. Needs "
        "version 3.6.0 or later.",
        applications=("openmrs",),
        elsewhere=False,
    ),
    Setting(
        name="openmrs_search_uris",
        attribute="search_uris",
        kind=SEARCH_URIS,
        default=(),
        meaning="Addresses of an Elasticsearch or OpenSearch cluster of your own, for a search index that all tasks "
        "share. Null gives each task an index of its own, and then one does not find the patients whom another "
        "has registered since it started. Needs version 3.6.0 or later.",
        applications=("openmrs",),
        elsewhere=(),
    ),
    Setting(
        name="openmrs_demo_data",
        attribute="demo_data",
        kind=BOOLEAN,
        default=False,
        meaning="Keeps the reference application's demonstration: patients made up, and users whose passwords "
        "everybody can read. Only for a look without real patients, and what it has made stays.",
        applications=("openmrs",),
        elsewhere=False,
    ),
    Setting(
        name="openmrs_module_web_admin",
        attribute="module_web_admin",
        kind=BOOLEAN,
        default=False,
        meaning="Lets administrators start and stop modules in the browser, in the one task that they are with. What "
        "they upload there is gone with the task.",
        applications=("openmrs",),
        elsewhere=False,
    ),
    Setting(
        name="openmrs_frontend_config_urls",
        attribute="frontend_config_urls",
        kind=CONFIG_URLS,
        default=("/openmrs/spa/config-core_demo.json",),
        meaning="Where the frontend finds its configuration; another image of the frontend may have another.",
        applications=("openmrs",),
        elsewhere=(),
    ),
    Setting(
        name="openmrs_upload_megabytes",
        attribute="upload_megabytes",
        kind=whole(1, 5000, "MB"),
        default=512,
        meaning="Largest file that may be uploaded.",
        applications=("openmrs",),
        elsewhere=0,
    ),
    Setting(
        name="setup_run",
        attribute="setup_run",
        kind=text_of(r"[A-Za-z0-9._:-]{0,64}", "up to 64 letters, digits and . _ : -"),
        default="",
        meaning="Any new value makes the next deployment run the set-up task again; today's date serves.",
    ),
)
