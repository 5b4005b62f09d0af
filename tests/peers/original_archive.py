"""A server of the original's with its backups, and its image's programs, as far as Debian's MariaDB can play them.

`OriginalServer.backup` does what `mysql-xtrabackup/xbackup.sh` does: a full backup or an increment on the *previous*
one, `<time>.tar.gz` and `<time>-info.log` in the volume `sqlbackup`. `programs` makes the stand-ins: each hands its
work to MariaDB's program, and refuses what the real one would refuse.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from tests.peers.mariadb import PrivateMariaDB

BINARIES = "/root/xtrabackup/work/bkps"
"""Where the original works, by its own logs."""

SQLCONF = """<?php
//  OpenEMR
//  MySQL Config
//  $pass = 'of a comment';
global $disable_utf8_flag;
$disable_utf8_flag = false;
$host   = 'mysql';
$port   = '3306';
$login  = 'openemr';
$pass   = 'it\\'s \\\\ secret "4711"';
$dbase  = 'openemr';
$db_encoding    = 'utf8mb4';
$sqlconf = array();
$sqlconf["host"] = $host;
//////DO NOT TOUCH THIS///
$config = 1; /////////////
"""
PASSWORD = 'it\'s \\ secret "4711"'

SCHEMA = [
    "CREATE DATABASE openemr CHARACTER SET utf8mb3",
    "CREATE TABLE openemr.patient_data (pid BIGINT AUTO_INCREMENT PRIMARY KEY, fname VARCHAR(255), KEY (fname))",
    "ALTER TABLE openemr.patient_data ADD born DATE, ADD photo MEDIUMBLOB",
    "CREATE TABLE openemr.notes (id INT AUTO_INCREMENT PRIMARY KEY, body TEXT CHARACTER SET utf8mb4) ENGINE=InnoDB",
    "CREATE TABLE openemr.`odd name-ü` (a INT, b TIMESTAMP NULL) ENGINE=MyISAM",
    "CREATE TABLE openemr.latin (word VARCHAR(20)) ENGINE=InnoDB CHARACTER SET latin1",
    "CREATE TABLE openemr.version (v_major INT, v_minor INT, v_patch INT)",
    "INSERT INTO openemr.version VALUES (7, 0, 2)",
    "CREATE TABLE openemr.xtradb_backups (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, started_at TIMESTAMP)",
    "CREATE DEFINER='openemr'@'%' VIEW openemr.people AS SELECT fname FROM openemr.patient_data",
    "CREATE TRIGGER openemr.noted AFTER INSERT ON openemr.notes FOR EACH ROW INSERT INTO openemr.latin VALUES (NEW.id)",
    "CREATE PROCEDURE openemr.twice(IN x INT)\r\nBEGIN\r\n  SELECT x; SELECT 'a;\r\nb';\r\nEND",
    "CREATE EVENT openemr.daily ON SCHEDULE EVERY 1 DAY DO DELETE FROM openemr.latin",
    "CREATE DATABASE billing",
    "CREATE TABLE billing.claims (id INT PRIMARY KEY)",
]


class OriginalServer:
    """One on a private MariaDB; `fetched` is what Duplicity would fetch of its backups."""

    def __init__(self, folder: Path, database: PrivateMariaDB, *, project: str = "lightsail_") -> None:
        self.database = database
        self.fetched = folder / "fetched"
        docker = self.fetched / "var/lib/docker/volumes"
        self.backups = docker / f"{project}sqlbackup/_data/bkps"
        self.sites = docker / f"{project}sitevolume/_data"
        self.backups.mkdir(parents=True)
        (self.sites / "default/documents/1").mkdir(parents=True)
        (self.sites / "default/sqlconf.php").write_text(SQLCONF)
        (self.sites / "default/documents/1/scan.pdf").write_bytes(bytes(range(256)) * 100)
        self._work = folder / "work"
        self._work.mkdir()
        self._last: str | None = None
        self.checksums: dict[str, dict[str, object]] = {}
        """Of every table, at each backup."""
        database.execute(*SCHEMA)

    def visits(self, number: int) -> None:
        """A day's work."""
        self.database.execute(
            f"INSERT INTO openemr.patient_data (fname, born, photo) SELECT CONCAT('Zoë ', seq, {number}),"
            f" '2000-01-01', UNHEX(SHA2(CONCAT(seq, {number}), 512)) FROM openemr.seq_1_to_500",
            "INSERT INTO openemr.patient_data (fname, born, photo) VALUES ('zero', '0000-00-00', '\\0\\r\\n''')",
            f"INSERT INTO openemr.`odd name-ü` VALUES ({number}, '2026-01-01 00:00:00')",
            f"INSERT INTO openemr.notes (body) VALUES ('\U0001f489 note {number}'), ('line\r\nline')",
            "UPDATE openemr.patient_data SET fname = CONCAT(fname, '!') WHERE pid % 7 = 0",
            "DELETE FROM openemr.patient_data WHERE pid % 11 = 0",
            f"INSERT INTO openemr.latin VALUES ('München {number}')",
            f"INSERT INTO billing.claims VALUES ({number})",
            f"CREATE TABLE openemr.added_{number} (a INT PRIMARY KEY)",
            f"INSERT INTO openemr.added_{number} VALUES (1), (2)",
        )

    def backup(self, kind: str, when: datetime) -> str:
        """One run of the original's backup; answers its name."""
        name = f"{when:%Y-%m-%d_%H_%M_%S}"
        this = self._work / name
        command = ["mariadb-backup", "--no-defaults", "--backup", "--user=root", f"--socket={self.database.socket}"]
        command += [f"--datadir={self.database.folder / 'data'}", f"--target-dir={this}"]
        told = f"/usr/bin/innobackupex --defaults-file=/root/innobackupex.cnf --no-timestamp {BINARIES}/{name}"
        if kind == "incr":
            assert self._last is not None
            command.append(f"--incremental-basedir={self._work / self._last}")
            told = told.replace(f" {BINARIES}", f" --incremental {BINARIES}")
            told += f" --incremental-basedir {BINARIES}/{self._last}"
        subprocess.run(command, check=True, capture_output=True)
        subprocess.run(
            ["tar", "-I", "gzip -1", "-cf", self.backups / f"{name}.tar.gz", name], cwd=self._work, check=True
        )
        if self._last is not None:
            shutil.rmtree(self._work / self._last)
        self._last = name
        lines = [
            f"INFO: Backup type: {kind}",
            "INFO: Backup job started: Sun Nov  1 03:00:00 UTC 2026",
            "INFO: Xtrabackup started: Sun Nov  1 03:00:01 UTC 2026",
            f"INFO: Backing up with: {told}",
            "INFO: Xtrabackup finished: Sun Nov  1 03:00:02 UTC 2026",
            "INFO: Backup job finished: Sun Nov  1 03:00:03 UTC 2026",
            "INFO: Backup size: 80M",
            "INFO: Remaining space available on backup device: 7.2G",
            f"INFO: Logfile: {BINARIES}/{name}.log",
        ]
        log = "".join(f"{name} xbackup {line}\n" for line in lines)
        (self.backups / f"{name}-info.log").write_text(log)
        self.checksums[name] = checksums(self.database)
        return name


def checksums(server: PrivateMariaDB) -> dict[str, object]:
    """CHECKSUM TABLE of every table of the applications."""
    found = server.execute(
        "SELECT CONCAT('`', table_schema, '`.`', table_name, '`') FROM information_schema.tables"
        " WHERE table_type = 'BASE TABLE'"
        " AND table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')"
    )
    names = ", ".join(str(name) for (name,) in found)
    return {str(row[0]): row[1] for row in server.execute(f"CHECKSUM TABLE {names}")}


XTRABACKUP = """
import os, pathlib, sys
given = sys.argv[1:]
options = dict(one.partition("=")[::2] for one in given)
unknown = set(options) - {"--prepare", "--apply-log-only", "--use-memory", "--target-dir", "--incremental-dir"}
target = pathlib.Path(options["--target-dir"])
finished = target / "finished"
if unknown or "--prepare" not in options:
    sys.exit(f"xtrabackup: unknown option {unknown}")
if finished.exists():
    sys.exit("xtrabackup: error: This target seems to be already prepared.")
if "--apply-log-only" not in options:
    finished.touch()
given = [one for one in given if one != "--apply-log-only"]
os.execvp("mariadb-backup", ["mariadb-backup", *given])
"""

MYSQLD = """
import os, pathlib, sys
options = dict(one.partition("=")[::2] for one in sys.argv[1:])
if not (pathlib.Path(options["--datadir"]) / "finished").exists():
    sys.exit("mysqld: what was not committed was never rolled back: the last --prepare had --apply-log-only")
os.execv("/usr/sbin/mariadbd", ["mariadbd", *sys.argv[1:]])
"""

MYSQLDUMP = """
import os, sys
given = [one for one in sys.argv[1:] if one != "--set-gtid-purged=OFF"]
if len(given) == len(sys.argv[1:]):
    sys.exit("mysqldump: would write GTIDs that MariaDB cannot read")
os.execvp("mariadb-dump", ["mariadb-dump", *given])
"""

CLIENT = """
import os, sys
os.execvp("{0}", ["{0}", *sys.argv[1:]])
"""


def programs(folder: Path) -> None:
    """Put the stand-ins for the programs of the original's image into a folder."""
    sources = {
        "xtrabackup": XTRABACKUP,
        "mysqld": MYSQLD,
        "mysqldump": MYSQLDUMP,
        "mysql": CLIENT.format("mariadb"),
    }
    for name, source in sources.items():
        (folder / name).write_text(f"#!{sys.executable} -IS\n{source}")
        (folder / name).chmod(0o755)
