"""What settings must be together: each rule looks at valid values and answers one problem, or none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hostemr.deployment.fargate import TASK_MEMORY, memory_text, nearest_memory
from hostemr.deployment.images import in_ecr, on_docker_hub, split_tag
from hostemr.deployment.outputs import host_name
from hostemr.deployment.setting import Setting
from hostemr.deployment.table import settings_of


@dataclass(frozen=True, slots=True)
class Values:
    """Values by attribute, and which of them somebody gave. One that could not be parsed is in neither."""

    application: str
    size: str
    values: Mapping[str, Any]
    given: frozenset[str]

    def __getitem__(self, attribute: str) -> Any:
        return self.values[attribute]

    def key(self, attribute: str) -> str:
        """The name of an attribute's setting in cdk.json."""
        return self._row(attribute).key(self.application)

    def default(self, attribute: str) -> Any:
        """What it would be if nobody gave it."""
        return self._row(attribute).default_for(self.application, self.size)

    def origin(self, attribute: str) -> str:
        """Where a value comes from, if nobody gave it."""
        if attribute in self.given:
            return ""
        return f" (the default of size {self.size})" if self._row(attribute).varies_with_size else " (the default)"

    def said(self, attribute: str) -> str:
        """Name and value in one: `cache is none (the default of size trial)`."""
        value = self[attribute]
        shown = f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else value
        return f"{self.key(attribute)} is {shown}{self.origin(attribute)}"

    def _row(self, attribute: str) -> Setting:
        return next(row for row in settings_of(self.application) if row.attribute == attribute)


def _capacity(values: Values) -> str | None:
    least, most = values["minimum_capacity"], values["maximum_capacity"]
    if least <= most:
        return None
    return (
        f"{values.said('minimum_capacity')}: above {values.key('maximum_capacity')} "
        f"{most}{values.origin('maximum_capacity')}; lower it to {most} or less, or raise the maximum"
    )


def _task_memory(values: Values) -> str | None:
    cpu, memory = values["task_cpu"], values["task_memory"]
    if memory in TASK_MEMORY[cpu]:
        return None
    better = nearest_memory(cpu, memory)
    return (
        f"{values.said('task_memory')}: not valid with {values.key('task_cpu')} {cpu}{values.origin('task_cpu')} "
        f"(valid: {memory_text(cpu)}); {'raise' if better > memory else 'lower'} it to {better}"
    )


def _sessions_in_files(values: Values) -> str | None:
    if values["cache"] != "none" or values["maximum_capacity"] == 1:
        return None
    return (
        f"{values.said('maximum_capacity')}: expected 1, because {values.said('cache')}, which keeps sessions in the "
        "files of one task; lower it to 1, or set cache to valkey_serverless"
    )


def _aurora_capacity(values: Values) -> str | None:
    least, most = values["aurora_minimum_capacity"], values["aurora_maximum_capacity"]
    if least <= most:
        return None
    return (
        f"{values.said('aurora_minimum_capacity')}: above {values.key('aurora_maximum_capacity')} "
        f"{most:g}{values.origin('aurora_maximum_capacity')}; lower it to {most:g} or less, or raise the maximum"
    )


def _auto_pause(values: Values) -> str | None:
    default = values.default("aurora_auto_pause_minutes")
    if values["aurora_minimum_capacity"] == 0 or values["aurora_auto_pause_minutes"] == default:
        return None
    return (
        f"{values.said('aurora_auto_pause_minutes')}: the database can only sleep with aurora_minimum_capacity 0, and "
        f"{values.said('aurora_minimum_capacity')}; lower that to 0, or leave the pause at {default}"
    )


_IMAGES = ("image", "frontend_image", "gateway_image")


def _repositories(values: Values) -> dict[str, str]:
    """The repository of each image that the application has, by attribute."""
    return {one: split_tag(values[one])[0] for one in _IMAGES if one in values.values}


def _image_without_internet(values: Values) -> str | None:
    if values["egress"] != "endpoints":
        return None
    cached = values["docker_hub_secret_arn"] is not None
    for attribute, repository in _repositories(values).items():
        if not in_ecr(repository) and not (cached and on_docker_hub(repository)):
            return (
                f"{values.said('egress')}: tasks would reach AWS only, but {values.said(attribute)}, which is not in a "
                "private ECR registry; give docker_hub_secret_arn for a pull-through cache of Docker Hub, copy the "
                "image to ECR, or choose another egress"
            )
    return None


def _cache_of_docker_hub(values: Values) -> str | None:
    repositories = _repositories(values)
    if values["docker_hub_secret_arn"] is None or any(on_docker_hub(one) for one in repositories.values()):
        return None
    return (
        f"{values.said('docker_hub_secret_arn')}: it is for images on Docker Hub, but "
        f"{' and '.join(values.said(one) for one in repositories)}; set it to null"
    )


def _https(values: Values) -> bool:
    return values["certificate_arn"] is not None or values["route53_domain"] is not None


def _needs_certificate(attribute: str, why: str) -> Callable[[Values], str | None]:
    def check(values: Values) -> str | None:
        if not values[attribute] or _https(values):
            return None
        return (
            f"{values.key(attribute)} is true, but certificate_arn is null: {why}; "
            "give the ARN of an ACM certificate, or a route53_domain, or turn it off"
        )

    return check


def _address_without_certificate(values: Values) -> str | None:
    if values["site_address"] is None or _https(values):
        return None
    return (
        f"{values.said('site_address')}, but certificate_arn is null: nothing would answer at an https address; "
        "give the ARN of an ACM certificate for that name"
    )


def _address_beside_the_domain(values: Values) -> str | None:
    """A certificate that the deployment makes covers one name: the one below the domain."""
    address, domain = values["site_address"], values["route53_domain"]
    if address is None or domain is None or values["certificate_arn"] is not None:
        return None
    own = f"https://{host_name(values.application, values['resource_suffix'], domain)}"
    if address == own:
        return None
    return (
        f"{values.said('site_address')}: the certificate that route53_domain has made covers {own} only; "
        "set site_address to null, or give the certificate_arn of one that covers it"
    )


def _needs_domain(attribute: str, what: str) -> Callable[[Values], str | None]:
    def check(values: Values) -> str | None:
        if not values[attribute] or values["route53_domain"] is not None:
            return None
        return f"{values.said(attribute)}, but route53_domain is null: {what}; give the domain, or leave it out"

    return check


def _forwarding(values: Values) -> str | None:
    addresses = values["email_forwarding_address"]
    if not addresses:
        return None
    if not values["configure_ses"]:
        return (
            "email_forwarding_address is given, but configure_ses is false: SES receives and forwards the mail; "
            "turn it on, or leave the address out"
        )
    domain = values["route53_domain"]
    within = [one for one in addresses if domain is not None and one.lower().endswith(f"@{domain}")]
    if within:
        return (
            f"email_forwarding_address is {', '.join(within)}: mail for {domain} comes to this deployment, so it would "
            "come back for ever; give an address at another domain"
        )
    return None


def _smtp_without_internet(values: Values) -> str | None:
    if values["egress"] != "endpoints" or not values["open_smtp_port"]:
        return None
    return (
        f"{values.said('open_smtp_port')}, but {values.said('egress')}: tasks reach no mail server; choose another "
        "egress, or turn it off (configure_ses has an endpoint of its own)"
    )


def _analytics_without_nat(values: Values) -> str | None:
    if not values["create_analytics"] or values["egress"] in {"one_nat", "nat_per_zone"}:
        return None
    return (
        f"{values.said('create_analytics')}, but {values.said('egress')}: SageMaker Studio reaches AWS through a NAT "
        "gateway, since its endpoints would cost by the hour; set egress to one_nat or nat_per_zone"
    )


def _no_trail(values: Values) -> str | None:
    if values["enable_cloudtrail"] or not values["long_term_trail"] or "long_term_trail" not in values.given:
        return None
    return (
        "enable_long_term_cloudtrail_monitoring is true, but enable_cloudtrail is false: there is no trail to keep; "
        "turn it on, or leave the long term out"
    )


def _sticky_sessions(values: Values) -> str | None:
    if values.application != "openmrs" or values["sticky_session_minutes"] or values["maximum_capacity"] == 1:
        return None
    return (
        f"{values.said('sticky_session_minutes')}: OpenMRS keeps sessions in the memory of one task, and "
        f"{values.said('maximum_capacity')}; raise it to 1 or more, or run one task only"
    )


_SINCE = (3, 6, 0)
"""The first reference application on OpenMRS core 2.8, which has S3 storage and clustered caches.

Source: openmrs/openmrs-distro-referenceapplication, Dockerfile at the tag 3.6.0; openmrs/openmrs-core 2.8.0.
"""


def _needs_version(attribute: str, off: object) -> Callable[[Values], str | None]:
    def check(values: Values) -> str | None:
        found = re.match(r"(\d+)\.(\d+)\.(\d+)", values["version"])
        if values[attribute] == off or found is None or tuple(int(one) for one in found.groups()) >= _SINCE:
            return None
        instead = f"choose {off}" if isinstance(off, str) else "leave it out"
        return (
            f"{values.said(attribute)}: needs OpenMRS core 2.8, but {values.said('version')}; "
            f"choose {'.'.join(str(one) for one in _SINCE)} or later, or {instead}"
        )

    return check


def _openmrs_memory(values: Values) -> str | None:
    if values.application != "openmrs" or values["task_memory"] >= LEAST_OPENMRS_MEMORY:
        return None
    return (
        f"{values.said('task_memory')}: OpenMRS, its gateway and its frontend need {LEAST_OPENMRS_MEMORY} MiB or more; "
        f"raise it to {LEAST_OPENMRS_MEMORY}"
    )


LEAST_OPENMRS_MEMORY = 3072


_RULES: tuple[tuple[tuple[str, ...], Callable[[Values], str | None]], ...] = (
    (("minimum_capacity", "maximum_capacity"), _capacity),
    (("task_cpu", "task_memory"), _task_memory),
    (("cache", "maximum_capacity"), _sessions_in_files),
    (("aurora_minimum_capacity", "aurora_maximum_capacity"), _aurora_capacity),
    (("aurora_minimum_capacity", "aurora_auto_pause_minutes"), _auto_pause),
    (("egress", "image", "docker_hub_secret_arn"), _image_without_internet),
    (("image", "docker_hub_secret_arn"), _cache_of_docker_hub),
    (
        ("activate_apis", "certificate_arn", "route53_domain"),
        _needs_certificate("activate_apis", "OpenEMR's interfaces answer over HTTPS only"),
    ),
    (
        ("enable_patient_portal", "certificate_arn", "route53_domain"),
        _needs_certificate("enable_patient_portal", "patients must not sign in over an unencrypted connection"),
    ),
    (("site_address", "certificate_arn", "route53_domain"), _address_without_certificate),
    (("site_address", "certificate_arn", "route53_domain", "resource_suffix"), _address_beside_the_domain),
    (("hosted_zone_id", "route53_domain"), _needs_domain("hosted_zone_id", "a zone of which domain")),
    (("configure_ses", "route53_domain"), _needs_domain("configure_ses", "mail is sent from a domain")),
    (("email_forwarding_address", "configure_ses", "route53_domain"), _forwarding),
    (("open_smtp_port", "egress"), _smtp_without_internet),
    (("create_analytics", "egress"), _analytics_without_nat),
    (("enable_cloudtrail", "long_term_trail"), _no_trail),
    (("sticky_session_minutes", "maximum_capacity"), _sticky_sessions),
    (("attachment_storage", "version"), _needs_version("attachment_storage", "files")),
    (("clustered_cache", "version"), _needs_version("clustered_cache", False)),
    (("search_uris", "version"), _needs_version("search_uris", ())),
    (("task_memory",), _openmrs_memory),
)


def conflicts(values: Values) -> Iterator[str]:
    """One line for each rule that is broken; a rule whose values could not all be parsed is passed over."""
    for attributes, check in _RULES:
        if all(one in values.values for one in attributes):
            problem = check(values)
            if problem is not None:
                yield problem
