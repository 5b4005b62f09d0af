"""The client's options, and which programs are clients at all. A real client reads them in test_tunnel_commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.operate.reach.client import Client, Credential, find_client, master_credential, options, run_client

_PASSWORD = 'a"b\\c\nd#e'


def _options(*, is_mariadb: bool) -> list[str]:
    client = Client("/usr/bin/mysql", is_mariadb=is_mariadb)
    return options(client, Credential("hostemr", _PASSWORD), 13306, Path("/tmp/roots.pem")).splitlines()


def test_each_kind_demands_tls_and_checks_the_authority_in_its_own_words() -> None:
    mysql, mariadb = _options(is_mariadb=False), _options(is_mariadb=True)
    shared = [
        "[client]",
        'user="hostemr"',
        r'password="a\"b\\c\nd#e"',
        'host="127.0.0.1"',
        'port="13306"',
        'protocol="tcp"',
        'ssl-ca="/tmp/roots.pem"',
    ]
    assert mysql == [*shared, "ssl-mode=VERIFY_CA"]
    assert mariadb == [*shared, "ssl", "loose-skip-ssl-verify-server-cert"]


def test_a_credential_does_not_show_its_password() -> None:
    assert "a" not in repr(Credential("u", _PASSWORD)).removeprefix("Credential(user='u'")


def test_no_other_file_of_options_is_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "mysql"
    program.write_text('#!/bin/sh\necho "$1" "$MYSQL_TEST_LOGIN_FILE"; cat "${1#*=}"\n', encoding="utf-8")
    program.chmod(0o755)
    assert run_client(Client(str(program), is_mariadb=False), "[client]\n", "openemr") == 0
    started, given = capfd.readouterr().out.splitlines()
    assert started.startswith("--defaults-file=/dev/fd/")
    assert started.endswith(" /dev/null/none"), "MySQL's ~/.mylogin.cnf would win over all files"
    assert given == "[client]"


@pytest.mark.parametrize("text", ["s3cret, no JSON", '["s3cret"]', '{"username": "a", "secret": "s3cret"}'])
def test_a_secret_of_another_form_is_told_without_what_it_holds(text: str) -> None:
    class Secrets:
        region = "eu-central-1"

        def client(self, service: str) -> Secrets:
            assert service == "secretsmanager"
            return self

        def get_secret_value(self, **_: str) -> dict[str, str]:
            return {"SecretString": text}

    with pytest.raises(OutsideWorldError, match="does not hold username and password") as told:
        master_credential(Secrets(), "arn")
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__


def _program(folder: Path, name: str, says: str, status: int = 0) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho {json.dumps(says)}\nexit {status}\n", encoding="utf-8")
    program.chmod(0o755)


class TestFinding:
    def test_mysql_comes_first_and_mariadbs_mysql_is_known_as_such(self, tmp_path: Path) -> None:
        _program(tmp_path, "mariadb", "mariadb from 11.8.2-MariaDB, client 15.2")
        assert find_client(path=str(tmp_path)) == Client(str(tmp_path / "mariadb"), is_mariadb=True)
        _program(tmp_path, "mysql", "mysql  Ver 8.4.5 for Linux on x86_64 (MySQL Community Server - GPL)")
        assert find_client(path=str(tmp_path)) == Client(str(tmp_path / "mysql"), is_mariadb=False)

    def test_a_client_can_be_named(self, tmp_path: Path) -> None:
        _program(tmp_path, "mysqldump", "mysqldump  Ver 8.4.5 for Linux on x86_64 (MySQL Community Server - GPL)")
        assert find_client("mysqldump", path=str(tmp_path)).path == str(tmp_path / "mysqldump")

    def test_what_is_missing_or_fails_or_is_none_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(OutsideWorldError, match="mysql or mariadb is not installed"):
            find_client(path=str(tmp_path))
        _program(tmp_path, "broken", "", status=3)
        with pytest.raises(OutsideWorldError, match="--version fails"):
            find_client("broken", path=str(tmp_path))
        _program(tmp_path, "psql", "psql (PostgreSQL) 17")
        with pytest.raises(SettingsError, match="not known as a client of MySQL"):
            find_client("psql", path=str(tmp_path))
