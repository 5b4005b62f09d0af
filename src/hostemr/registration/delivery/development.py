"""The development sender: an .eml file for each recipient, in a folder for each broadcast."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from hostemr.errors import OutsideWorldError
from hostemr.registration.delivery.message import Composer
from hostemr.registration.delivery.sender import Letter, Outcome, Quota, Recipient


class DevelopmentSender:
    """Writes what would have been sent. Sending again replaces the same file, so nothing is doubled."""

    def __init__(
        self,
        outbox: Path,
        *,
        mail_from: str,
        base_url: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._outbox = outbox
        self._mail_from = mail_from
        self._base_url = base_url
        self._clock = clock

    @property
    def reports_feedback(self) -> bool:
        """Nothing comes back from a folder."""
        return False

    async def quota(self) -> Quota:
        """No limit."""
        return Quota()

    async def close(self) -> None:
        """Nothing is kept open."""

    async def send(self, letter: Letter, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        """Write the files; a full disk or a folder that is not writable is an OutsideWorldError."""
        return await asyncio.to_thread(self._write, letter, recipients)

    def _write(self, letter: Letter, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        folder = self._outbox / letter.broadcast
        try:
            folder.mkdir(parents=True, exist_ok=True)
            composer = Composer(letter, sender=self._mail_from, base_url=self._base_url)
            return [self._write_one(folder, composer, recipient) for recipient in recipients]
        except OSError as error:
            message = f"The outbox {folder} cannot be written: {error.strerror}."
            raise OutsideWorldError(message, hint="make room, or set HOSTEMR_OUTBOX to another folder") from error

    def _write_one(self, folder: Path, composer: Composer, recipient: Recipient) -> Outcome:
        message = composer.compose(recipient, self._clock())
        path = folder / f"{recipient.number:09}.eml"
        unfinished = path.with_suffix(".tmp")
        with unfinished.open("wb") as file:
            file.write(message)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        return Outcome("sent", provider_id=path.name)
