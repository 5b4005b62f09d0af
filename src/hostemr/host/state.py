"""What the agent remembers between runs: small JSON files, replaced whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hostemr.host.layout import sync


class State:
    """Records by name, such as `backup`, `drill`, `restore`, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> dict[str, Any] | None:
        """A record, None where there is none. A damaged one is set aside under `<name>.damaged` and counts as none.

        No record is needed to restore: the backups hold their own manifests.
        """
        path = self._path(name)
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            path.rename(path.with_suffix(".damaged"))
            return None
        return record if isinstance(record, dict) else None

    def write(self, name: str, record: Mapping[str, Any]) -> None:
        """Replace a record in one step that survives a loss of power."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = self._path(name).with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(record, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        beside.rename(self._path(name))
        sync(self._folder)

    def forget(self, name: str) -> None:
        """Remove a record, if there is one."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"
