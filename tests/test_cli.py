"""The front door: help at once, one clear line for every error, documented exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hostemr import __version__
from hostemr.cli import run
from tests.peers.server import clean_environment, hostemr


def test_help_imports_no_program() -> None:
    script = "import sys; from hostemr.cli import run; run(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert "Run the registration service." in done.stdout
    for heavy in ("sqlalchemy", "pydantic", "starlette", "uvicorn", "boto3", "aws_cdk"):
        assert f"'{heavy}'" not in done.stderr


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["serve"], ["worker"], ["registration"], ["registration", "schema"]])
def test_every_help_states_the_exit_statuses(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*arguments, "--help"]) == 0
    out = capsys.readouterr().out
    for status in ("0  done", "1  findings", "2  wrong use", "3  the outside", "4  refused"):
        assert status in out


@pytest.mark.parametrize(
    "arguments", [["sevre"], ["serve", "--prot", "1"], ["registration", "schema", "--dialect", "x"]]
)
def test_wrong_use_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err


def test_wrong_use_is_json_where_json_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["price", "--nonsense", "--json"]) == 2
    assert "nonsense" in json.loads(capsys.readouterr().err)["error"]
    assert run(["exec", "nowhere", "--", "tool", "--json"]) == 2
    assert capsys.readouterr().err.startswith("Usage:")


def test_names_that_a_terminal_cannot_show_are_no_reason_to_end(tmp_path: Path) -> None:
    file = tmp_path / "cdk.json"
    file.write_text(json.dumps({"context": {"domain": "żłw"}}), encoding="utf-8")
    arguments = ("settings", "express-plus", "--check", str(file))
    done = hostemr(*arguments, folder=tmp_path, PYTHONIOENCODING="latin-1")
    assert done.returncode == 2
    assert "\\u017c" in done.stderr
    assert "Traceback" not in done.stderr


def test_schema_goes_to_stdout_alone(tmp_path: Path) -> None:
    for dialect in ("mysql", "sqlite"):
        done = hostemr("registration", "schema", "--dialect", dialect, folder=tmp_path)
        assert done.returncode == 0
        assert "CREATE TABLE IF NOT EXISTS subscriber" in done.stdout
        assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_output_can_be_cut_off(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m hostemr registration schema | head -1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"


def test_migrate_says_what_it_did(tmp_path: Path) -> None:
    database = ("--database", f"sqlite:///{tmp_path}/r.sqlite3")
    assert hostemr("registration", "migrate", *database, folder=tmp_path).stdout == "migrated\n"
    again = hostemr("registration", "migrate", *database, "--json", folder=tmp_path)
    assert json.loads(again.stdout) == {"migrated": False}


def test_settings_are_listed_without_their_values(tmp_path: Path) -> None:
    done = hostemr("registration", "settings", folder=tmp_path, SECRET_PIN="hunter2")
    assert "HOSTEMR_DATABASE_URL (also DB_CONN_STR)" in done.stdout
    assert "hunter2" not in done.stdout
    rows = json.loads(hostemr("registration", "settings", "--json", folder=tmp_path).stdout)
    assert {"name", "variable", "seed_variable", "default", "meaning", "secret"} == set(rows[0])


def test_opt_out_by_the_operator(tmp_path: Path) -> None:
    database = ("--database", f"sqlite:///{tmp_path}/r.sqlite3")
    hostemr("registration", "migrate", *database, folder=tmp_path)
    unknown = hostemr("registration", "opt-out", "Nobody@example.org", *database, "--json", folder=tmp_path)
    assert (unknown.returncode, json.loads(unknown.stdout)) == (0, {"opted_out": False})
    wrong = hostemr("registration", "opt-out", "nonsense", *database, folder=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: ")


def test_a_pin_is_hashed_without_being_shown(tmp_path: Path) -> None:
    done = hostemr("registration", "hash-pin", folder=tmp_path, given="a pin\na pin\n")
    assert done.returncode == 0
    assert done.stdout.startswith("$argon2id$")
    assert "a pin" not in done.stdout + done.stderr


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "pydantic.py").write_text("raise ModuleNotFoundError('no', name='pydantic')")
    done = hostemr("serve", folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 3
    assert "needs pydantic" in done.stderr
    assert "pip install 'hostemr[registration]'" in done.stderr
