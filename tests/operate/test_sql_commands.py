"""`hostemr sql` as an operator uses it, against a Data API that holds both sides to botocore's model."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hostemr.deployment.outputs import DATABASE_ARN
from hostemr.errors import HostemrError, OutsideWorldError, RefusedError, SettingsError
from hostemr.operate.reach.data_api import DataApi, Patience, Target
from hostemr.operate.reach.statements import split
from hostemr.operate.sql_commands import sql
from tests.operate.reach.aws_stand_in import Answer, Refused, StandIn
from tests.operate.reach.deployment import CLUSTER_ARN, SECRET_ARN, STACKS, account, deploy, in_environment

_ROWS = {
    "columnMetadata": [{"name": "pid", "label": "pid"}, {"name": "fname", "label": "name"}],
    "records": [[{"longValue": 1}, {"stringValue": "Ada"}], [{"longValue": 2}, {"isNull": True}]],
    "numberOfRecordsUpdated": 0,
}
_CHANGED = {"numberOfRecordsUpdated": 3, "generatedFields": [{"longValue": 41}]}


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with in_environment() as stand_in:
        yield stand_in


@pytest.fixture
def aws(running: StandIn) -> StandIn:
    running.forget()
    deploy(running)
    running.answers["ExecuteStatement"] = _ROWS
    running.answers["BeginTransaction"] = {"transactionId": "t1"}
    running.answers["CommitTransaction"] = {"transactionStatus": "committed"}
    running.answers["RollbackTransaction"] = {"transactionStatus": "rolled back"}
    return running


def _run(*arguments: str) -> None:
    sql.main(["openemr", *arguments], prog_name="hostemr sql", standalone_mode=False, obj=lambda **_: account())


class TestReading:
    def test_a_table_goes_to_the_output_and_talk_beside_it(
        self, aws: StandIn, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _run("SELECT pid, fname name FROM patient_data WHERE sex = :sex AND pid > :least",
             "--param", "sex=Female", "--param", "least:long=0")  # fmt: skip
        shown = capsys.readouterr()
        assert shown.out.splitlines() == ["pid  name", "---  ----", "  1  Ada", "  2  NULL"]
        assert shown.err == "2 rows\n"
        (asked,) = aws.requests("ExecuteStatement")
        assert asked == {
            "resourceArn": CLUSTER_ARN,
            "secretArn": SECRET_ARN,
            "database": "openemr",
            "sql": "SELECT pid, fname name FROM patient_data WHERE sex = :sex AND pid > :least",
            "parameters": [
                {"name": "least", "value": {"longValue": 0}},
                {"name": "sex", "value": {"stringValue": "Female"}},
            ],
            "includeResultMetadata": True,
        }
        assert not aws.requests("GetSecretValue"), "the secret stays where it is"

    def test_json_and_csv_are_for_programs(self, aws: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
        _run("SELECT 1", "--json", "--database", "other")
        (result,) = json.loads(capsys.readouterr().out)["results"]
        assert result["columns"] == ["pid", "name"]
        assert result["rows"] == [[1, "Ada"], [2, None]]
        assert aws.requests("ExecuteStatement")[0]["database"] == "other"
        _run("SELECT 1", "--format", "csv")
        shown = capsys.readouterr()
        assert shown.out == "pid,name\n1,Ada\n2,\n"
        assert not shown.err

    def test_a_file_may_hold_several_statements(
        self, aws: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "report.sql"
        file.write_text("SELECT 1; -- one\nSELECT :a;\n", encoding="utf-8")
        _run("--file", str(file), "--param", "a=x")
        assert capsys.readouterr().out.count("pid  name") == 2
        first, second = aws.requests("ExecuteStatement")
        assert (first["sql"], first["parameters"]) == ("SELECT 1", [])
        assert second["sql"] == "-- one\nSELECT :a"


class TestWriting:
    def test_nothing_is_changed_unless_that_is_said(self, aws: StandIn) -> None:
        with pytest.raises(RefusedError, match="DELETE: this may change patients' data") as told:
            _run("DELETE FROM users")
        assert "--write" in told.value.hint
        with pytest.raises(RefusedError, match="Nobody can be asked"):
            _run("DELETE FROM users", "--write")
        with pytest.raises(RefusedError, match="not openemr-north"):
            _run("DELETE FROM users", "--write", "--yes", "openemr", "--suffix", "north")
        assert not aws.asked

    def test_the_name_is_typed_at_a_terminal(
        self, aws: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        aws.answers["ExecuteStatement"] = _CHANGED
        monkeypatch.setattr("sys.stdin", Terminal("openemr\n"))
        _run("DELETE FROM\n users", "--write")
        shown = capsys.readouterr()
        assert "may change the data of openemr in eu-central-1" in shown.err
        assert "  DELETE FROM users" in shown.err
        assert "changed: 3, new keys: [41]" in shown.err
        assert not shown.out
        monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
        with pytest.raises(RefusedError, match="'yes', not openemr"):
            _run("DELETE FROM users", "--write")

    def test_what_is_agreed_to_is_seen_whole(
        self, aws: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A file of somebody else's may hide what it does, by what steers a terminal."""
        (tmp_path / "mend.sql").write_text("DELETE FROM users /* \x1b[2K\x1b[1Gtidy \u202e */", encoding="utf-8")
        with pytest.raises(RefusedError):
            _run("--file", str(tmp_path / "mend.sql"), "--write")
        assert not aws.asked
        assert r"  DELETE FROM users /* \x1b[2K\x1b[1Gtidy \u202e */" in capsys.readouterr().err

    def test_a_change_of_the_schema_is_not_cut_off_half_way(self, aws: StandIn) -> None:
        aws.answers["ExecuteStatement"] = _CHANGED
        _run("ALTER TABLE a ADD b INT", "--write", "--yes", "openemr")
        assert aws.requests("ExecuteStatement")[0]["continueAfterTimeout"] is True

    def test_a_transaction_is_all_or_nothing(
        self, aws: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "mend.sql"
        file.write_text("UPDATE a SET b = 1; UPDATE c SET d = 2", encoding="utf-8")
        aws.answers["ExecuteStatement"] = _CHANGED
        given = ("--file", str(file), "--write", "--yes", "openemr", "--transaction")
        _run(*given)
        assert [one["transactionId"] for one in aws.requests("ExecuteStatement")] == ["t1", "t1"]
        assert len(aws.requests("CommitTransaction")) == 1
        aws.forget()
        deploy(aws)
        answers: Iterator[Answer] = iter([_CHANGED, Refused("DatabaseErrorException", "Table 'c' doesn't exist")])
        aws.answers |= {
            "ExecuteStatement": lambda _: next(answers),
            "BeginTransaction": {"transactionId": "t2"},
            "RollbackTransaction": {"transactionStatus": "rolled back"},
        }
        capsys.readouterr()
        with pytest.raises(OutsideWorldError, match="refuses the statement: Table 'c' doesn't exist"):
            _run(*given)
        assert len(aws.requests("RollbackTransaction")) == 1
        assert "carried out" not in capsys.readouterr().err

    def test_without_one_it_is_said_what_was_done_before_an_error(
        self, aws: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "mend.sql"
        file.write_text("UPDATE a SET b = 1; UPDATE c SET d = 2", encoding="utf-8")
        answers: Iterator[Answer] = iter([_CHANGED, Refused("DatabaseErrorException", "no")])
        aws.answers["ExecuteStatement"] = lambda _: next(answers)
        with pytest.raises(OutsideWorldError):
            _run("--file", str(file), "--write", "--yes", "openemr", "--json")
        assert "the first 1 of 2 statements were carried out" in capsys.readouterr().err


class TestErrors:
    @pytest.mark.parametrize(
        ("code", "message", "line", "hint"),
        [
            ("HttpEndpointNotEnabledException", "", "enable_data_api is off", "set enable_data_api true"),
            (
                "BadRequestException",
                "HttpEndpoint is not enabled for cluster db. Please refer to …",
                "enable_data_api is off",
                "hostemr tunnel",
            ),
            (
                "UnsupportedResultException",
                "Database returned more than the allowed response size limit",
                "larger than the 1 MiB",
                "LIMIT",
            ),
            ("StatementTimeoutException", "", "longer than the 45 seconds", "whether it was carried out"),
            ("BadRequestException", "Statement timed out", "longer than the 45 seconds", "tunnel"),
            ("DatabaseErrorException", "You have an error\n in your SQL", "refuses the statement: You have an er", ""),
            ("DatabaseErrorException", "Duplicate entry '\x1b[2J'", r"Duplicate entry '\x1b[2J'", ""),
            ("TeapotException", "\x1b[2J", r"\x1b[2J", ""),
            ("SecretsErrorException", "not readable", "cannot use the database's secret", "kms:Decrypt"),
            ("DatabaseUnavailableException", "writer", "is not available", "describe-db-clusters"),
            (
                "AccessDeniedException",
                "User: u is not authorized to perform: rds-data:ExecuteStatement on resource: r",
                "may not rds-data:ExecuteStatement on r",
                "have rds-data",
            ),
        ],
    )
    def test_each_is_one_line_and_what_to_do(self, aws: StandIn, code: str, message: str, line: str, hint: str) -> None:
        aws.answers["ExecuteStatement"] = Refused(code, message)
        with pytest.raises(HostemrError) as told:
            _run("SELECT 1")
        assert line in told.value.message
        assert "\n" not in told.value.message
        assert hint in told.value.hint

    @pytest.mark.parametrize("value", ["arn:aws:rds:x'; rm -rf ~", "\x85[2J", "-a", "", "a\nb"])
    def test_an_output_that_is_no_name_is_not_used(
        self, aws: StandIn, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(STACKS["openemr-data"], DATABASE_ARN, value)
        with pytest.raises(OutsideWorldError, match="no name and no ARN") as told:
            _run("SELECT 1")
        assert told.value.message.isprintable()
        assert not aws.requests("ExecuteStatement")

    def test_what_is_not_awss_answer_is_told_without_it(self, aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
        """As from a network that wants a sign-in of its own; XML has no such character."""
        monkeypatch.setitem(STACKS["openemr-data"], DATABASE_ARN, "\x1b[2J")
        with pytest.raises(OutsideWorldError, match="is not AWS, or was cut off") as told:
            _run("SELECT 1")
        assert "DescribeStacks" not in told.value.message
        assert not aws.requests("ExecuteStatement")

    def test_wrong_use_is_told_before_anything_is_asked(self, aws: StandIn, tmp_path: Path) -> None:
        for given, problem in (
            ((), "STATEMENT or --file"),
            (("SELECT 1", "--file", "-"), "not both"),
            (("# nothing",), "no statement"),
            (("SELECT :a",), "asks for :a"),
        ):
            with pytest.raises(SettingsError, match=problem):
                _run(*given)
        (tmp_path / "latin.sql").write_bytes(b"SELECT '\xe9'")
        with pytest.raises(SettingsError, match="not text in UTF-8"):
            _run("--file", str(tmp_path / "latin.sql"))
        assert not aws.asked

    def test_the_one_server_has_no_data_api(self) -> None:
        with pytest.raises(SettingsError, match="express-plus is one server"):
            sql.main(["express-plus", "SELECT 1"], standalone_mode=False)


class TestWaking:
    _ASLEEP = Refused("DatabaseResumingException", "The Aurora DB instance is resuming after being auto-paused.")

    def _api(self, said: list[str], slept: list[float]) -> DataApi:
        target = Target(CLUSTER_ARN, SECRET_ARN, "openemr")
        patience = Patience(10, slept.append, lambda: sum(slept))
        return DataApi(account(), target, talk=said.append, patience=patience)

    def test_a_sleeping_database_is_waited_for(self, aws: StandIn) -> None:
        answers: Iterator[Answer] = iter([self._ASLEEP, Refused("BadRequestException", self._ASLEEP.message), _ROWS])
        aws.answers["ExecuteStatement"] = lambda _: next(answers)
        said: list[str] = []
        slept: list[float] = []
        result = self._api(said, slept).run(split("SELECT 1")[0], {})
        assert result.rows == ((1, "Ada"), (2, None))
        assert slept == [3, 3]
        assert len(said) == 1
        assert "waking up" in said[0]

    def test_but_not_for_ever(self, aws: StandIn) -> None:
        aws.answers["ExecuteStatement"] = self._ASLEEP
        slept: list[float] = []
        with pytest.raises(OutsideWorldError, match="did not wake up within 10 seconds"):
            self._api([], slept).run(split("SELECT 1")[0], {})
        assert sum(slept) < 15

    def test_a_rollback_that_fails_is_told_and_the_reason_stays(self, aws: StandIn) -> None:
        def refuse(_: Mapping[str, Any]) -> Answer:
            return Refused("InternalServerErrorException", "lost", 500)

        aws.answers["RollbackTransaction"] = refuse
        said: list[str] = []
        with pytest.raises(RuntimeError, match="ours"), self._api(said, []).transaction():
            raise RuntimeError("ours")
        assert "the rollback failed" in said[0]


def test_the_registration_services_database_has_no_data_api_and_the_hint_says_what_has_a_way(aws: StandIn) -> None:
    with pytest.raises(SettingsError, match="the RDS Data API is for Aurora") as told:
        sql.main(["registration", "SELECT 1"], prog_name="hostemr sql", standalone_mode=False)
    assert told.value.exit_status == 2
    assert "hostemr tunnel registration --open" in told.value.hint
    assert not aws.requests("DescribeStacks")
