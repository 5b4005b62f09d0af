"""What the registration service on AWS is, valid and frozen; `load.py` is the only way to make it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hostemr.deployment.fargate import TASK_MEMORY, memory_text, nearest_memory

DATABASE = "product_registration"
"""The database's name, as the original's."""
DATABASE_USER = "registration"
"""The base of the two users between which rotation alternates: `registration_a` and `registration_b`."""
PORT = 8443
"""On which a task serves HTTPS to the load balancer."""
WEB, WORKER = "web", "worker"
"""The containers of a task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationOnAwsSettings:
    """Every attribute is a row of `registration_rows.SETTINGS`."""

    resource_suffix: str

    host_name: str
    certificate_arn: str | None
    route53_domain: str | None
    hosted_zone_id: str | None
    vpc_cidr: str
    availability_zones: int
    egress: Literal["public_ip", "one_nat", "nat_per_zone"]
    enable_waf: bool
    waf_rate_limit: int | None
    board_ranges: tuple[str, ...]
    load_balancer_deletion_protection: bool

    mail_from: str
    ses_region: str | None

    image: str | None
    image_digest: str | None
    cpu_architecture: Literal["X86_64", "ARM64"]
    minimum_capacity: int
    maximum_capacity: int
    cpu_target_percent: int
    task_cpu: int
    task_memory: int
    enable_ecs_exec: bool

    database_instance_class: str
    database_multi_az: bool
    database_storage: int
    database_maximum_storage: int
    rds_deletion_protection: bool
    credential_rotation_days: int
    restored_database_host: str | None
    restored_database_secret_arn: str | None

    backup_vault_lock_days: int | None
    backup_copy_vault_arn: str | None
    restore_testing: Literal["off", "weekly", "monthly"]

    log_retention_days: int
    enable_alarms: bool
    monitoring_email: tuple[str, ...]
    deployment_notification_email: tuple[str, ...]
    enable_termination_protection: bool

    @property
    def base_url(self) -> str:
        """Where the service is found."""
        return f"https://{self.host_name}"

    @property
    def mail_domain(self) -> str:
        """The domain that SES sends for."""
        return self.mail_from.rpartition("@")[2]

    @property
    def mail_domain_in_zone(self) -> bool:
        """Whether the hosted zone can hold the records of the mail's domain."""
        return self.route53_domain is not None and _within(self.mail_domain, self.route53_domain)

    @property
    def nat_gateways(self) -> int:
        """How many NAT gateways the network has."""
        return {"public_ip": 0, "one_nat": 1, "nat_per_zone": self.availability_zones}[self.egress]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed but doubtful, one sentence each, with what to change."""
        return tuple(_doubts(self))


def conflicts(values: Mapping[str, Any]) -> Iterator[str]:
    """One line for each rule that valid values, by attribute, break together."""
    domain, zone = values.get("route53_domain"), values.get("hosted_zone_id")
    if (domain is None) != (zone is None) and {"route53_domain", "hosted_zone_id"} <= values.keys():
        yield "route53_domain and hosted_zone_id belong together; give both or none"
    host = values.get("host_name")
    if domain is not None and host is not None and not _within(host, domain):
        yield f"host_name {host} is not in route53_domain {domain}; give the domain that it is in, or null"
    if values.get("board_ranges") and values.get("enable_waf") is False:
        yield "board_ip_range needs enable_waf: the firewall is what keeps others out; turn it on, or remove the range"
    least, most = values.get("minimum_capacity"), values.get("maximum_capacity")
    if least is not None and most is not None and least > most:
        yield (
            f"registration_service_fargate_minimum_capacity is {least}: above "
            f"registration_service_fargate_maximum_capacity {most}; raise the maximum"
        )
    cpu, memory = values.get("task_cpu"), values.get("task_memory")
    if cpu is not None and memory is not None and memory not in TASK_MEMORY[cpu]:
        yield (
            f"registration_service_fargate_memory is {memory}: not valid with registration_service_fargate_cpu {cpu} "
            f"(valid: {memory_text(cpu)}); choose {nearest_memory(cpu, memory)}"
        )
    first, last = values.get("database_storage"), values.get("database_maximum_storage")
    # RDS refuses a limit of less than a tenth above the storage there is.
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIOPS.Autoscaling.html
    if first is not None and last is not None and last < first * 1.1:
        yield (
            f"database_maximum_storage is {last}: RDS wants at least a tenth more than database_storage {first}; "
            "raise it"
        )
    restored = ("restored_database_host", "restored_database_secret_arn")
    if len({values.get(one) is None for one in restored}) == 2 and set(restored) <= values.keys():
        yield f"{' and '.join(restored)} belong together; give both or none"


def _within(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def _doubts(settings: RegistrationOnAwsSettings) -> Iterator[str]:
    if not settings.enable_waf:
        yield "enable_waf is false: the service is open to the whole internet; turn the firewall on"
    if not settings.database_multi_az:
        yield (
            "database_multi_az is false: while the database's zone is down nobody can register, and no advisory is "
            "sent; turn it on"
        )
    if settings.enable_alarms and not settings.monitoring_email:
        yield "enable_monitoring_alarms is true, but monitoring_email is null: nobody hears the alarms"
    if settings.image is not None and settings.image_digest is None:
        yield (
            f"no digest is given for {settings.image}: a tag can be moved to another image between two starts of a "
            "task; pin registration_image_digest"
        )
    if settings.enable_ecs_exec:
        yield (
            "enable_ecs_exec is true: whoever may call ecs:ExecuteCommand gets a shell beside the registered "
            "addresses; turn it off when the work is done"
        )
    if not settings.rds_deletion_protection:
        yield "rds_deletion_protection is false: one call deletes the database; leave it off only to remove it"
