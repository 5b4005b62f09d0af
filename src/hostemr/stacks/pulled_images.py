"""What ECS pulls, and from which repositories it may: an image itself, or a copy in the account."""

from __future__ import annotations

from hostemr.deployment.images import Image, on_docker_hub
from hostemr.deployment.settings import FargateSettings
from hostemr.stacks.policies import ACCOUNT, REGION, URL_SUFFIX, arn

_CACHE_PREFIX = "docker-hub"


def pulled(image: Image, settings: FargateSettings, stack_name: str) -> str:
    """What a task definition names: the image itself, or where the pull-through cache offers it."""
    if not _through_cache(image, settings):
        return image.reference
    registry = f"{ACCOUNT}.dkr.ecr.{REGION}.{URL_SUFFIX}"
    return f"{registry}/{cache_prefix(stack_name)}/{image.reference}"


def cache_prefix(stack_name: str) -> str:
    """The pull-through cache's prefix, at most thirty characters, one for each deployment."""
    return f"{_CACHE_PREFIX}-{stack_name}"[:30].rstrip("-")


def repository_arns(settings: FargateSettings, stack_name: str) -> list[str]:
    """The ECR repositories that the images are pulled from."""
    found = []
    for image in settings.images.values():
        if _through_cache(image, settings):
            found.append(arn("ecr", f"repository/{cache_prefix(stack_name)}/{image.repository}"))
        elif image.in_ecr:
            found.append(ecr_repository_arn(image))
    return found


def ecr_repository_arn(image: Image) -> str:
    """The repository of an image in ECR: the registry's name has its account and region."""
    registry, _, repository = image.repository.partition("/")
    account, region = registry.split(".")[0], registry.split(".")[3]
    return arn("ecr", f"repository/{repository}", region=region, account=account)


def _through_cache(image: Image, settings: FargateSettings) -> bool:
    return settings.pull_through_cache and on_docker_hub(image.repository)
