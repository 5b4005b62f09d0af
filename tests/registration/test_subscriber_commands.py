"""`hostemr registration opt-out`, `export` and `erase`, as the operator runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.peers.preloaded import hostemr
from tests.registration.migrated import plain_engine

ADDRESS = "Admin@clinic.example.org"
KEY = {"HOSTEMR_SECRET_KEY": "a key for the tests"}
PRODUCT_ID = "b6e8f0a2-1c3d-4e5f-8a9b-0c1d2e3f4a5b"


@dataclass(frozen=True)
class Operator:
    """Runs commands on a database with one registered address."""

    folder: Path
    url: str

    def run(self, *arguments: str, given: str | None = None, **variables: str) -> CompletedProcess[str]:
        command = ("registration", *arguments, "--database", self.url)
        return hostemr(*command, folder=self.folder, given=given, **variables)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        engine = plain_engine(self.url)
        with engine.connect() as connection:
            rows = [tuple(row) for row in connection.exec_driver_sql(sql)]
        engine.dispose()
        return rows


@pytest.fixture
def operator(database_url: str, tmp_path: Path) -> Iterator[Operator]:
    (tmp_path / "product.csv").write_text(f"uuid,email\n{PRODUCT_ID},{ADDRESS}\n")
    one = Operator(tmp_path, database_url)
    assert one.run("import", "product.csv").returncode == 0
    yield one
    assert "clinic" not in "".join(path.read_text() for path in tmp_path.glob("**/*.log"))


def test_opting_out_of_one_kind_and_of_everything(operator: Operator) -> None:
    assert operator.run("opt-out", ADDRESS, "--category", "news").stdout == "opted out\n"
    again = operator.run("opt-out", ADDRESS.lower(), "--category", "news", "--json")
    assert json.loads(again.stdout) == {"opted_out": False}
    sql = "SELECT status, security_opted_out_at IS NULL, news_opted_out_at IS NULL FROM subscriber"
    assert operator.rows(sql) == [("active", 1, 0)]
    assert json.loads(operator.run("opt-out", ADDRESS, "--json").stdout) == {"opted_out": True}
    assert operator.rows(sql) == [("opted_out", 1, 0)]
    wrong = operator.run("opt-out", ADDRESS, "--category", "advertising")
    assert wrong.returncode == 2
    unknown = operator.run("opt-out", "nobody@example.org", "--json")
    assert (unknown.returncode, json.loads(unknown.stdout)) == (0, {"opted_out": False})


def test_exporting(operator: Operator) -> None:
    done = operator.run("export", ADDRESS)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["subscriber"]["email"] == ADDRESS
    assert [one["product_id"] for one in found["installations"]] == [PRODUCT_ID]
    unknown = operator.run("export", "nobody@example.org", "--json")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert json.loads(unknown.stderr)["error"] == "This address is not registered."
    assert operator.run("export", "nonsense").returncode == 2


def test_erasing_asks_for_the_word(operator: Operator) -> None:
    operator.run("opt-out", ADDRESS)
    for given, status in (("yes\n", 4), ("", 130)):
        refused = operator.run("erase", ADDRESS, given=given, **KEY)
        assert (refused.returncode, refused.stdout) == (status, "")
        assert "installations  1: will be deleted" in refused.stderr
        assert "a keyed hash will stay" in refused.stderr
        assert operator.rows("SELECT COUNT(*) FROM installation") == [(1,)]
    done = operator.run("erase", ADDRESS, given="erase\n", **KEY)
    assert done.returncode == 0
    assert done.stdout.startswith("erased, with 1 installations; 0 deliveries name nobody now\na keyed hash stays")
    assert operator.rows("SELECT email, status FROM subscriber") == [("", "erased")]
    again = operator.run("erase", ADDRESS, "--yes", **KEY)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith("error: This address is not registered.\n")


def test_erasing_for_scripts(operator: Operator) -> None:
    done = operator.run("erase", ADDRESS, "--yes", "--json", **KEY)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "erased": True,
        "status": "active",
        "suppressed": False,
        "installations": 1,
        "deliveries": 0,
    }


def test_erasing_needs_the_key_and_always_the_same(operator: Operator) -> None:
    without = operator.run("erase", ADDRESS, "--yes", "--json")
    assert (without.returncode, without.stdout) == (4, "")
    assert "HOSTEMR_SECRET_KEY" in json.loads(without.stderr)["error"]
    assert operator.run("erase", ADDRESS, "--yes", **KEY).returncode == 0
    for number, key in enumerate(("", "another key for the tests")):
        (operator.folder / "more.csv").write_text(f"uuid,email\n{number},b@example.org\n")
        imported = operator.run("import", "more.csv", HOSTEMR_SECRET_KEY=key)
        assert imported.returncode == 4
        assert imported.stderr.startswith("error: HOSTEMR_SECRET_KEY is not the key")
    assert operator.rows("SELECT COUNT(*) FROM subscriber") == [(1,)]


def test_an_erased_address_that_is_imported_again_stays_out(operator: Operator) -> None:
    operator.run("opt-out", ADDRESS)
    operator.run("erase", ADDRESS, "--yes", **KEY)
    assert operator.run("import", "product.csv", **KEY).returncode == 0
    live = operator.rows("SELECT status, source FROM subscriber WHERE status <> 'erased'")
    assert live == [("opted_out", "import")]
    assert operator.rows("SELECT COUNT(*) FROM confirmation") == [(0,)], "an old table is no word of theirs"


def test_each_step_is_in_the_audit_log_by_number_and_none_without_the_key(operator: Operator) -> None:
    operator.run("opt-out", ADDRESS, "--category", "news")
    operator.run("export", ADDRESS)
    assert operator.rows("SELECT COUNT(*) FROM audit_entry") == [(0,)], "an entry by another key would look forged"
    operator.run("opt-out", ADDRESS, **KEY)
    operator.run("export", ADDRESS, **KEY)
    assert operator.run("erase", ADDRESS, "--yes", **KEY).returncode == 0
    logged = operator.rows("SELECT actor, action, subject FROM audit_entry ORDER BY number")
    [(number,)] = operator.rows("SELECT id FROM subscriber")
    assert logged == [
        ("command-line", f"registration.{verb}", f"registration:{number}") for verb in ("opt-out", "export", "erase")
    ]
