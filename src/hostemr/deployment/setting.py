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
    {"openemr": MappingProxyType({"version": "8.1.0", "image": "openemr/openemr"})}
)
"""What only the application can say, by its name and the attribute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting. `name` is its key in cdk.json, where `{application}` stands for the application's name.

    `default` holds for every size that names no other. Settings with the same attribute are one: the
    peers' names for it. `source` says where its name comes from: the seed, its successors, or hostemr.
    """

    name: str
    attribute: str
    kind: Kind
    default: Any = None
    meaning: str
    source: Source = "ours"
    applications: tuple[str, ...] | None = None

    def key(self, application: str) -> str:
        """The name in the cdk.json of one application."""
        return self.name.format(application=application)

    def default_for(self, application: str, size: str) -> Any:
        """The value where none is given, already valid."""
        for defaults in (SIZES[size].defaults, APPLICATION_DEFAULTS.get(application, {})):
            if self.attribute in defaults:
                return defaults[self.attribute]
        return self.default

    @property
    def varies_with_size(self) -> bool:
        """Whether some size has a default of its own."""
        return any(self.attribute in one.defaults for one in SIZES.values())
