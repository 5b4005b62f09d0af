"""Where a container image lies, judged by its repository's name alone."""

from __future__ import annotations

import re

# A private registry of Amazon ECR, in any partition.
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
_ECR = re.compile(r"\d{12}\.dkr[.-]ecr(-fips)?\.[a-z0-9-]+\.[a-z0-9.-]+")
_DOCKER_HUB = {"docker.io", "index.docker.io", "registry-1.docker.io"}


def registry(repository: str) -> str:
    """The registry's host: Docker Hub's where the name has none, as Docker itself reads it."""
    first, slash, _ = repository.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"


def in_ecr(repository: str) -> bool:
    """Whether it is in a private ECR registry, which VPC endpoints reach; ECR's public gallery is not."""
    return _ECR.fullmatch(registry(repository)) is not None


def on_docker_hub(repository: str) -> bool:
    """Whether it is on Docker Hub."""
    return registry(repository) in _DOCKER_HUB
