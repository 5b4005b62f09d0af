"""What a diagram shows, before anybody decides where on the paper it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hostemr.operate.joined import Node


class Tone(StrEnum):
    """How a statement is meant: what is dangerous must be seen before it is read."""

    PLAIN = "plain"
    MUTED = "muted"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Said:
    """A short statement."""

    text: str
    tone: Tone = Tone.PLAIN


class KeyKind(StrEnum):
    """Who holds the key that data rests under."""

    CUSTOMER = "customer"
    OUTSIDE = "outside"
    """A customer's key that these templates do not make."""
    AWS = "aws"
    SOURCE = "source"
    """As what the data is made from: a snapshot, or a parameter that is not known."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Key:
    """A key, or what stands in its place. `mark` is what a badge shows."""

    kind: KeyKind
    name: str
    notes: tuple[Said, ...] = ()
    node: Node | None = None
    mark: str = ""


class Place(StrEnum):
    """Before the network, in it, or in the account beside it."""

    EDGE = "edge"
    NETWORK = "network"
    ACCOUNT = "account"


class Kind(StrEnum):
    """What kind of subnet: by its default route (VPC User Guide, "Subnet types")."""

    PUBLIC = "public"
    ROUTED = "routed"
    CLOSED = "closed"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet; `zone` is an index of Picture.zones."""

    node: Node
    kind: Kind
    zone: int
    cidr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A box of the diagram: one or more resources that a person sees as one thing."""

    id: str
    icon: str
    title: str
    place: Place
    members: tuple[Node, ...]
    details: tuple[Said, ...] = ()
    subnets: tuple[Node, ...] = ()
    keys: tuple[Key, ...] = ()
    public: bool = False
    """Whether anything on the internet can open a connection to it, as far as addresses and routes say."""
    kept: bool = False
    """Whether all that it holds stays when the stack is deleted."""
    stores: bool = False
    """Whether it holds what cannot be made again."""
    rank: int = 0
    """Its order among those in the same place."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Who opens a connection to whom (by id), with its ports.

    `beside` leads from the network to something beside it; one without ports is a copy that AWS Backup makes.
    """

    source: str
    target: str
    says: tuple[Said, ...] = ()
    beside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """All that is drawn of a deployment, and how much is not."""

    title: str
    summary: tuple[Said, ...]
    components: tuple[Component, ...]
    flows: tuple[Flow, ...]
    keys: tuple[Key, ...]
    network: str
    network_notes: tuple[Said, ...] = ()
    zones: tuple[str, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many resources are not in the picture, by service."""
    notes: tuple[str, ...] = ()

    def component(self, id_: str) -> Component | None:
        """The component of that id."""
        return next((one for one in self.components if one.id == id_), None)

    def at(self, place: Place) -> tuple[Component, ...]:
        """The components of a place, in their order."""
        return tuple(sorted((one for one in self.components if one.place is place), key=lambda one: one.rank))
