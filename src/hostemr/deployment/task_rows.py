"""The settings of what runs: image, tasks, the application itself, its sessions."""

from __future__ import annotations

from hostemr.deployment.fargate import TASK_MEMORY
from hostemr.deployment.parsers import (
    BOOLEAN,
    one_of,
    text_of,
    whole,
)
from hostemr.deployment.setting import Setting, Source

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
        name="setup_run",
        attribute="setup_run",
        kind=text_of(r"[A-Za-z0-9._:-]{0,64}", "up to 64 letters, digits and . _ : -"),
        default="",
        meaning="Any new value makes the next deployment run the set-up task again; today's date serves.",
    ),
)
