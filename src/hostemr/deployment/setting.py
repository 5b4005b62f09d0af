"""A setting of a Fargate deployment as a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from hostemr.deployment.parsers import Kind
from hostemr.deployment.sizes import SIZES

Source = Literal["seed", "peer", "ours"]

APPLICATION_DEFAULTS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "openemr": MappingProxyType({"version": "8.1.0", "image": "openemr/openemr"}),
        "openmrs": MappingProxyType(
            {
                "version": "3.7.0",
                "image": "openmrs/openmrs-reference-application-3-backend",
                "gateway_image": "openmrs/openmrs-reference-application-3-gateway",
                "frontend_image": "openmrs/openmrs-reference-application-3-frontend",
                # As many as at least: a task that scaling ends takes the sessions that it holds with it.
                "maximum_capacity": 2,
                "cpu_target_percent": 60,
                "memory_target_percent": 60,
                "task_cpu": 2048,
                "task_memory": 4096,
                "sticky_session_minutes": 60,
            }
        ),
    }
)
"""What only the application can say, by its name and the attribute."""

_SIZED_DEFAULTS: Mapping[tuple[str, str], Mapping[str, object]] = MappingProxyType(
    {
        ("openmrs", "trial"): MappingProxyType({"task_cpu": 1024, "task_memory": 4096}),
        ("openmrs", "hospital"): MappingProxyType({"maximum_capacity": 3, "task_cpu": 4096, "task_memory": 8192}),
    }
)
"""What an application needs to be different in one size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting. `name` is its key in cdk.json, where `{application}` stands for the application's name.

    `default` holds for every size that names no other. Settings with the same attribute are one: the
    peers' names for it. `source` says where its name comes from: the seed, its successors, or hostemr.
    `elsewhere` is the attribute's value in applications that have no such setting. `sized` says whether the
    sizes' defaults hold for it.
    """

    name: str
    attribute: str
    kind: Kind
    default: Any = None
    meaning: str
    source: Source = "ours"
    applications: tuple[str, ...] | None = None
    elsewhere: Any = None
    sized: bool = True

    def key(self, application: str) -> str:
        """The name in the cdk.json of one application."""
        return self.name.format(application=application)

    def default_for(self, application: str, size: str) -> Any:
        """The value where none is given, already valid."""
        if not self.sized:
            return self.default
        sized = _SIZED_DEFAULTS.get((application, size), {})
        for defaults in (sized, SIZES[size].defaults, APPLICATION_DEFAULTS.get(application, {})):
            if self.attribute in defaults:
                return defaults[self.attribute]
        return self.default

    @property
    def varies_with_size(self) -> bool:
        """Whether some size has a default of its own."""
        return self.sized and any(self.attribute in one.defaults for one in SIZES.values())
