"""Where the registration service's image comes from: one made elsewhere, or this checkout, which `cdk deploy` builds.

Imports nothing of aws_cdk, so that a missing checkout is told before Node.js starts.
"""

from __future__ import annotations

from pathlib import Path

import hostemr
from hostemr.deployment.images import Image, image_of
from hostemr.deployment.registration import RegistrationOnAwsSettings
from hostemr.errors import SettingsError

DOCKERFILE = "deployments/registration/Dockerfile"
IGNORE = ".dockerignore"
"""It lets through what the image contains and nothing else, so that no other file changes the asset's hash."""
BASE = "docker.io/library/python"
_NEWEST = "latest"


def given_image(settings: RegistrationOnAwsSettings) -> Image | None:
    """The image that the settings name, if they do; without a tag it is the one called latest, as Docker has it."""
    if settings.image is None:
        return None
    return image_of(settings.image, version=_NEWEST, digest=settings.image_digest)


def checkout(*, package: Path | None = None) -> Path:
    """The folder that the image is built from where the settings name none.

    `package` is where hostemr's own modules are. Raises SettingsError where those were installed without a checkout.
    """
    root = (package or Path(hostemr.__file__).parent).parents[1]
    missing = [name for name in (DOCKERFILE, IGNORE) if not (root / name).is_file()]
    if missing:
        raise SettingsError(
            [f"registration_image is null, and there is no checkout to build one from: {root} has no {missing[0]}"],
            hint="give registration_image, or run from a clone of the repository with `pip install --editable .`",
        )
    return root


def build_arguments(settings: RegistrationOnAwsSettings) -> dict[str, str]:
    """What the Dockerfile is told: the Python image by its digest, where one is given."""
    return {} if settings.image_digest is None else {"BASE": f"{BASE}@{settings.image_digest}"}
