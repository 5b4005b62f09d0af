"""The agent's command line: one clear line for each failure, statuses that scripts can rely on, signals that stop."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hostemr.errors import SettingsError
from hostemr.host.command_line import _DAILY, _moment, _next_backup, main
from hostemr.host.lock import locked
from tests.host.machine import Machine

VERBS = {"setup", "backup", "restore", "points", "drill", "status", "watch", "undelete", "discard"}
SNAPSHOTS = [
    {"id": f"{day:064x}", "time": f"2026-11-{day:02}T03:00:00Z", "paths": ["/srv/openemr/work/backup/set"]}
    for day in (1, 2, 3)
]


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A server without a database, whose programs this process finds; its restic lists three points."""
    machine = Machine(tmp_path)
    restic(machine, f"cat <<'END'\n{json.dumps(SNAPSHOTS)}\nEND")
    (machine.home / "listing.json").write_text(json.dumps({"CommonPrefixes": [{"Prefix": "Backup/restic/1/"}]}))
    for name, value in machine.environment.items():
        monkeypatch.setenv(name, value)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield machine
    for number, handler in handlers.items():
        signal.signal(number, handler)


def restic(machine: Machine, script: str) -> None:
    program = machine.folder / "bin" / "restic"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(bare: Machine, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a verb in this process: its status, what it said to stdout and to stderr."""

    def once(*arguments: str) -> tuple[int, str, str]:
        status = main(["--config", str(bare.configuration_file), *arguments])
        told = capsys.readouterr()
        return status, told.out, told.err

    return once


@pytest.mark.parametrize("arguments", [[], ["destroy"], ["backup", "--attempts", "x"], ["undelete"], ["status", "x"]])
def test_wrong_use_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: hostemr-host" in capsys.readouterr().err


def test_help_names_every_verb_and_what_a_status_means(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], *([verb] for verb in sorted(VERBS))):
        with pytest.raises(SystemExit) as caught:
            main([*arguments, "--help"])
        assert caught.value.code == 0
        told = capsys.readouterr().out
        assert "exit status: 0 done; 1 findings" in told
        assert arguments or all(f"\n    {verb} " in told for verb in VERBS)


def test_wrong_settings_are_told_line_by_line(bare: Machine, run: Run) -> None:
    bare.configuration_file.write_text('{"engine": "tar"}')
    status, out, err = run("status")
    lines = err.splitlines()
    assert (status, out) == (2, "")
    assert all(line.startswith("error: ") for line in lines[:-1])
    assert len(lines) > 5
    assert lines[-1].startswith("hint: ")


def test_errors_are_json_too(bare: Machine, run: Run) -> None:
    bare.configuration_file.write_text("{")
    status, out, err = run("status", "--json")
    assert (status, out) == (2, "")
    told = json.loads(err)
    assert told["error"] == told["errors"][0]
    assert "is no JSON" in told["error"]


def test_a_disk_that_fails_is_one_line_and_no_traceback(bare: Machine, run: Run) -> None:
    bare.root.rmdir()
    status, out, err = run("watch")
    assert (status, out) == (3, "")
    assert f"error: {bare.root}: No such file or directory.\n" in err


def test_status_on_one_screen_and_as_json(run: Run) -> None:
    status, out, err = run("status")
    assert (status, err) == (1, ""), "there was no drill yet"
    assert "3 points, 2026-11-01 03:00 UTC to 2026-11-03 03:00 UTC" in out
    status, out, err = run("status", "--json")
    found = json.loads(out)
    assert (status, err) == (1, "")
    assert (found["points"], found["restorable"]) == (3, True)


def test_points_are_listed_up_to_a_moment(run: Run) -> None:
    status, out, _ = run("points")
    assert (status, len(out.splitlines())) == (0, 3)
    assert out.startswith("2026-11-01 03:00:00 UTC  0000")
    status, out, _ = run("points", "--time", "2026-11-02", "--json")
    assert [one["taken"] for one in json.loads(out)["points"]] == [
        "2026-11-01T03:00:00+00:00",
        "2026-11-02T03:00:00+00:00",
    ]
    assert run("points", "--time", "2026-10-02")[1] == "nothing is stored\n"


def test_points_of_a_folder_need_neither_bucket_nor_secret(bare: Machine, run: Run) -> None:
    (bare.home / "aws-down").touch()
    (bare.folder / "phrase").write_text("x")
    (bare.folder / "brought/1").mkdir(parents=True)
    arguments = ("points", "--from", str(bare.folder / "brought"), "--engine", "restic", "--passphrase-file")
    assert run(*arguments, str(bare.folder / "phrase"))[0] == 0
    status, _, err = run(*arguments, str(bare.folder / "nothing"))
    assert status == 2
    assert "error: " in err
    assert run("points", "--from", "recovery")[0] == 2


def test_a_secret_that_cannot_be_had_is_the_outside_worlds_failure(bare: Machine, run: Run) -> None:
    (bare.home / "aws-down").touch()
    status, out, err = run("points")
    assert (status, out) == (3, "")
    assert "Could not connect to the endpoint URL" in err


def test_watch_answers_its_figures(run: Run) -> None:
    status, out, _ = run("watch", "--json")
    assert status == 0
    assert json.loads(out)["Unhealthy"] == 1


def test_the_data_from_before_goes_only_when_it_is_confirmed(bare: Machine, run: Run) -> None:
    assert run("discard", "--confirm")[1] == "nothing to remove\n"
    (bare.layout.generations / "old").mkdir(parents=True)
    status, out, _ = run("discard")
    assert status == 1
    assert out.startswith("would remove old, replaced ")
    assert (bare.layout.generations / "old").exists()
    status, out, _ = run("discard", "--confirm", "--json")
    assert (status, json.loads(out)) == (0, {"removed": ["old"]})
    assert not (bare.layout.generations / "old").exists()


def test_nothing_is_discarded_while_another_verb_is_at_work(bare: Machine, run: Run) -> None:
    (bare.layout.generations / "old").mkdir(parents=True)
    with locked(bare.layout.state, "restore"):
        status, _, err = run("discard", "--confirm")
    assert status == 4
    assert err.startswith("error: Another restore (process ")
    assert (bare.layout.generations / "old").exists()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T14:30", datetime(2026, 11, 21, 14, 30, tzinfo=UTC)),
        ("2026-11-21T14:30:00Z", datetime(2026, 11, 21, 14, 30, tzinfo=UTC)),
        ("2026-11-21T14:30+02:00", datetime(2026, 11, 21, 12, 30, tzinfo=UTC)),
        ("2026-11-21", datetime(2026, 11, 21, 23, 59, 59, 999999, tzinfo=UTC)),
        ("20261121", datetime(2026, 11, 21, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_a_time_is_utc_and_a_day_means_its_end(text: str, moment: datetime) -> None:
    assert _moment(text) == moment
    assert _moment(None) is None


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "21.11.2026", "0001-01-01T00:00+14:00"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match="expected such as 2026-11-21 or 2026-11-21T14:30"):
        _moment(text)


def test_a_wrong_time_is_status_2(run: Run) -> None:
    assert run("undelete", "--as-of", "noon")[0] == 2
    assert run("points", "--time", "noon")[0] == 2


def test_the_next_backup_is_read_from_the_crontab_of_the_distribution() -> None:
    ubuntu = (
        "# m h dom mon dow user command\n"
        "17 *\t* * *\troot\tcd / && run-parts --report /etc/cron.hourly\n"
        "25 6\t* * *\troot\ttest -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }\n"
        "47 6\t* * 7\troot\ttest -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.weekly; }\n"
    )
    found = _DAILY.search(ubuntu)
    assert found is not None
    assert (found[1], found[2]) == ("25", "6")
    assert _DAILY.search("#25 6 * * * root run-parts /etc/cron.daily") is None
    assert _next_backup().startswith(("daily at ", "whenever cron"))


def test_who_asked_nohup_is_not_stopped_by_a_terminal_that_is_gone(run: Run) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run("points")
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@pytest.mark.real
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_agent_that_is_told_to_stop_does_not_try_again(bare: Machine, number: signal.Signals) -> None:
    restic(bare, f"touch {bare.folder}/asked\nexec sleep 60")
    process = bare.agent("backup", "--attempts", "3")
    while not (bare.folder / "asked").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert f"error: The agent was told to stop ({number.name}).\nhint: run it again" in err
    assert "Trying again" not in err
    assert "Traceback" not in err
    failure = bare.server.state.read("backup-failure")
    assert failure is not None
    assert "stopped" in failure["error"]
    assert bare.metrics() == [("BackupFailures", 1)]
    with locked(bare.layout.state, "drill"):
        assert bare.server.state.read("backup-running") is None


@pytest.mark.real
def test_a_terminal_that_is_gone_does_not_end_the_work(bare: Machine) -> None:
    (bare.home / "aws-down").touch()
    process = bare.agent("watch", "--json")
    assert process.stderr is not None
    process.stderr.close()
    assert process.stdout is not None
    with process.stdout:
        assert "DiskUsedPercent" in json.loads(process.stdout.read())
    assert process.wait(timeout=20) == 0


@pytest.mark.real
def test_the_agent_is_a_program(bare: Machine) -> None:
    process = bare.agent("points")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert len(out.splitlines()) == 3
