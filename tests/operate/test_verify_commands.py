"""`hostemr verify` as an operator uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostemr.errors import FindingsError, SettingsError
from hostemr.operate.verification.web import NoAnswer
from hostemr.operate.verify_commands import verify
from tests.operate.verification.asking import log_in_by_hand
from tests.peers.certificates import self_signed
from tests.peers.openemr_stand_in import OpenEmrStandIn
from tests.peers.openmrs_stand_in import OpenMrsStandIn
from tests.peers.server import clean_environment


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("certificates"), "localhost", days=90)


@pytest.fixture
def emr(certificate: Path) -> Iterator[OpenEmrStandIn]:
    with OpenEmrStandIn(certificate) as served:
        yield served


@pytest.fixture
def mrs(certificate: Path) -> Iterator[OpenMrsStandIn]:
    with OpenMrsStandIn(certificate) as served:
        yield served


def _run(*arguments: object) -> None:
    verify.main([str(one) for one in arguments], prog_name="hostemr verify", standalone_mode=False)


def test_it_tells_each_check_on_a_line_and_the_counts_last(
    emr: OpenEmrStandIn, certificate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(emr.url, "--ca-file", certificate, "--http-port", emr.http_port)
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].startswith("ok      tls.trusted       The certificate is trusted and for this name: TLSv1.3")
    assert lines[-1] == "19 ok, 0 failed, 0 skipped"
    assert "\x1b[" not in shown.out, "no colours but on a terminal"
    assert shown.err == ""


def test_a_failed_check_says_what_to_do_and_exits_with_1(
    emr: OpenEmrStandIn, certificate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emr.behaviour.password = "pass"
    with pytest.raises(FindingsError, match=r"^Checks that failed: login\.default\.$") as failed:
        _run(emr.url, "--ca-file", certificate)
    assert failed.value.exit_status == 1
    shown = capsys.readouterr().out
    assert "failed  login.default" in shown
    assert "to do: change the administrator's password at once" in shown
    assert "skipped http.redirect" in shown


def test_json_is_whole_and_alone_on_stdout(
    emr: OpenEmrStandIn, certificate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emr.behaviour.ready = {"status": "error", "message": "no database"}
    with pytest.raises(FindingsError):
        _run(emr.url, "--ca-file", certificate, "--http-port", emr.http_port, "--no-default-password", "--json")
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert list(told) == ["url", "application", "started", "ok", "failed", "skipped", "checks"]
    assert (told["application"], told["ok"], told["failed"], told["skipped"]) == ("openemr", 17, 1, 1)
    ready = next(one for one in told["checks"] if one["id"] == "health.ready")
    assert list(ready) == ["id", "title", "asked", "state", "detail", "seconds", "remedy", "source"]
    assert ready["state"] == "failed"
    assert ready["seconds"] >= 0
    assert "failed: health.ready" in shown.err.splitlines()


class TestPassword:
    def test_it_comes_from_a_file_or_the_environment_and_is_never_shown(
        self,
        mrs: OpenMrsStandIn,
        certificate: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        file = tmp_path / "password"
        file.write_text("a: colon and more\n")
        common = (mrs.url, "--ca-file", certificate, "--http-port", mrs.http_port, "--user", "nurse")
        _run(*common, "--password-file", file)
        monkeypatch.setenv("HOSTEMR_VERIFY_PASSWORD", "a: colon and more")
        _run(*common, "--json")
        shown = capsys.readouterr()
        assert "21 ok, 0 failed, 0 skipped" in shown.out
        assert "HOSTEMR_VERIFY_PASSWORD" not in os.environ, "a browser that is opened would keep it"
        assert "a: colon" not in shown.out + shown.err

    def test_without_one_and_without_a_terminal_it_is_asked_for(self) -> None:
        with pytest.raises(SettingsError, match="the password of nurse is missing") as refused:
            _run("https://localhost:1", "--user", "nurse")
        assert refused.value.hint == "give --password-file, or set HOSTEMR_VERIFY_PASSWORD"

    def test_a_file_that_cannot_be_read_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"--password-file .*missing cannot be read: No such file"):
            _run("https://localhost:1", "--user", "nurse", "--password-file", tmp_path / "missing")


def test_what_does_not_go_together_is_said_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        _run(
            *("https://localhost:1", "--client-id", "x", "--client-file", tmp_path / "c", "--site", "../x"),
            *("--password-file", tmp_path / "p"),
        )
    assert refused.value.problems == (
        "--client-file is only for --api",
        "--client-id is only for --api",
        "--password-file is only for --user",
        "--client-id and --client-file both name a client; give one",
        "--site is '../x'; expected letters, digits and . _ -",
    )
    with pytest.raises(SettingsError, match="--client-id needs --callback-port"):
        _run("https://localhost:1", "--api", "--client-id", "x")
    with pytest.raises(SettingsError, match="passwords and tokens are not sent in the clear"):
        _run("http://localhost:1", "--api")


def test_a_client_file_that_cannot_be_written_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be written"):
        _run("https://localhost:1", "--api", "--client-file", tmp_path / "nowhere" / "clients.json")


def test_a_host_that_cannot_be_reached_is_the_outside_world() -> None:
    with pytest.raises(NoAnswer) as failed:
        _run("https://localhost:1")
    assert failed.value.exit_status == 3


@pytest.mark.real
def test_the_verb_opens_a_browser_and_keeps_stdout_for_data(
    emr: OpenEmrStandIn, certificate: Path, tmp_path: Path
) -> None:
    emr.behaviour.approves_registrations = False
    opened = tmp_path / "opened"
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho chatter\nprintf %s "$1" > {opened}.part\nmv {opened}.part {opened}\n')
    program.chmod(0o755)
    command = [sys.executable, "-m", "hostemr", "verify", emr.url, "--ca-file", str(certificate), "--api", "--json"]
    with subprocess.Popen(
        [*command, "--client-file", str(tmp_path / "clients.json"), "--patience", "60"],
        env=clean_environment(BROWSER=str(program)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not opened.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        log_in_by_hand(emr, certificate)(opened.read_text())
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["failed"] == 0
    assert "chatter" in err
    assert "Log in and authorize in a browser on this machine" in err
    for secret in (next(iter(emr.clients.values()))["client_secret"], *emr.tokens, *emr.refresh_tokens):
        assert secret not in out + err


def test_help_has_examples_and_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    _run("--help")
    shown = capsys.readouterr().out
    assert "hostemr verify https://emr.example.org --api" in shown
    assert "Exit status:" in shown
