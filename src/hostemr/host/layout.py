"""Where things lie on the data volume.

`current` is a symbolic link to the generation that is served. A restore makes a generation of its own beside it and
moves the link, which is one rename: at every moment there is one whole set of data, the old one or the new one.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

PARTS = ("database", "sites", "certificates")
"""The folders of a generation: MariaDB's data directory, OpenEMR's `sites`, the web server's certificates."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders below one root, the data volume's mount point."""

    root: Path

    @property
    def current(self) -> Path:
        """The link to the generation that is served; containers mount the folders behind it."""
        return self.root / "current"

    @property
    def generations(self) -> Path:
        """One folder for each generation, named after the moment at which it was made."""
        return self.root / "generations"

    @property
    def work(self) -> Path:
        """What a backup, a drill or a restore has in hand; nothing there outlives the next run."""
        return self.root / "work"

    @property
    def state(self) -> Path:
        """What the agent remembers."""
        return self.root / "state"

    @property
    def cache(self) -> Path:
        """What the engines keep to be quick; can be deleted at any time."""
        return self.root / "cache"

    def served(self) -> str | None:
        """The name of the generation that is served, None before the first."""
        try:
            return self.current.readlink().name
        except FileNotFoundError:
            return None

    def serve(self, generation: str) -> None:
        """Make a generation the one that is served, in one step that survives a loss of power.

        Raises FileNotFoundError where there is no such generation; what is served stays then.
        """
        folder = self.generations / generation
        if not folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
        beside = self.root / ".current.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(Path("generations") / generation)
        beside.rename(self.current)
        sync(self.root)

    def serve_nothing(self) -> None:
        """As before the first generation."""
        self.current.unlink(missing_ok=True)
        sync(self.root)


def sync(folder: Path) -> None:
    """Bring a folder's entries to the disk (fsync(2): a rename is durable only with its folder)."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
