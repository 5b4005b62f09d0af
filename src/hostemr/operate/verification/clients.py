"""The file that keeps registered clients, so that a deployment is not given a new one each time."""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Any

from hostemr.errors import SettingsError
from hostemr.operate.verification.oauth import Client

FORMAT = 1
_ROW = ("client_id", "client_secret", "redirect_uri", "scope")
_REDIRECT = re.compile(r"http://localhost:\d{1,5}/callback")


class ClientFile:
    """Clients by issuer, in JSON that only its owner can read. Raises SettingsError where that is not so."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, issuer: str) -> Client | None:
        """The client that was registered there before."""
        row = self._read().get(issuer)
        if row is None:
            return None
        if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in _ROW):
            raise self._unreadable()
        if not _REDIRECT.fullmatch(row["redirect_uri"]):
            raise self._unreadable()
        return Client(row["client_id"], row["client_secret"], row["redirect_uri"], row["scope"])

    def require_usable(self) -> None:
        """Raise before a client is registered that could not be kept."""
        self._read()
        folder = self._path.absolute().parent
        if self._path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
            raise SettingsError(
                [f"--client-file {self._path} cannot be written"], hint="name a file in a folder of yours"
            )

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
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump({"format": FORMAT, "clients": rows}, file, indent=2)
                    file.write("\n")
                Path(written).replace(self._path)
            finally:
                # It holds secrets, and is left over where it could not take its place.
                Path(written).unlink(missing_ok=True)
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
        except (ValueError, RecursionError) as error:
            raise self._unreadable() from error
        if not isinstance(read, dict) or read.get("format") != FORMAT or not isinstance(read.get("clients"), dict):
            raise self._unreadable()
        rows: dict[str, Any] = read["clients"]
        return rows

    def _unreadable(self) -> SettingsError:
        return SettingsError(
            [f"--client-file {self._path} is none that hostemr wrote"], hint="name another file, or remove it"
        )
