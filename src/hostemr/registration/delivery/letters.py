"""What each broadcast says, read once and held against the hash that was approved."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Connection, select

from hostemr.errors import RefusedError
from hostemr.registration.content_hash import content_sha256
from hostemr.registration.delivery.sender import Letter
from hostemr.registration.links import Category
from hostemr.registration.schema import broadcast

MOST_KEPT = 8


class ContentChanged(RefusedError):
    """A broadcast's content is not the one that was approved; `broadcast_id` says whose."""

    def __init__(self, message: str, *, broadcast_id: int) -> None:
        super().__init__(message, hint="cancel it, and look for who changed the database by hand")
        self.broadcast_id = broadcast_id


class Letters:
    """The letters of the broadcasts at hand. One can have a megabyte, and is wanted for every 50 recipients."""

    def __init__(self) -> None:
        self._kept: dict[str, Letter] = {}

    def get(self, connection: Connection, identity: int, sha256: str) -> Letter:
        """The letter of a broadcast. Raises ContentChanged where its content is not what the hash says."""
        found = self._kept.get(f"{identity} {sha256}")
        if found is not None:
            return found
        row = connection.execute(select(broadcast).where(broadcast.c.id == identity)).one()
        # Queued by hostemr 0.1 before it rendered: the contents are the text.
        text = row.contents if row.text_part is None else row.text_part
        if row.text_part is not None and content_sha256(row.title, text, row.html_part) != row.content_sha256:
            message = f"The content of broadcast {row.uuid} is not what was approved."
            raise ContentChanged(message, broadcast_id=identity)
        letter = Letter(row.uuid, row.title, text, row.html_part, cast("Category", row.category))
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[f"{identity} {sha256}"] = letter
        return letter
