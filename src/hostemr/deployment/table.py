"""Every setting of the deployments, in the order in which people read them."""

from __future__ import annotations

from hostemr.deployment.access_rows import ACCESS
from hostemr.deployment.data_rows import BACKUP, DATABASE, WATCHING
from hostemr.deployment.engine_rows import ANALYTICS, ENGINE
from hostemr.deployment.express_plus_rows import EXPRESS_PLUS
from hostemr.deployment.express_plus_rows import SETTINGS as SETTINGS_OF_EXPRESS_PLUS
from hostemr.deployment.image_rows import IMAGES
from hostemr.deployment.openmrs_rows import OPENMRS
from hostemr.deployment.option_rows import DOMAIN, MAIL
from hostemr.deployment.parsers import one_of
from hostemr.deployment.registration_rows import REGISTRATION
from hostemr.deployment.registration_rows import SETTINGS as SETTINGS_OF_REGISTRATION
from hostemr.deployment.setting import Setting
from hostemr.deployment.sizes import DEFAULT_SIZE, SIZES
from hostemr.deployment.task_rows import APPLICATION, TASKS

SIZE = Setting(
    name="size",
    attribute="size",
    kind=one_of(*SIZES),
    default=DEFAULT_SIZE,
    meaning="Which set of defaults the other settings have; any setting given overrides it.",
)

SETTINGS = (
    SIZE,
    *ACCESS,
    *DOMAIN,
    *MAIL,
    *IMAGES,
    *TASKS,
    *APPLICATION,
    *OPENMRS,
    *DATABASE,
    *ENGINE,
    *BACKUP,
    *WATCHING,
    *ANALYTICS,
)
"""Those of the applications on Fargate."""


def settings_of(deployment: str) -> tuple[Setting, ...]:
    """The rows that one deployment has."""
    if deployment == EXPRESS_PLUS:
        return SETTINGS_OF_EXPRESS_PLUS
    if deployment == REGISTRATION:
        return SETTINGS_OF_REGISTRATION
    return tuple(one for one in SETTINGS if one.applications is None or deployment in one.applications)


def has_sizes(deployment: str) -> bool:
    """Whether the setting `size` chooses the deployment's defaults."""
    return SIZE in settings_of(deployment)
