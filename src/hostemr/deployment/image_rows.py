"""The settings of what images run."""

from __future__ import annotations

from hostemr.deployment.parsers import DIGEST, IMAGE, IMAGE_MAYBE_TAGGED, arn, or_null, text_of
from hostemr.deployment.setting import Setting

_TAG = text_of(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "an image's tag, such as 8.1.0")


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
            kind=DIGEST,
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
        kind=DIGEST,
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
