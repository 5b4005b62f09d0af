"""The live MariaDB: copied while it serves, checked, asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hostemr.errors import OutsideWorldError
from hostemr.host.containers import DATABASE, Containers
from hostemr.host.programs import HOUR, MINUTE
from hostemr.host.scratch import BATCH, rows

# mariadb-backup's files had XtraBackup's names until MariaDB 10.11 (MDEV-18931).
_CHECKPOINTS = ("mariadb_backup_checkpoints", "xtrabackup_checkpoints")


@dataclass(frozen=True, slots=True)
class Position:
    """Log sequence numbers of a physical copy: it holds everything up to `to_lsn`."""

    from_lsn: int
    to_lsn: int
    last_lsn: int


class LiveDatabase:
    """The compose service of the database, entered as its own root, who needs no password there (unix_socket)."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    def query(self, sql: str) -> list[list[str]]:
        """The rows of one or more statements, each a list of texts. Raises ProgramFailed."""
        client = ["mariadb", "--user=root", *BATCH]
        return rows(self._containers.exec(DATABASE, client, text=sql))

    def version(self) -> str:
        """Such as `11.8.3-MariaDB`. Raises ProgramFailed when the server does not answer."""
        client = ["mariadb", "--user=root", *BATCH, "--execute=SELECT VERSION()"]
        return self._containers.exec(DATABASE, client, timeout=MINUTE).strip()

    def copy(self, target: Path) -> None:
        """A physical copy of the whole server while it serves (mariadb-backup --backup). Raises ProgramFailed."""
        command = ["mariadb-backup", "--backup", "--user=root", f"--target-dir={target}"]
        self._containers.exec(DATABASE, command, timeout=12 * HOUR)


def prepare(containers: Containers, image: str, copy: Path) -> Position:
    """Make a physical copy consistent, at the moment at which it ended (mariadb-backup --prepare).

    Raises ProgramFailed when that fails, OutsideWorldError when the copy is not the full and whole one it should be.
    """
    containers.one_off(
        image, ["mariadb-backup", "--prepare", "--use-memory=128M", f"--target-dir={copy}"], folders=[copy]
    )
    facts = _checkpoints(copy)
    if facts.get("backup_type") not in {"full-prepared", "log-applied"}:
        raise OutsideWorldError(f"The copy of the database is no full one: {facts.get('backup_type')!r}.")
    try:
        position = Position(int(facts["from_lsn"]), int(facts["to_lsn"]), int(facts["last_lsn"]))
    except (KeyError, ValueError) as error:
        raise OutsideWorldError(f"The copy of the database has no log sequence numbers: {facts}.") from error
    # A full copy starts at 0, and recovery needs the log up to its end at the least.
    if position.from_lsn != 0 or position.to_lsn <= 0 or position.last_lsn < position.to_lsn:
        raise OutsideWorldError(f"The copy of the database has log sequence numbers that cannot be: {position}.")
    return position


def _checkpoints(copy: Path) -> dict[str, str]:
    for name in _CHECKPOINTS:
        path = copy / name
        if path.is_file():
            pairs = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
            return {key.strip(): value.strip() for key, equals, value in pairs if equals}
    raise OutsideWorldError("mariadb-backup left no checkpoints file, so the copy cannot be judged.")
