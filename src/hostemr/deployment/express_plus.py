"""What one template of Express Plus is made for, valid and frozen; `load.py` is the only way to make it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hostemr.deployment.images import Image

_SMALL = ("t3.micro", "t4g.micro")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressPlusSettings:
    """Every attribute is a row of `express_plus_rows.SETTINGS`. What a parameter can still change is its default."""

    recovery: bool
    dev: bool

    instance_size: str
    practice_storage: int
    ec2_key_pair: str | None
    allowed_address_range: str | None
    domain: str | None
    email: str | None
    alarm_address: str | None

    openemr_image: str
    openemr_version: str
    openemr_image_digest: str | None
    database_image: str
    database_version: str
    database_image_digest: str | None
    web_image: str
    web_version: str
    web_image_digest: str | None

    backup_engine: Literal["restic", "duplicity"]
    keep_daily: int
    keep_weekly: int
    keep_monthly: int
    full_every_days: int
    keep_previous_days: int
    deleted_backups_days: int
    object_lock_days: int
    object_lock_mode: Literal["governance", "compliance"]

    open_smtp_port: bool
    enable_cloudtrail: bool
    enable_termination_protection: bool

    @property
    def template_name(self) -> str:
        """The file's name without `.json`, as the original has it; the CDK gives it to the stack too."""
        kinds = {
            (False, False): "",
            (False, True): "-Developer",
            (True, False): "-Recovery",
            (True, True): "-Recovery-Dev",
        }
        return f"OpenEMR-Express-Plus{kinds[self.recovery, self.dev]}"

    @property
    def database_reference(self) -> str:
        """What is pulled of the database's image."""
        return Image(self.database_image, self.database_version, self.database_image_digest).reference

    @property
    def web_reference(self) -> str:
        """What is pulled of the web server's image."""
        return Image(self.web_image, self.web_version, self.web_image_digest).reference

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed but doubtful, one sentence each, with what to change."""
        return tuple(_doubts(self))


def conflicts(values: Mapping[str, Any]) -> Iterator[str]:
    """One line for each rule that valid values, by attribute, break together."""
    if values.get("domain") and "email" in values and not values["email"]:
        yield "domain needs email: Let's Encrypt writes there before a certificate runs out; give both or none"


def _doubts(settings: ExpressPlusSettings) -> Iterator[str]:
    if settings.dev:
        yield "dev is true: deleting the stack deletes the data volume; choose it for trials only"
    if settings.allowed_address_range == "0.0.0.0/0":
        yield "allowed_address_range is 0.0.0.0/0: the whole internet reaches the login page; name the clinic's network"
    if settings.instance_size in _SMALL:
        yield (
            f"instance_size is {settings.instance_size}: 1 GiB of memory is little for OpenEMR and its database; "
            "choose small or larger for more than a look"
        )
    if settings.object_lock_days and settings.object_lock_mode == "compliance":
        yield (
            f"object_lock_mode is compliance: for {settings.object_lock_days} days nobody, AWS included, can "
            "remove what was uploaded, and it is paid for; try governance first"
        )
