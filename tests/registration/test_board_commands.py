"""`hostemr registration board …` and `… audit …`, as whoever runs the service uses them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import get_args

import pytest

from hostemr.registration.board.roles import Role
from hostemr.registration.board_commands import ROLE_NAMES
from tests.peers.preloaded import hostemr
from tests.registration.migrated import plain_engine

ADDRESS = "ada@clinic.example.org"
RUNS_WITH = {"HOSTEMR_SECRET_KEY": "a key for the tests", "HOSTEMR_BASE_URL": "https://board.example.org"}
LINK = re.compile(r"https://board\.example\.org/board/join/[A-Za-z0-9_-]{43}\n")


@dataclass(frozen=True)
class Operator:
    """Runs commands on one database."""

    folder: Path
    url: str

    def run(self, *arguments: str, **variables: str) -> CompletedProcess[str]:
        command = ("registration", *arguments, "--database", self.url)
        return hostemr(*command, folder=self.folder, **(variables or RUNS_WITH))

    def change(self, sql: str) -> None:
        engine = plain_engine(self.url)
        with engine.begin() as connection:
            assert connection.exec_driver_sql(sql).rowcount > 0
        engine.dispose()


@pytest.fixture
def operator(database_url: str, tmp_path: Path) -> Operator:
    return Operator(tmp_path, database_url)


def test_the_first_member_comes_by_the_command_line_and_everything_is_logged(operator: Operator) -> None:
    added = operator.run("board", "add", ADDRESS, "--name", "Ada Example", "--role", "administrator")
    assert added.returncode == 0, added.stderr
    assert LINK.fullmatch(added.stdout)
    assert "Works once, until 20" in added.stderr
    assert ADDRESS not in added.stderr
    token = added.stdout.strip().rpartition("/")[2]
    assert token not in added.stderr
    again = operator.run("board", "add", ADDRESS.upper(), "--name", "Ada", "--json")
    assert again.returncode == 2
    assert "on the board already" in again.stderr
    refused = operator.run("board", "disable", ADDRESS)
    assert refused.returncode == 0, "an administrator who has not joined is not the last one"
    listed = json.loads(operator.run("board", "list", "--json").stdout)
    assert [(one["email"], one["status"], one["factors"]) for one in listed] == [(ADDRESS, "disabled", "none")]
    entries = json.loads(operator.run("audit", "list", "--json").stdout)
    assert [one["sentence"] for one in entries] == [
        "Somebody at the command line disabled Ada Example.",
        "Somebody at the command line invited Ada Example.",
    ]
    assert "Ada Example" in operator.run("audit", "list", "--most", "1").stdout


def test_a_reset_replaces_the_link_even_of_the_only_administrator(operator: Operator) -> None:
    first = json.loads(operator.run("board", "add", ADDRESS, "--name", "A", "--role", "administrator", "--json").stdout)
    operator.change("UPDATE board_member SET status = 'active'")
    kept = operator.run("board", "disable", ADDRESS)
    assert kept.returncode == 4
    assert "only administrator" in kept.stderr
    second = json.loads(operator.run("board", "reset", ADDRESS, "--json").stdout)
    assert second.keys() == {"url", "until"}
    assert second["url"] != first["url"]
    unknown = operator.run("board", "reset", "nobody@example.org")
    assert unknown.returncode == 1
    assert "Nobody with this address" in unknown.stderr


def test_a_changed_log_is_found_by_verifying_and_what_was_written_down_is_looked_for(operator: Operator) -> None:
    for number in range(3):
        assert operator.run("board", "add", f"m{number}@example.org", "--name", "M").returncode == 0
    whole = operator.run("audit", "verify")
    assert whole.returncode == 0
    newest = whole.stdout.splitlines()[1]
    assert re.fullmatch(r"3:[0-9a-f]{64}", newest)
    assert json.loads(operator.run("audit", "verify", "--json", "--expect", newest).stdout) == {
        "whole": True,
        "entries": 3,
        "newest": newest,
    }
    other = operator.run("audit", "verify", "--expect", f"2:{newest[2:]}")
    assert (other.returncode, other.stdout) == (1, "")
    assert "entry 2 is not the one that was written down" in other.stderr
    assert operator.run("audit", "verify", "--expect", "3:abc").returncode == 2
    foreign = operator.run("audit", "verify", HOSTEMR_SECRET_KEY="another key altogether")
    assert foreign.returncode == 1
    operator.change("UPDATE audit_entry SET details = '{}' WHERE number = 2")
    changed = operator.run("audit", "verify", "--json")
    assert changed.returncode == 1
    assert json.loads(changed.stdout)["whole"] is False
    assert "entry 2 was changed" in changed.stderr


def test_nothing_is_done_where_nobody_could_sign_in_or_the_log_has_no_key(operator: Operator) -> None:
    add = ("board", "add", ADDRESS, "--name", "Ada")
    for variables, reason in (
        ({"HOSTEMR_BASE_URL": "https://board.example.org"}, "HOSTEMR_SECRET_KEY is not set"),
        ({**RUNS_WITH, "HOSTEMR_BASE_URL": "http://board.example.org"}, "not https"),
    ):
        refused = operator.run(*add, **variables)
        assert (refused.returncode, refused.stdout) == (4, "")
        assert reason in refused.stderr
    for command in (("board", "disable", ADDRESS), ("audit", "verify")):
        refused = operator.run(*command, HOSTEMR_BASE_URL="https://board.example.org")
        assert refused.returncode == 4
        assert "HOSTEMR_SECRET_KEY" in refused.stderr


def test_development_finds_the_key_that_its_server_uses(operator: Operator) -> None:
    added = operator.run("board", "add", ADDRESS, "--name", "Ada", "--dev", HOSTEMR_DATA_FOLDER="elsewhere")
    assert added.returncode == 0, added.stderr
    assert added.stdout.startswith("http://localhost:8080/board/join/")
    key = (operator.folder / "elsewhere" / "secret-key").read_text()
    assert operator.run("audit", "verify", HOSTEMR_SECRET_KEY=key).returncode == 0
    log = (operator.folder / "logger" / "dev.log").read_text()
    assert "member.invite" in log
    assert "clinic" not in log
    assert added.stdout.strip().rpartition("/")[2] not in log


def test_the_roles_of_the_help_page_are_those_of_the_board() -> None:
    assert get_args(Role) == ROLE_NAMES
