"""`hostemr registration import`, as who runs it sees it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.peers.server import clean_environment
from tests.registration.legacy.conftest import identity, mysql_dump

GOOD = [(identity(n), f"a{n}@example.org") for n in range(1100)]


def run(folder: Path, *arguments: str, stderr: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "hostemr", "registration", "import", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_clean_import_says_what_it_did_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "product.sql").write_text(mysql_dump(*GOOD))
    done = run(tmp_path, "product.sql")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "rows               1100\n"
        "new addresses      1100\n"
        "new installations  1100\n"
        "already there      0\n"
        "rejected           0\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "product.sql"], "no report"


def test_rejected_rows_make_it_a_finding(tmp_path: Path) -> None:
    (tmp_path / "product.sql").write_text(mysql_dump(*GOOD, (identity(5000), "nobody"), ("x", "b@example.org")))
    done = run(tmp_path, "product.sql", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "rows": 1102,
        "new_addresses": 1101,
        "new_installations": 1101,
        "already_there": 0,
        "rejected": 1,
    }
    error = json.loads(done.stderr)
    assert error["error"] == "1 of 1102 rows could not be taken."
    assert error["hint"] == "product.sql.rejected.csv lists them, each with its reason"
    assert len((tmp_path / "product.sql.rejected.csv").read_text().splitlines()) == 3
    assert "@" not in done.stderr


def test_rows_that_were_changed_are_none(tmp_path: Path) -> None:
    (tmp_path / "product.sql").write_text(mysql_dump(("x", "b@example.org")))
    done = run(tmp_path, "product.sql", "--report", "changes.csv")
    assert done.returncode == 0
    assert done.stderr == "changed rows: 1; changes.csv lists them\n"
    assert (tmp_path / "changes.csv").exists()


def test_a_source_that_cannot_be_read_is_wrong_use_and_makes_no_database(tmp_path: Path) -> None:
    done = run(tmp_path, "none.sql")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: none.sql cannot be read: No such file or directory.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_does_not_answer_is_trouble_outside(tmp_path: Path) -> None:
    (tmp_path / "product.sql").write_text(mysql_dump(*GOOD))
    done = run(tmp_path, "product.sql", "--database", "mysql://u:hunter2@127.0.0.1:9/new", "--json")
    assert done.returncode == 3
    assert json.loads(done.stderr)["error"]
    assert "hunter2" not in done.stderr


def test_the_table_beside_the_new_ones_is_imported(tmp_path: Path) -> None:
    import sqlite3

    url = f"sqlite:///{tmp_path}/both.sqlite3"
    connection = sqlite3.connect(tmp_path / "both.sqlite3")
    connection.execute("CREATE TABLE product (uuid CHAR(36) UNIQUE, email VARCHAR(128) UNIQUE)")
    connection.executemany("INSERT INTO product VALUES (?, ?)", GOOD)
    connection.commit()
    connection.close()
    done = run(tmp_path, url, "--database", url, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["new_installations"] == 1100


def test_progress_is_shown_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "product.sql").write_text(mysql_dump(*GOOD))
    reader, terminal = pty.openpty()
    done = run(tmp_path, "product.sql", "--json", stderr=terminal)
    os.close(terminal)
    shown = os.read(reader, 100_000).decode()
    os.close(reader)
    assert done.returncode == 0
    assert "100%" in shown
    assert json.loads(done.stdout)["rows"] == 1100
