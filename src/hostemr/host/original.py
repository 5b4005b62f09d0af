"""From a backup of OpenEMR Cloud Express Plus, the original, to a generation of this server.

The original's database is MySQL 5.7, stored as files by XtraBackup 2.4. MariaDB cannot use such files, so they are
made whole in the original's own image, served there to nobody but `mysqldump`, and loaded into a fresh MariaDB.
Rows are counted, and all tables checked, on both sides. Nothing here has a network, and nothing that is served now is
touched: the result is a folder beside it, which the caller serves as it serves any restored generation.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from hostemr.errors import FindingsError, OutsideWorldError, RefusedError
from hostemr.host.engines import Damaged
from hostemr.host.files import settle, snapshot, space_needed
from hostemr.host.inventory import Table, differences, inventory
from hostemr.host.original_archive import Chain, Volumes, chains, unpack, volumes
from hostemr.host.original_servers import (
    MACHINE_FAILED,
    NOT_DAMAGE,
    Database,
    Runner,
    log_end,
    log_of,
    private_options,
    serving,
    socket_of,
)
from hostemr.host.original_sites import Site, database_user, sites_of
from hostemr.host.programs import MINUTE, ProgramFailed
from hostemr.host.space import require, shares_blocks

IMAGE = "openemr/mysql-xtrabackup:latest"
"""The only tag that the original's compose files name."""

# The original's restore.sh gives XtraBackup this much, so that it works on the smallest servers.
_MEMORY = "125M"
_STALE = timedelta(days=2)
_SYSTEM = frozenset({"information_schema", "mysql", "performance_schema", "sys"})
# What Docker itself answers where it could not run the program at all (docker-run(1), "EXIT STATUS"), and 137 for a
# program that was killed, as for want of memory.
_DOCKER_FAILED = {None, 125, 126, 127, 137}
_PLACE = re.compile(r"ERROR \d+ \(\w+\) at line \d+")


@dataclass(frozen=True, slots=True)
class Tools:
    """The names of the programs in the original's image."""

    xtrabackup: str = "xtrabackup"
    server: str = "mysqld"
    client: str = "mysql"
    dump: str = "mysqldump"


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What became of an original's backup. Nothing in it is secret."""

    taken: datetime
    """When the database's backup was made."""
    chain: tuple[str, ...]
    """The backups that it was put together from, full one first."""
    tables: dict[str, Table]
    """Of the new database, the server's own left out."""
    openemr_version: str
    """As the database says, such as `7.0.2`; empty where it does not."""
    users: tuple[str, ...]
    """OpenEMR's users in the database, as its sites name them."""
    warnings: tuple[str, ...]
    advice: tuple[str, ...] = field(default_factory=tuple)
    """What the operator has to do or to know next."""


def convert(
    fetched: Path,
    generation: Path,
    *,
    work: Path,
    runner: Runner,
    database_image: str,
    image: str = IMAGE,
    at: datetime | None = None,
    stored: datetime | None = None,
    tools: Tools | None = None,
) -> Converted:
    """Make `generation`, which must not exist, out of a fetched archive of the original's.

    Takes the newest whole backup of the database at or before `at`, and tells what newer ones it had to pass over.
    `stored` is when the archive was uploaded: an older database is told of, for the original's backups of the database
    can stop without a sound. `work` is a folder of this call's own on the same filesystem as `generation`; it is
    emptied before and after. Killed at any moment, it leaves a part of `generation` and of `work`, both to be removed
    before the next call.

    Raises NothingStored or Damaged where no backup is whole, RefusedError where `generation` exists, OutsideWorldError
    where a program fails or the disk is full; `generation` is gone then.
    """
    if generation.exists():
        raise RefusedError(f"{generation} exists; a conversion makes a new one.", hint="remove it first")
    _empty(work)
    try:
        conversion = _Conversion(work, generation, runner, image, database_image, tools or Tools())
        return conversion.run(volumes(fetched), at, stored)
    except OSError as error:
        shutil.rmtree(generation, ignore_errors=True)
        raise OutsideWorldError(
            f"The original's backup could not be converted: {error.strerror or error}.",
            hint="see whether the data volume is full or damaged",
        ) from error
    except BaseException:
        shutil.rmtree(generation, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _empty(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o700)


@dataclass(frozen=True, slots=True)
class _Conversion:
    work: Path
    generation: Path
    runner: Runner
    image: str
    database_image: str
    tools: Tools

    def run(self, found: Volumes, at: datetime | None, stored: datetime | None) -> Converted:
        warnings: list[str] = []
        sites = sites_of(found.sites, warnings)
        copied = 0 if shares_blocks(self.work) else space_needed(found.sites)
        for chain in chains(found.backups, at, warnings):
            # The dump and the new data directory are about as large as the old one.
            require(self.work, chain.size + 2 * chain.archives[0].size + copied, "The conversion")
            try:
                self._prepare(chain)
                before = self._dump()
            except Damaged as error:
                warnings.append(f"the database's backup {chain.name} cannot be used: {error.message}")
                continue
            break
        else:
            told = "; ".join(warnings) or "there is none of that time"
            raise Damaged(f"No backup of the database is whole: {told}.", hint="try an earlier one with --time")
        moment = at or stored
        if moment is not None and moment - chain.taken > _STALE:
            days = (moment - chain.taken).days
            warnings.append(
                f"the database's backup is {days} days older than the files: what was entered since is lost"
            )
        self.generation.mkdir(parents=True, mode=0o755)
        tables, version = self._load(sites, before, warnings)
        snapshot(found.sites, self.generation / "sites")
        # The original kept certificates in no backup; the web server fetches its own.
        (self.generation / "certificates").mkdir()
        settle(self.generation)
        return Converted(
            taken=chain.taken,
            chain=tuple(one.name for one in chain.archives),
            tables=tables,
            openemr_version=version,
            users=tuple(sorted({site.login for site in sites})),
            warnings=tuple(warnings),
            advice=_advice(version),
        )

    def _prepare(self, chain: Chain) -> None:
        """Bring the full backup to the last increment's moment, as the original's xrecovery.sh does."""
        full, increment = self._full, self.work / "increment"
        for number, archive in enumerate(chain.archives):
            first, last = number == 0, number == len(chain.archives) - 1
            if first:
                _empty(self.work)
            unpack(archive, full if first else increment)
            command = [self.tools.xtrabackup, "--prepare", f"--use-memory={_MEMORY}", f"--target-dir={full}"]
            if not last:
                # Rolling back what was not committed would keep the next increment from fitting.
                command.append("--apply-log-only")
            if not first:
                command.append(f"--incremental-dir={increment}")
            try:
                self.runner.one_off(self.image, command, folders=[self.work])
            except ProgramFailed as error:
                raise _judged(error, f"{archive.name} does not fit") from error
            if not first:
                shutil.rmtree(increment)

    def _dump(self) -> dict[str, Table]:
        """Write every application's schema to one text; answers what is in them. Raises Damaged."""
        password = f"aA1-{secrets.token_hex(16)}"
        options, init = self.work / "client.cnf", self.work / "init.sql"
        _write(options, f"[client]\nuser=hostemr\npassword={password}\n")
        # The users' passwords are unknown, and without grants MySQL knows no events.
        _write(
            init,
            f"CREATE USER 'hostemr'@'localhost' IDENTIFIED BY '{password}';\n"
            "GRANT ALL PRIVILEGES ON *.* TO 'hostemr'@'localhost';\n",
        )
        server = [self.tools.server, *private_options(self._full), f"--init-file={init}", "--event-scheduler=OFF"]
        login = [f"--defaults-extra-file={options}", f"--socket={socket_of(self._full)}"]
        asking = [self.tools.client, *login, "--batch", "--skip-column-names", "--default-character-set=utf8mb4"]
        try:
            with serving(
                self.runner, self.image, server, datadir=self._full, folders=[self.work], asking=asking
            ) as old:
                tables = _applications(inventory(old))
                schemas = [name for (name,) in old.query("SHOW DATABASES") if name not in _SYSTEM]
                schemas = [name for name in schemas if not name.startswith("#mysql50#")]
                if not any(name.startswith(f"{schema}.") for name in tables for schema in schemas):
                    raise Damaged("it holds no tables but the server's own.")
                command = [self.tools.dump, *login, f"--result-file={self._text}", *_DUMP_OPTIONS, *schemas]
                old.running.exec(command)
        except FindingsError as error:
            raise Damaged(error.message) from error
        except ProgramFailed as error:
            raise _judged(error, "its tables cannot be read") from error
        with self._text.open("rb") as file:
            file.seek(max(0, self._text.stat().st_size - 200))
            if b"-- Dump completed" not in file.read():
                raise OutsideWorldError("The dump of the original's database ends early.", hint="is the disk full?")
        shutil.rmtree(self._full)
        return tables

    def _load(
        self, sites: Sequence[Site], before: dict[str, Table], warnings: list[str]
    ) -> tuple[dict[str, Table], str]:
        """Load the text into a fresh data directory, and compare; answers what is in it and OpenEMR's version."""
        database = self.generation / "database"
        database.mkdir()
        # Root comes in through the socket, as the container's root only; that is how the agent asks the server.
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={database}", "--user=root", "--skip-test-db"]
        install.append("--auth-root-authentication-method=socket")
        self.runner.one_off(self.database_image, install, folders=[database])
        server = ["mariadbd", *private_options(database), *_LOAD_OPTIONS]
        login = ["--no-defaults", "--user=root", f"--socket={socket_of(database)}", "--default-character-set=utf8mb4"]
        asking = ["mariadb", *login, "--batch", "--skip-column-names"]
        # --binary-mode: routines may hold line ends of Windows. `source` would not work with it.
        loading: list[str | Path] = ["sh", "-c", 'file=$1; shift; exec "$@" <"$file"', "sh", self._text]
        loading += ["mariadb", *login, "--binary-mode", "--max-allowed-packet=1G"]
        with serving(
            self.runner, self.database_image, server, datadir=database, folders=[self.work, database], asking=asking
        ) as new:
            for site in sites:
                new.query(database_user(site))
            try:
                new.running.exec(loading)
            except ProgramFailed as error:
                raise not_loaded(error) from None
            after = _applications(inventory(new))
            lines = differences(before, after, application_only=True)
            if lines:
                raise Damaged(f"The tables did not arrive as they were: {'; '.join(lines[:10])}.")
            version = _version(new, sites, warnings)
            new.query("SHUTDOWN")
            if (status := new.running.wait(30 * MINUTE)) != 0:
                raise OutsideWorldError(f"MariaDB ended with status {status}: {log_end(database)}")
        log_of(database).unlink(missing_ok=True)
        self._text.unlink()
        return after, version

    @property
    def _full(self) -> Path:
        return self.work / "full"

    @property
    def _text(self) -> Path:
        return self.work / "dump.sql"


_DUMP_OPTIONS = (
    "--single-transaction",
    "--quick",
    "--routines",
    "--triggers",
    "--events",
    "--hex-blob",
    "--no-tablespaces",
    "--set-gtid-purged=OFF",
    # mysqldump 5.7 would otherwise write utf8, which has no characters beyond U+FFFF.
    "--default-character-set=utf8mb4",
    "--max-allowed-packet=1G",
    "--databases",
)
_LOAD_OPTIONS = (
    "--event-scheduler=OFF",
    "--max-allowed-packet=1G",
    # Nothing reads the data before the clean shutdown, which writes everything.
    "--innodb-flush-log-at-trx-commit=0",
    # MySQL took rows that could be too long for a page where the columns are filled; MariaDB would refuse the table.
    "--innodb-strict-mode=OFF",
    "--character-set-server=utf8mb4",
)


def not_loaded(error: ProgramFailed) -> OutsideWorldError:
    """What to say where MariaDB did not take the text: its own words quote from the text, and so from the patients."""
    where = _PLACE.search(error.output)
    if error.status in _DOCKER_FAILED or where is None:
        return OutsideWorldError(f"The original's tables could not be loaded: status {error.status}.")
    return OutsideWorldError(f"MariaDB did not take the original's tables: {where[0]} of the dump.")


def _judged(error: ProgramFailed, told: str) -> OutsideWorldError:
    """Whether a failure is this machine's or the backup's: only for the latter an older backup may do better."""
    if "exec format error" in error.output:
        hint = "the original's image is for x86; restore on an instance of that kind, such as t3.small"
        return OutsideWorldError(error.message, hint=hint)
    if error.status in _DOCKER_FAILED or MACHINE_FAILED.search(error.output):
        return OutsideWorldError(error.message, hint=error.hint or NOT_DAMAGE)
    return Damaged(f"{told}: {error.message}")


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _applications(tables: dict[str, Table]) -> dict[str, Table]:
    return {name: table for name, table in tables.items() if not name.startswith("mysql.")}


def _version(server: Database, sites: Sequence[Site], warnings: list[str]) -> str:
    for site in sites:
        quoted = site.database.replace("`", "``")
        try:
            found = server.query(f"SELECT v_major, v_minor, v_patch FROM `{quoted}`.version LIMIT 1")  # noqa: S608, quoted
        except ProgramFailed:
            found = []
        if found:
            return ".".join(found[0])
        warnings.append(f"the database {site.database} does not say which version of OpenEMR it belongs to")
    return ""


def _advice(version: str) -> tuple[str, ...]:
    return (
        f"The data is of OpenEMR {version or '(unknown)'}; compare the stack's OpenEMRVersion before the first start.",
        "A newer image of OpenEMR upgrades the data at its first start, which can take minutes; an older must not run.",
        "Log in with the users and passwords of the old server; the stack's own administrator password is not used.",
        "The database's user has its old password, which the original published; change it there and in sqlconf.php.",
        "Certificates were in no backup of the original's; the web server gets its own.",
    )
