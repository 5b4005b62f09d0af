"""The settings of one deployment on AWS Fargate, valid and frozen; `load.py` is the only way to make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hostemr.deployment.doubts import doubts
from hostemr.deployment.images import Image, image_of
from hostemr.deployment.outputs import host_name

Size = Literal["trial", "clinic", "hospital"]
Egress = Literal["public_ip", "endpoints", "one_nat", "nat_per_zone"]
Cache = Literal["valkey_serverless", "none"]
RestoreTesting = Literal["off", "weekly", "monthly"]
AttachmentStorage = Literal["files", "s3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FargateSettings:
    """What one deployment of OpenEMR or OpenMRS is: every attribute is a row of `table.SETTINGS`.

    `application` is the record's name, such as `openemr`; it stands at the head of some external names.
    """

    application: str

    size: Size
    resource_suffix: str

    allowed_ranges: tuple[str, ...]
    certificate_arn: str | None
    site_address: str | None
    vpc_cidr: str
    availability_zones: int
    egress: Egress

    route53_domain: str | None
    hosted_zone_id: str | None
    enable_global_accelerator: bool
    configure_ses: bool
    email_forwarding_address: tuple[str, ...]
    open_smtp_port: bool

    version: str
    image: str
    image_digest: str | None
    frontend_image: str | None
    frontend_image_digest: str | None
    gateway_image: str | None
    gateway_image_digest: str | None
    docker_hub_secret_arn: str | None

    minimum_capacity: int
    maximum_capacity: int
    cpu_target_percent: int
    memory_target_percent: int
    task_cpu: int
    task_memory: int
    enable_ecs_exec: bool
    sticky_session_minutes: int

    activate_apis: bool
    enable_patient_portal: bool
    background_services_interval_minutes: int
    setup_run: str
    attachment_storage: AttachmentStorage
    clustered_cache: bool
    search_uris: tuple[str, ...]
    demo_data: bool
    module_web_admin: bool
    frontend_config_urls: tuple[str, ...]
    upload_megabytes: int

    aurora_minimum_capacity: float
    aurora_maximum_capacity: float
    aurora_auto_pause_minutes: int
    aurora_reader: bool
    rds_deletion_protection: bool
    credential_rotation_days: int

    enable_data_api: bool
    enable_bedrock_integration: bool
    aurora_ml_inference_timeout: int
    net_read_timeout: int
    net_write_timeout: int
    wait_timeout: int
    connect_timeout: int
    max_execution_time: int

    cache: Cache
    cache_maximum_gigabytes: int

    enable_waf: bool
    waf_rate_limit: int | None
    load_balancer_deletion_protection: bool

    backup_vault_lock_days: int | None
    backup_copy_vault_arn: str | None
    restore_testing: RestoreTesting

    enable_cloudtrail: bool
    long_term_trail: bool
    log_retention_days: int
    enable_alarms: bool
    monitoring_email: tuple[str, ...]
    deployment_notification_email: tuple[str, ...]
    enable_termination_protection: bool

    create_analytics: bool

    @property
    def https(self) -> bool:
        """Whether browsers reach the load balancer over TLS; without a certificate there is only port 80."""
        return self.certificate_arn is not None or self.route53_domain is not None

    @property
    def makes_certificate(self) -> bool:
        """Whether the deployment has a certificate made: for its domain, where none is given."""
        return self.certificate_arn is None and self.route53_domain is not None

    @property
    def host_name(self) -> str | None:
        """The application's name below the domain; a second deployment has its suffix in it."""
        if self.route53_domain is None:
            return None
        return host_name(self.application, self.resource_suffix, self.route53_domain)

    @property
    def address(self) -> str | None:
        """Where people find the application, `https://…`, if that is known before anything is made."""
        return self.site_address or (f"https://{self.host_name}" if self.host_name else None)

    @property
    def port(self) -> int:
        """The load balancer's port that serves the application."""
        return 443 if self.https else 80

    @property
    def allowed_ranges_ipv6(self) -> tuple[str, ...]:
        """The IPv6 networks that may reach the load balancer."""
        return tuple(one for one in self.allowed_ranges if ":" in one)

    @property
    def dual_stack(self) -> bool:
        """Whether the load balancer needs IPv6 addresses: only then an IPv6 range means anything."""
        return bool(self.allowed_ranges_ipv6)

    @property
    def nat_gateways(self) -> int:
        """How many NAT gateways the network has."""
        return {"public_ip": 0, "endpoints": 0, "one_nat": 1, "nat_per_zone": self.availability_zones}[self.egress]

    @property
    def images(self) -> dict[str, Image]:
        """Every image of the deployment by its attribute; `image` is the application's own."""
        named = {
            "image": (self.image, self.image_digest),
            "frontend_image": (self.frontend_image, self.frontend_image_digest),
            "gateway_image": (self.gateway_image, self.gateway_image_digest),
        }
        return {
            attribute: image_of(name, version=self.version, digest=digest)
            for attribute, (name, digest) in named.items()
            if name is not None
        }

    @property
    def image_reference(self) -> str:
        """What is pulled of the application's own image, before any pull-through cache."""
        return self.images["image"].reference

    @property
    def pull_through_cache(self) -> bool:
        """Whether images come from Docker Hub by way of an ECR pull-through cache in the operator's account."""
        return self.docker_hub_secret_arn is not None

    @property
    def shared_sessions(self) -> bool:
        """Whether sessions live in the cache, where every task sees them; otherwise there may be one task only."""
        return self.cache != "none"

    @property
    def database_pauses(self) -> bool:
        """Whether the database falls asleep when nobody uses it."""
        return self.aurora_minimum_capacity == 0

    @property
    def background_services(self) -> bool:
        """Whether the application's background services run on a schedule."""
        return self.background_services_interval_minutes > 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed but doubtful, one sentence each, with what to change."""
        return doubts(self)
