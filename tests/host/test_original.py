"""Backups of the original Express Plus: found, judged, put together, and carried over to MariaDB with equal tables."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pymysql
import pytest

from hostemr.errors import OutsideWorldError, RefusedError
from hostemr.host.containers import Containers
from hostemr.host.engines import Damaged, NothingStored
from hostemr.host.original import Converted, convert, not_loaded
from hostemr.host.original_archive import chains, volumes
from hostemr.host.original_sites import database_user, sites_of
from hostemr.host.programs import ProgramFailed, Programs
from tests.host.test_files import tree
from tests.peers import docker_stand_in, mariadb, original_archive, quick_start
from tests.peers.mariadb import PrivateMariaDB
from tests.peers.original_archive import OriginalServer, checksums

FIRST = datetime(2026, 11, 1, 3, 0, tzinfo=UTC)


def name(day: int) -> str:
    return f"{FIRST + timedelta(days=day):%Y-%m-%d_%H_%M_%S}"


@pytest.fixture(scope="module")
def original() -> Iterator[OriginalServer]:
    """Two weeks of backups: full, increment, full, increment, increment."""
    for program in ("mariadbd", "mariadb-backup", "mariadb-dump", "mariadb-install-db"):
        if mariadb.find_program(program) is None:
            pytest.skip(f"needs {program}")
    with (
        tempfile.TemporaryDirectory(prefix="hostemr-original-", dir=mariadb.memory()) as folder,
        PrivateMariaDB("--innodb-log-file-size=4M", parent=mariadb.memory()) as database,
    ):
        server = OriginalServer(Path(folder), database)
        for day, kind in ((0, "full"), (1, "incr"), (7, "full"), (8, "incr"), (9, "incr")):
            server.visits(day)
            server.backup(kind, FIRST + timedelta(days=day))
        yield server


class Clinic:
    """A new server that takes an original's archive over."""

    def __init__(self, folder: Path, fetched: Path) -> None:
        self.folder = folder
        self.fetched = folder / "fetched"
        shutil.copytree(fetched, self.fetched, symlinks=True)
        self.generation = folder / "generation"
        self.home = folder / "stand-in"
        self.home.mkdir()
        programs = folder / "bin"
        programs.mkdir()
        original_archive.programs(programs)
        (programs / "docker").write_text(quick_start.script(docker_stand_in))
        (programs / "docker").chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "STAND_IN": str(self.home)}
        self.containers = Containers(Programs(self.environment))

    @property
    def backups(self) -> Path:
        return volumes(self.fetched).backups

    def convert(self, *, at: datetime | None = None, stored: datetime | None = None) -> Converted:
        return convert(
            self.fetched,
            self.generation,
            work=self.folder / "work",
            runner=self.containers,
            database_image="mariadb:11.8.3",
            at=at,
            stored=stored,
        )

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.home / "calls.jsonl").read_text().splitlines()]


@pytest.fixture
def clinic(original: OriginalServer) -> Iterator[Clinic]:
    with tempfile.TemporaryDirectory(prefix="hostemr-clinic-", dir=mariadb.memory()) as folder:
        yield Clinic(Path(folder), original.fetched)


def served(clinic: Clinic) -> PrivateMariaDB:
    """A MariaDB on what was converted, as the new server starts it."""
    server = PrivateMariaDB(parent=clinic.folder)
    shutil.copytree(clinic.generation / "database", server.folder / "data")
    server.start()
    return server


def test_the_newest_backup_arrives_with_every_table_equal(clinic: Clinic, original: OriginalServer) -> None:
    lose_power_during_the_first_conversion(clinic)
    done = clinic.convert(stored=FIRST + timedelta(days=9))
    assert done.chain == (name(7), name(8), name(9)), done.warnings
    assert done.taken == FIRST + timedelta(days=9)
    assert (done.openemr_version, done.users, done.warnings) == ("7.0.2", ("openemr",), ())
    assert len(done.tables) == len(original.checksums[name(9)])
    assert any("7.0.2" in line and "OpenEMRVersion" in line for line in done.advice)
    assert tree(clinic.generation / "sites") == tree(original.sites)
    assert {path.name for path in clinic.generation.iterdir()} == {"database", "sites", "certificates"}
    assert not (clinic.folder / "work").exists()
    server = served(clinic)
    try:
        assert checksums(server) == original.checksums[name(9)]
        assert (
            server.execute("SHOW CREATE PROCEDURE openemr.twice")[0][2]
            == (original.database.execute("SHOW CREATE PROCEDURE openemr.twice")[0][2])
        )
        counted = {"triggers": "trigger_schema", "events": "event_schema", "views": "table_schema"}
        for kind, schema in counted.items():
            assert server.execute(f"SELECT COUNT(*) FROM information_schema.{kind} WHERE {schema} = 'openemr'") == [
                (1,)
            ]
        with pymysql.connect(
            unix_socket=str(server.socket), user="openemr", password=original_archive.PASSWORD, database="openemr"
        ) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT COUNT(*) FROM people")
            assert cursor.fetchone() == (done.tables["openemr.patient_data"].rows,)
            cursor.execute("INSERT INTO latin VALUES ('new')")
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute("SELECT * FROM billing.claims")
    finally:
        server.stop()
    every_word = json.dumps(clinic.calls())
    assert "4711" not in every_word
    assert "4711" not in repr(done)


def test_a_backup_that_only_xtrabackup_finds_broken_is_passed_over(clinic: Clinic, original: OriginalServer) -> None:
    """Whole as an archive, and of no use: what a bad disk makes before tar packs it."""
    repack(clinic, name(1), lambda folder: truncate(folder / "ibdata1.delta"))
    done = clinic.convert(at=FIRST + timedelta(days=5))
    assert done.chain == (name(0),)
    assert [line for line in done.warnings if f"{name(1)} cannot be used: {name(1)} does not fit" in line]
    assert [line for line in done.warnings if "5 days older than the files" in line]
    server = served(clinic)
    try:
        assert checksums(server) == original.checksums[name(0)]
    finally:
        server.stop()


def test_a_moment_takes_the_backup_before_it(clinic: Clinic) -> None:
    assert found(clinic, FIRST + timedelta(days=2))[0] == name(1)
    assert found(clinic, FIRST + timedelta(days=1))[0] == name(1)
    assert found(clinic, FIRST + timedelta(hours=23))[0] == name(0)


def lose_power_during_the_first_conversion(clinic: Clinic) -> None:
    gate = clinic.home / "gate-xtrabackup"
    gate.touch()
    code = (
        "import pathlib, sys; from hostemr.host import containers, original, programs\n"
        "fetched, generation, work = map(pathlib.Path, sys.argv[1:])\n"
        "runner = containers.Containers(programs.Programs())\n"
        "original.convert(fetched, generation, work=work, runner=runner, database_image='mariadb:11.8.3')\n"
    )
    work = clinic.folder / "work"
    running = subprocess.Popen(
        [sys.executable, "-c", code, clinic.fetched, clinic.generation, work],
        env=clinic.environment,
        start_new_session=True,
    )
    while not (clinic.home / "reached-xtrabackup").exists():
        assert running.poll() is None
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    gate.unlink()
    assert (work / "full").is_dir()
    assert not clinic.generation.exists()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def repack(clinic: Clinic, backup: str, change: Callable[[Path], None]) -> None:
    archive = clinic.backups / f"{backup}.tar.gz"
    with tempfile.TemporaryDirectory() as folder:
        # By tar: Python's own way warns without a filter in new versions, and has none in Debian's 3.11.2.
        subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)
        change(Path(folder) / backup)
        archive.unlink()
        with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
            packed.add(Path(folder) / backup, backup)


def found(clinic: Clinic, at: datetime | None = None) -> tuple[str, list[str]]:
    """The newest whole chain's name and what was passed over."""
    passed_over: list[str] = []
    chain = next(chains(clinic.backups, at, passed_over))
    return chain.name, passed_over


def test_without_an_increment_the_newest_chain_that_is_whole_is_taken(clinic: Clinic) -> None:
    (clinic.backups / f"{name(8)}.tar.gz").unlink()
    newest, passed_over = found(clinic)
    assert newest == name(7)
    assert len(passed_over) == 2
    assert f"{name(9)} cannot be used: it needs {name(8)}, and {name(8)}.tar.gz is missing" in passed_over[0]


def test_a_damaged_archive_ends_its_chain_wherever_the_damage_is(clinic: Clinic) -> None:
    archive = clinic.backups / f"{name(9)}.tar.gz"
    whole = archive.read_bytes()
    for damaged in (whole[:1000], whole[:-4], whole[:-6] + b"\0\0" + whole[-4:], b"", b"no gzip at all"):
        archive.write_bytes(damaged)
        newest, passed_over = found(clinic)
        assert newest == name(8)
        assert f"{name(9)}.tar.gz is damaged" in passed_over[0]
    middle = bytearray(whole)
    middle[len(whole) // 2] ^= 1
    archive.write_bytes(bytes(middle))
    assert found(clinic)[0] == name(8)


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (None, "is missing"),
        ("", "does not say"),
        ("x xbackup INFO: Backup type: incr\n", "does not say"),
        ("x xbackup INFO: Backup type: full\n", "does not say"),
        ("INFO: Backing up with: innobackupex --incremental-basedir /a/../../etc/passwd\n", "does not say"),
        (f"INFO: --incremental-basedir /w/{name(9)}\n", "circle"),
        (f"INFO: --incremental-basedir /w/{name(3)}\n", f"it needs {name(3)}, and {name(3)}.tar.gz is missing"),
    ],
)
def test_a_log_that_does_not_lead_to_the_backup_before_is_not_followed(
    clinic: Clinic, log: str | None, told: str
) -> None:
    path = clinic.backups / f"{name(9)}-info.log"
    path.unlink()
    if log is not None:
        path.write_text(log)
    newest, passed_over = found(clinic)
    assert newest == name(8)
    assert told in passed_over[0]


def test_a_full_backup_needs_no_log(clinic: Clinic) -> None:
    (clinic.backups / f"{name(7)}-info.log").unlink()
    assert found(clinic) == (name(9), [])


def test_an_archive_with_paths_out_of_its_folder_is_refused(clinic: Clinic, tmp_path: Path) -> None:
    def lead_out(folder: Path) -> None:
        (folder / "ibdata1").unlink(missing_ok=True)
        (folder / "ibdata1").symlink_to(tmp_path / "outside")

    repack(clinic, name(9), lead_out)
    newest, passed_over = found(clinic)
    assert newest == name(8)
    assert "holds" in passed_over[0]


def test_an_increment_of_another_server_does_not_fit(clinic: Clinic) -> None:
    def other(folder: Path) -> None:
        path = folder / "xtrabackup_checkpoints"
        path.write_text(path.read_text().replace("from_lsn = ", "from_lsn = 9"))

    repack(clinic, name(9), other)
    newest, passed_over = found(clinic)
    assert newest == name(8)
    assert "log sequence number" in passed_over[0]


def test_where_nothing_is_whole_the_reasons_are_told_and_nothing_is_left(clinic: Clinic) -> None:
    for archive in clinic.backups.glob("*.tar.gz"):
        archive.write_bytes(gzip.compress(b"cut"))
    with pytest.raises(Damaged, match=f"{name(9)} cannot be used.*{name(0)} cannot be used") as caught:
        clinic.convert()
    assert "--time" in caught.value.hint
    assert not clinic.generation.exists()
    assert not (clinic.folder / "work").exists()


def test_before_the_first_backup_there_is_nothing(clinic: Clinic) -> None:
    with pytest.raises(Damaged, match="none of that time"):
        clinic.convert(at=FIRST - timedelta(days=1))


@pytest.mark.parametrize(
    ("said", "status", "hint"),
    [
        ("Unable to find image", 125, "nothing was changed"),
        ("exec /usr/bin/xtrabackup: exec format error", 1, "x86"),
        ("xtrabackup: Error writing file (Errcode: 28 - No space left on device)", 1, "nothing was changed"),
        ("", 137, "nothing was changed"),
    ],
)
def test_what_the_machine_lacks_is_not_taken_for_damage(clinic: Clinic, said: str, status: int, hint: str) -> None:
    """Else an older backup would be restored without need."""
    (clinic.folder / "bin" / "docker").write_text(f"#!/bin/sh\necho '{said}' >&2\nexit {status}\n")
    with pytest.raises(OutsideWorldError, match=re.escape(said) or "137") as caught:
        clinic.convert()
    assert not isinstance(caught.value, Damaged)
    assert hint in caught.value.hint
    assert not clinic.generation.exists()
    assert not (clinic.folder / "work").exists()


def test_a_server_that_does_not_start_on_a_backup_is_told_with_its_own_words(clinic: Clinic) -> None:
    script = (
        "#!/bin/sh\nfor one; do case $one in --log-error=*) echo '[ERROR] no redo' >${one#*=}; esac; done; exit 1\n"
    )
    (clinic.folder / "bin" / "mysqld").write_text(script)
    with pytest.raises(Damaged, match=r"does not start on it: \[ERROR\] no redo"):
        clinic.convert(at=FIRST)
    assert not clinic.generation.exists()


def test_a_server_that_the_machine_keeps_from_starting_is_not_taken_for_damage(clinic: Clinic) -> None:
    """Else a full disk would bring back an older backup, which needs less room."""
    said = "[ERROR] InnoDB: Error number 28 means No space left on device\\n[ERROR] Aborting"
    script = f"#!/bin/sh\nfor one; do case $one in --log-error=*) printf '{said}' >${{one#*=}}; esac; done; exit 1\n"
    (clinic.folder / "bin" / "mysqld").write_text(script)
    with pytest.raises(OutsideWorldError, match="does not start") as caught:
        clinic.convert()
    assert not isinstance(caught.value, Damaged)
    assert "may well be whole" in caught.value.hint
    assert not clinic.generation.exists()


def test_a_dump_that_ends_early_is_not_loaded(clinic: Clinic) -> None:
    script = "#!/bin/sh\nfor one; do case $one in --result-file=*) echo 'CREATE DATABASE a;' >${one#*=}; esac; done\n"
    (clinic.folder / "bin" / "mysqldump").write_text(script)
    with pytest.raises(OutsideWorldError, match="ends early"):
        clinic.convert(at=FIRST)
    assert not any("mariadb-install-db" in call for call in clinic.calls())
    assert not clinic.generation.exists()


def test_what_mariadb_says_of_a_text_it_does_not_take_quotes_no_patient() -> None:
    said = "ERROR 1064 (42000) at line 17: You have an error in your SQL syntax near 'Zoë Patient, born'"
    told = not_loaded(ProgramFailed(f"`docker exec` failed: {said}", status=1, output=said))
    assert "Zoë" not in told.message + told.hint
    assert "ERROR 1064 (42000) at line 17" in told.message
    assert "status 125" in not_loaded(ProgramFailed("x", status=125, output="no such image")).message


def test_a_generation_that_exists_is_left_alone(clinic: Clinic) -> None:
    clinic.generation.mkdir()
    (clinic.generation / "data").write_text("kept")
    with pytest.raises(RefusedError):
        clinic.convert()
    assert (clinic.generation / "data").read_text() == "kept"


@pytest.mark.parametrize("project", ["lightsail_", "lightsail-", "openemr-devops_lightsail_", ""])
@pytest.mark.parametrize("docker", ["var/lib/docker", "mnt/docker"])
def test_volumes_are_found_whatever_compose_called_them(tmp_path: Path, project: str, docker: str) -> None:
    backups = tmp_path / docker / "volumes" / f"{project}sqlbackup" / "_data" / "bkps"
    sites = tmp_path / docker / "volumes" / f"{project}sitevolume" / "_data"
    backups.mkdir(parents=True)
    sites.mkdir(parents=True)
    (backups / f"{name(0)}.tar.gz").touch()
    assert (volumes(tmp_path).backups, volumes(tmp_path).sites) == (backups, sites)


def test_of_two_projects_the_one_with_the_newest_backup_counts(tmp_path: Path) -> None:
    for project, day in (("a_", 5), ("z_", 1)):
        backups = tmp_path / f"volumes/{project}sqlbackup/_data/bkps"
        backups.mkdir(parents=True)
        (backups / f"{name(day)}.tar.gz").touch()
        (tmp_path / f"volumes/{project}sitevolume/_data").mkdir(parents=True)
    assert volumes(tmp_path).sites == tmp_path / "volumes/a_sitevolume/_data"


def test_an_archive_without_a_database_says_why_that_may_be(tmp_path: Path) -> None:
    (tmp_path / "var/lib/docker/volumes/lightsail_sitevolume/_data").mkdir(parents=True)
    with pytest.raises(NothingStored, match="no backup of its database") as caught:
        volumes(tmp_path)
    assert "ARM" in caught.value.hint


def test_a_folder_that_is_no_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(NothingStored, match="no archive of the original's"):
        volumes(tmp_path)


def test_sites_are_read_as_php_would(tmp_path: Path) -> None:
    texts = {
        "default": original_archive.SQLCONF,
        "second": '<?php\n$login = "two";\n$pass = "a\\$b\\"c\\\\";\n$dbase = "other_db";\n$host="10.0.0.7";\n',
        "new": "<?php\n$login = 'openemr';\n$pass = 'openemr';\n$dbase = 'openemr';\n$config = 0;\n",
    }
    for site, text in texts.items():
        (tmp_path / site).mkdir()
        (tmp_path / site / "sqlconf.php").write_text(text)
    warnings: list[str] = []
    sites = sites_of(tmp_path, warnings)
    assert [(one.name, one.login, one.password, one.database) for one in sites] == [
        ("default", "openemr", original_archive.PASSWORD, "openemr"),
        ("second", "two", 'a$b"c\\', "other_db"),
    ]
    assert [line for line in warnings if "sites/new" in line and "never set up" in line]
    assert [line for line in warnings if "10.0.0.7" in line]
    assert original_archive.PASSWORD not in repr(sites)
    assert r"`other\_db`.*" in database_user(sites[1])
