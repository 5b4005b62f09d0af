"""`hostemr load` as an operator uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostemr.errors import FindingsError, HostemrError, OutsideWorldError, RefusedError, SettingsError
from hostemr.operate.load_commands import load
from tests.peers.load_target import PASSWORD, LoadTarget
from tests.peers.server import clean_environment


@pytest.fixture
def target() -> Iterator[LoadTarget]:
    with LoadTarget() as running:
        yield running


def _run(*arguments: object) -> None:
    load.main([str(one) for one in arguments], prog_name="hostemr load", standalone_mode=False)


def test_a_load_answers_json_and_leaves_a_report(
    target: LoadTarget, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(target.url, "--users", 2, "--for", "300ms", "--json", "--report", tmp_path / "load.html")
    shown = capsys.readouterr()
    assert json.loads(shown.out)["within_limits"] is True
    assert "trying the scenario once" in shown.err
    assert "✓ Good" in (tmp_path / "load.html").read_text(encoding="utf-8")


def test_broken_limits_leave_a_result_and_exit_1(
    target: LoadTarget, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target.fail_from = 40
    with pytest.raises(FindingsError, match="the load was not good"):
        _run(target.url, "--users", 3, "--for", "60s", "--ramp", "0s", "--report", tmp_path / "load.html")
    assert "NOT GOOD: Stopped after" in capsys.readouterr().out
    assert "✗ Not good" in (tmp_path / "load.html").read_text(encoding="utf-8")


def test_a_password_is_nowhere_in_what_is_left(
    target: LoadTarget, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    report = tmp_path / "load.html"
    options = ("--scenario", "clinic-day", "--user", "ann", "--password-file", secret, "--for", "300ms")
    _run(target.url, *options, "--users", 2, "--json", "--report", report)
    shown = capsys.readouterr()
    assert target.log_ins["ann"] >= 1, "the trial logged in"
    assert PASSWORD not in shown.out + shown.err + report.read_text(encoding="utf-8")


def test_the_report_is_there_although_nobody_reads_the_result(target: LoadTarget, tmp_path: Path) -> None:
    report = tmp_path / "load.html"
    command = [sys.executable, "-m", "hostemr", "load", target.url, "--users", "1", "--for", "200ms"]
    # As with `| head -0`: the pipe has no reader left when the result comes.
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*command, "--report", str(report)],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=clean_environment(),
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    assert b"Traceback" not in done.stderr
    assert "✓ Good" in report.read_text(encoding="utf-8")


def test_the_result_is_there_although_the_report_cannot_be(
    target: LoadTarget, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OutsideWorldError, match="the report cannot be written to /dev/full: No space left"):
        _run(target.url, "--users", 1, "--for", "200ms", "--json", "--report", "/dev/full")
    assert json.loads(capsys.readouterr().out)["requests"] > 0


def test_every_wrong_option_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        _run("emr.example.org", "--for", "soon", "--rate", "fast", "--stop-errors", "5", "--scenario", "clinic")
    assert [problem.split(" is ")[0] for problem in caught.value.problems] == [
        "--for",
        "--rate",
        "--stop-errors",
        "URL",
        "--scenario",
    ]


def test_a_folder_that_is_not_there_is_told_before_the_load(target: LoadTarget, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="its folder does not exist"):
        _run(target.url, "--report", tmp_path / "no" / "load.html")
    assert target.total == 0


class TestOtherHosts:
    """None of these names exists (RFC 6761, 6.4), so a load that began would end as OutsideWorldError."""

    URL = "https://emr.invalid"

    def _refused(self, *arguments: object) -> HostemrError:
        with pytest.raises(HostemrError) as caught:
            _run(self.URL, "--for", "1s", *arguments)
        return caught.value

    def test_nobody_to_ask_is_a_refusal(self) -> None:
        error = self._refused()
        assert isinstance(error, RefusedError)
        assert "--yes emr.invalid" in error.hint

    @pytest.mark.parametrize("typed", ["yes", "emr", "emr.invalid.example.org", ""])
    def test_another_word_is_a_refusal(self, typed: str) -> None:
        assert isinstance(self._refused("--yes", typed), RefusedError)

    def test_the_host_typed_is_consent(self) -> None:
        error = self._refused("--yes", "emr.invalid")
        assert isinstance(error, OutsideWorldError)
        assert "emr.invalid does not answer: unknown host" in error.message

    def test_a_name_in_other_letters_is_typed_as_people_write_it(self) -> None:
        for typed in ("Praxis-Müller.invalid", "xn--praxis-mller-klb.invalid"):
            with pytest.raises(OutsideWorldError, match="unknown host"):
                _run("https://praxis-müller.invalid", "--for", "1s", "--yes", typed)

    def test_what_will_happen_is_said_first(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._refused("--scenario", "clinic-day", "--user", "ann", "--write", "--users", 7)
        said = capsys.readouterr().err
        assert "7 users for 1 s" in said
        assert "real log-ins and audit entries" in said
        assert "leaves documents in patients' charts" in said
        assert "https://aws.amazon.com/ec2/testing/" in said


def test_the_scenarios_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    _run("--scenarios", "--json")
    listed = {one["name"]: one["logs_in"] for one in json.loads(capsys.readouterr().out)}
    assert listed == {"api": False, "clinic-day": True, "front-page": False, "openmrs-day": True}
    _run("--scenarios")
    assert "clinic-day: A clinic's day in OpenEMR" in capsys.readouterr().out


@pytest.mark.real
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_load_leaves_a_result(target: LoadTarget, tmp_path: Path, number: signal.Signals) -> None:
    program = "from hostemr.operate.load_commands import load; load(prog_name='hostemr load')"
    with subprocess.Popen(
        [sys.executable, "-c", program, target.url, "--for", "1h", "--json", "--report", "load.html"],
        cwd=tmp_path,
        env=clean_environment(PYTHONPATH=os.environ.get("PYTHONPATH", "")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        while "the load begins" not in process.stderr.readline():
            assert process.poll() is None
        while target.total < 50:
            assert process.poll() is None
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    result = json.loads(out)
    assert result["ended"] == "operator"
    assert result["requests"] > 0
    assert (tmp_path / "load.html").exists()
    assert process.returncode not in {0, -number}
