"""What settings must be together: each rule looks at valid values and answers one problem, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hostemr.deployment.fargate import TASK_MEMORY, memory_text, nearest_memory
from hostemr.deployment.images import in_ecr, on_docker_hub
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
        shown = f"{value:g}" if isinstance(value, float) else value
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


def _image_without_internet(values: Values) -> str | None:
    if values["egress"] != "endpoints" or in_ecr(values["image"]) or values["docker_hub_secret_arn"] is not None:
        return None
    return (
        f"{values.said('egress')}: tasks would reach AWS only, but {values.said('image')}, which is not in a private "
        "ECR registry; give docker_hub_secret_arn for a pull-through cache, copy the image to ECR, or choose "
        "another egress"
    )


def _cache_of_docker_hub(values: Values) -> str | None:
    if values["docker_hub_secret_arn"] is None or on_docker_hub(values["image"]):
        return None
    return (
        f"{values.said('docker_hub_secret_arn')}: it is for images on Docker Hub, but {values.said('image')}; "
        "set it to null"
    )


def _needs_certificate(attribute: str, why: str) -> Callable[[Values], str | None]:
    def check(values: Values) -> str | None:
        if not values[attribute] or values["certificate_arn"] is not None:
            return None
        return (
            f"{values.key(attribute)} is true, but certificate_arn is null: {why}; "
            "give the ARN of an ACM certificate, or turn it off"
        )

    return check


def _address_without_certificate(values: Values) -> str | None:
    if values["site_address"] is None or values["certificate_arn"] is not None:
        return None
    return (
        f"{values.said('site_address')}, but certificate_arn is null: nothing would answer at an https address; "
        "give the ARN of an ACM certificate for that name"
    )


_RULES: tuple[tuple[tuple[str, ...], Callable[[Values], str | None]], ...] = (
    (("minimum_capacity", "maximum_capacity"), _capacity),
    (("task_cpu", "task_memory"), _task_memory),
    (("cache", "maximum_capacity"), _sessions_in_files),
    (("aurora_minimum_capacity", "aurora_maximum_capacity"), _aurora_capacity),
    (("aurora_minimum_capacity", "aurora_auto_pause_minutes"), _auto_pause),
    (("egress", "image", "docker_hub_secret_arn"), _image_without_internet),
    (("image", "docker_hub_secret_arn"), _cache_of_docker_hub),
    (
        ("activate_apis", "certificate_arn"),
        _needs_certificate("activate_apis", "OpenEMR's interfaces answer over HTTPS only"),
    ),
    (
        ("enable_patient_portal", "certificate_arn"),
        _needs_certificate("enable_patient_portal", "patients must not sign in over an unencrypted connection"),
    ),
    (("site_address", "certificate_arn"), _address_without_certificate),
)


def conflicts(values: Values) -> Iterator[str]:
    """One line for each rule that is broken; a rule whose values could not all be parsed is passed over."""
    for attributes, check in _RULES:
        if all(one in values.values for one in attributes):
            problem = check(values)
            if problem is not None:
                yield problem
