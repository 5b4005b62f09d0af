"""The port behind which the backups' storage lies: restic and Duplicity, each in its own module."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from hostemr.errors import OutsideWorldError


class EngineFailed(OutsideWorldError):
    """The engine could not do what it was asked; what it did before is not lost."""


class Damaged(EngineFailed):
    """What is stored is not what was stored: a hash differs, a part is missing, or the passphrase does not fit it."""


class WrongPassphrase(EngineFailed):
    """The repository or archive is there, and the passphrase does not open it."""


class NothingStored(EngineFailed):
    """There is no repository or archive at this place yet."""


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A moment that can be restored. Ordered by time.

    `needs` are the ids of the points without which this one cannot be restored (Duplicity's chain); itself not.
    """

    taken: datetime
    id: str
    needs: tuple[str, ...] = ()


class Engine(Protocol):
    """Stores whole folders, encrypted, and gives them back.

    All methods raise EngineFailed or one of its kinds. None may be called by two processes of one server at once:
    the agent's lock sees to that.
    """

    name: str

    def store(self, folder: Path, taken: datetime) -> Point:
        """Upload a folder as one point; where that ends, it is stored whole and listed by `points`.

        Interrupted at any moment, it leaves the earlier points as they are, and the next call works.
        """

    def points(self) -> list[Point]:
        """Every point that was stored to its end, oldest first. Empty where nothing is stored yet."""

    def read(self, point: Point, path: str) -> bytes:
        """One file of a point, by its path relative to the folder that was stored."""

    def fetch(self, point: Point, into: Path) -> None:
        """Everything of a point, into a folder that does not exist yet, owners, modes and times included."""

    def forget(self, points: Collection[Point]) -> list[Point]:
        """Remove points and what only they needed; answers those that are gone.

        Points that others of those that stay need are kept, and so left out of the answer.
        """

    def check(self) -> None:
        """Whether what is stored hangs together. Raises Damaged."""

    def begin_anew(self) -> None:
        """See that no later point needs anything of the points that there are, for something of them is damaged.

        Those stay, as good as they are.
        """


def closest(points: Sequence[Point], moment: datetime) -> list[Point]:
    """The points at or before a moment, newest first: the order in which a restore tries them."""
    return sorted((point for point in points if point.taken <= moment), reverse=True)
