"""What a backup says of itself: written after everything was checked, stored with it, and compared at each restore."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from hostemr.host.database import Position
from hostemr.host.engines import Damaged
from hostemr.host.inventory import Table

NAME = "manifest.json"
LISTINGS = "listings"
"""The folder of the listings of digests, one folder for each part."""
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One backup. Sizes are bytes; `taken` is the moment before which everything committed is in it, in UTC."""

    id: str
    server: str
    taken: datetime
    image: str
    """The database's image, which alone is certain to start the copy."""
    version: str
    """The database server's own."""
    position: Position
    tables: Mapping[str, Table]
    files: int
    """How many regular files, the database's included."""
    size: int
    digests: Mapping[str, str]
    """SHA-256 of the listings of each part, by the part's name."""

    @property
    def rows(self) -> int:
        """How many rows in all tables."""
        return sum(table.rows for table in self.tables.values())


def encode(manifest: Manifest) -> bytes:
    """The manifest as the file `manifest.json`."""
    document: dict[str, Any] = {"format": FORMAT, **asdict(manifest)}
    document["taken"] = manifest.taken.astimezone(UTC).isoformat()
    document["tables"] = {name: [table.rows, table.checksum] for name, table in manifest.tables.items()}
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def decode(text: bytes) -> Manifest:
    """The manifest in a file. Raises Damaged where it is none, or of a format that this agent does not know."""
    try:
        document = json.loads(text)
        if document.pop("format") != FORMAT:
            raise Damaged("The backup's manifest has another format.", hint="restore with the version that made it")
        document["taken"] = datetime.fromisoformat(document["taken"])
        if document["taken"].tzinfo is None:
            raise ValueError("its moment has no time zone")
        document["position"] = Position(**document["position"])
        document["tables"] = {name: Table(*facts) for name, facts in document["tables"].items()}
        return Manifest(**document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"The backup's manifest cannot be read: {error}") from error
