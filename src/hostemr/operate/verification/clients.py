"""The file that keeps registered clients, so that a deployment is not given a new one each time."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from hostemr.errors import SettingsError
from hostemr.operate.verification.oauth import Client

FORMAT = 1


class ClientFile:
    """Clients by issuer, in JSON that only its owner can read. Raises SettingsError where that is not so."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, issuer: str) -> Client | None:
        """The client that was registered there before."""
        row = self._read().get(issuer)
        if row is None:
            return None
        try:
            return Client(row["client_id"], row["client_secret"], row["redirect_uri"], row["scope"])
        except (KeyError, TypeError) as error:
            raise self._unreadable() from error

    def keep(self, issuer: str, client: Client) -> None:
        """Add a client, or put it in another's place."""
        rows = self._read()
        rows[issuer] = {
            "client_id": client.client_id,
            "client_secret": client.secret,
            "redirect_uri": client.redirect_uri,
            "scope": client.scope,
        }
        try:
            # Made with 0600, and in one step: a half-written file would lose the other clients.
            handle, written = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"format": FORMAT, "clients": rows}, file, indent=2)
                file.write("\n")
            Path(written).replace(self._path)
        except OSError as error:
            raise SettingsError([f"--client-file {self._path} cannot be written: {error.strerror}"]) from error

    def _read(self) -> dict[str, Any]:
        try:
            with self._path.open(encoding="utf-8") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                if mode & 0o077:
                    raise SettingsError(
                        [f"--client-file {self._path} has mode {mode:04o}; it holds a secret, so 0600 is expected"],
                        hint=f"chmod 600 {self._path}",
                    )
                read = json.load(file)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SettingsError([f"--client-file {self._path} cannot be read: {error.strerror}"]) from error
        except ValueError as error:
            raise self._unreadable() from error
        if not isinstance(read, dict) or read.get("format") != FORMAT or not isinstance(read.get("clients"), dict):
            raise self._unreadable()
        rows: dict[str, Any] = read["clients"]
        return rows

    def _unreadable(self) -> SettingsError:
        return SettingsError(
            [f"--client-file {self._path} is none that hostemr wrote"], hint="name another file, or remove it"
        )
