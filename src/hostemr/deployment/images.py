"""Where a container image lies, judged by its repository's name alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Image:
    """One container image: what is pulled, before any pull-through cache."""

    repository: str
    tag: str
    digest: str | None

    @property
    def reference(self) -> str:
        """What `docker pull` is given: by digest where there is one, otherwise by tag."""
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"

    @property
    def in_ecr(self) -> bool:
        """Whether it is in a private ECR registry already."""
        return in_ecr(self.repository)


def image_of(value: str, *, version: str, digest: str | None) -> Image:
    """The image that a setting names: `version` is the tag of one that names none."""
    repository, tag = split_tag(value)
    return Image(repository, tag or version, digest)


def split_tag(value: str) -> tuple[str, str]:
    """Repository and tag of `repository[:tag]`; a colon before a slash belongs to a registry's port."""
    head, slash, last = value.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{head}{slash}{name}", tag
