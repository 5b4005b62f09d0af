"""What every kind of source yields: rows of the original table, each with the place it was found at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hostemr.errors import SettingsError

TABLE = "product"
UUID, EMAIL = "uuid", "email"


@dataclass(frozen=True, slots=True)
class LegacyRow:
    """One row as it was found; `problem` says why it could not be read, where it could not."""

    place: str
    uuid: str | None = None
    email: str | None = None
    problem: str = ""


class UnreadableSource(SettingsError):
    """SOURCE is not there, is broken, or holds no such table."""


def find_columns(names: Sequence[str]) -> tuple[int, int] | None:
    """The positions of `uuid` and `email` among the names of columns, in any case; None where one is missing."""
    folded = [name.strip().lower() for name in names]
    if UUID not in folded or EMAIL not in folded:
        return None
    return folded.index(UUID), folded.index(EMAIL)
