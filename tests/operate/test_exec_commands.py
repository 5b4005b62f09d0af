"""`hostemr exec` with a stand-in for the plugin, which runs what ECS was told on a real pty."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.operate.exec_commands import exec_command
from hostemr.operate.reach.plugin import find_plugin
from hostemr.operate.reach.shell import Marked, StatusReader, run_command
from hostemr.operate.reach.tasks import Place
from tests.operate.reach.aws_stand_in import Answer, Refused, StandIn
from tests.operate.reach.deployment import (
    RUNTIME,
    TASK,
    TOKEN,
    account,
    deploy,
    in_environment,
    install_plugin,
    started,
    task,
)


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with in_environment() as stand_in:
        yield stand_in


@pytest.fixture
def aws(running: StandIn, plugin: Path) -> StandIn:
    """What ECS is told to run is what the plugin runs."""
    running.forget()
    deploy(running)
    begun = running.answers["ExecuteCommand"]

    def execute(request: Mapping[str, Any]) -> Answer:
        (plugin / "command").write_text(request["command"])
        assert isinstance(begun, Mapping)
        return begun

    running.answers["ExecuteCommand"] = execute
    return running


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = install_plugin(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def _run(*arguments: str, deployment: str = "openemr") -> object:
    return exec_command.main(
        [deployment, *arguments], prog_name="hostemr exec", standalone_mode=False, obj=lambda **_: account()
    )


class TestCommand:
    def test_its_output_is_the_output_and_its_status_the_status(
        self, aws: StandIn, plugin: Path, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        said = """it's "so" $HOME\\n"""
        status = _run("--", "/bin/sh", "-c", 'printf "%s" "$1"; echo two; exit 42', "x", said)
        shown = capfdbinary.readouterr()
        assert status == 42
        assert shown.out == f"{said}two\n".encode()
        assert b"openemr in task 0123456789abcdef" in shown.err
        (asked,) = aws.requests("ExecuteCommand")
        assert {key: asked[key] for key in ("cluster", "task", "container", "interactive")} == {
            "cluster": "clinic",
            "task": TASK,
            "container": "openemr",
            "interactive": True,
        }
        (begun,) = started(plugin)
        assert begun["token"] == TOKEN
        assert TOKEN not in json.dumps(begun["arguments"])
        assert json.loads(begun["arguments"][4]) == {"Target": f"ecs:clinic_{TASK}_{RUNTIME}"}
        assert not aws.requests("TerminateSession")

    def test_of_the_registration_service_it_runs_beside_the_web_server(
        self, aws: StandIn, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        aws.answers["DescribeTasks"] = {"tasks": [task(names=("web", "worker"))]}
        assert _run("--suffix", "north", "--", "echo", "board", deployment="registration") == 0
        assert capfdbinary.readouterr().out == b"board\n"
        (asked,) = aws.requests("ExecuteCommand")
        assert (asked["container"], asked["cluster"]) == ("web", "clinic")
        (named,) = aws.requests("DescribeStacks")
        assert named["StackName"] == "registration-service-north"
        assert aws.requests("ListTasks")[0]["serviceName"] == "registration"

    @pytest.mark.usefixtures("aws")
    def test_json_tells_both(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert _run("--json", "--container", "background", "--", "/bin/sh", "-c", "echo a; echo b >&2; exit 3") == 3
        shown = capsys.readouterr()
        assert json.loads(shown.out) == {
            "task": TASK,
            "container": "background",
            "command": ["/bin/sh", "-c", "echo a; echo b >&2; exit 3"],
            "status": 3,
            "output": "a\nb\n",
        }
        assert not shown.err

    @pytest.mark.usefixtures("aws")
    def test_without_a_terminal_its_input_is_empty(self, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        assert _run("--", "cat") == 0
        assert capfdbinary.readouterr().out == b""

    @pytest.mark.usefixtures("aws")
    def test_one_that_is_not_there_fails_as_in_a_shell(self, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        assert _run("--", "no-such-program") == 127
        assert b"not found" in capfdbinary.readouterr().out

    def test_it_ends_when_nobody_reads_any_more(self, aws: StandIn, plugin: Path) -> None:
        """As with `| head -1`, of a command that then says nothing for long."""

        def closed(output: bytes) -> None:
            if output:
                raise BrokenPipeError

        place = Place("clinic", TASK, "openemr", RUNTIME)
        marked = Marked(("/bin/sh", "-c", "echo one; sleep 30"), with_input=False)
        began = time.monotonic()
        with pytest.raises(BrokenPipeError):
            run_command(account(), find_plugin(str(plugin)), place, marked, write=closed, talk=print)
        assert time.monotonic() - began < 10
        assert len(aws.requests("TerminateSession")) == 1

    def test_a_container_without_a_shell_is_told(self, aws: StandIn, plugin: Path) -> None:
        def execute(request: Mapping[str, Any]) -> Answer:
            (plugin / "command").write_text(request["command"].replace("/bin/sh", "/nonexistent/sh"))
            return {"session": {"sessionId": "ecs-1", "streamUrl": "wss://x", "tokenValue": TOKEN}}

        aws.answers["ExecuteCommand"] = execute
        with pytest.raises(OutsideWorldError, match=r"did not begin in openemr: .*No such file") as told:
            _run("--", "true")
        assert "/bin/sh, which the container must have" in told.value.hint
        assert aws.requests("TerminateSession") == [{"SessionId": "ecs-1"}]

    def test_a_session_that_ends_before_the_command_has_no_status(self, aws: StandIn) -> None:
        with pytest.raises(OutsideWorldError, match="session ended before the command did"):
            _run("--", "/bin/sh", "-c", "kill -9 $PPID")
        assert len(aws.requests("TerminateSession")) == 1


class TestShell:
    @pytest.mark.usefixtures("aws")
    def test_the_terminal_is_handed_over(self) -> None:
        program = (
            "from hostemr.operate.exec_commands import exec_command\n"
            "exec_command.main(['openemr'], standalone_mode=False)\n"
            "print('after it')\n"
        )
        shown = _at_a_terminal(program, b"echo one$((1+1)); exit\n")
        assert "one2" in shown
        assert "after it" in shown

    @pytest.mark.parametrize(
        ("given", "problem"),
        [
            ((), "a shell needs a terminal"),
            (("--terminal", "--", "top"), "a shell needs a terminal"),
            (("--json",), "--json tells of a COMMAND"),
            (("--terminal",), "--terminal is for a COMMAND"),
        ],
    )
    def test_what_it_cannot_do_is_wrong_use(self, given: tuple[str, ...], problem: str) -> None:
        with pytest.raises(SettingsError, match=problem):
            _run(*given)


def _at_a_terminal(program: str, typed: bytes) -> str:
    """What a Python program shows on a terminal at which `typed` is typed."""
    ours, its = pty.openpty()
    try:
        with subprocess.Popen([sys.executable, "-c", program], stdin=its, stdout=its, stderr=its) as process:
            os.close(its)
            shown = b""
            while True:
                try:
                    part = os.read(ours, 4096)
                except OSError:
                    # Linux says so when the last of those who have the terminal open is gone.
                    break
                shown += part
                if typed and b"Starting session" in shown:
                    os.write(ours, typed)
                    typed = b""
            assert process.wait(60) == 0, shown
    finally:
        os.close(ours)
    return shown.decode()


class TestInTheWay:
    @pytest.mark.parametrize(
        ("given", "problem"),
        [
            (
                ("--container", "openmr"),
                "--container openmr: the tasks have background, openemr; did you mean openemr?",
            ),
            (("--task", "beef"), "--task beef: no such task runs"),
        ],
    )
    def test_unknown_names_are_refused(self, aws: StandIn, given: tuple[str, ...], problem: str) -> None:
        with pytest.raises(SettingsError) as told:
            _run(*given, "--", "true")
        assert problem in told.value.message
        assert not aws.requests("ExecuteCommand")

    def test_a_task_can_be_named_by_its_id_or_its_arn(self, aws: StandIn) -> None:
        tasks = [task("1" * 32), task("2" * 32)]
        deploy(aws, tasks)
        aws.answers["ExecuteCommand"] = Refused("TargetNotConnectedException", "internal")
        for name in ("2" * 32, str(tasks[1]["taskArn"])):
            with pytest.raises(OutsideWorldError, match="The agent in openemr is not connected"):
                _run("--task", name, "--", "true")
        assert {one["task"] for one in aws.requests("ExecuteCommand")} == {"2" * 32}

    def test_where_it_is_off_the_setting_is_named(self, aws: StandIn) -> None:
        deploy(aws, [task(enabled=False)], enabled=False)
        with pytest.raises(SettingsError, match="enable_ecs_exec is off"):
            _run("--", "true")


class TestStatusReader:
    def test_it_does_not_matter_where_the_output_is_cut(self) -> None:
        marked = Marked(("true",), with_input=False)
        word = marked.word.encode()
        output = b"hostemr-almost\r\n" + word[:12] + b" not it"
        said = b"\nStarting session\n" + word + b" begins\r\n" + output + word + b" ends 7\r\n\nExiting session\n"
        for size in (1, 3, 17, len(said)):
            reader = StatusReader(marked.word)
            given = b"".join(reader.feed(said[at : at + size]) for at in range(0, len(said), size))
            assert (given, reader.status) == (output, 7)

    def test_output_is_not_held_back(self) -> None:
        reader = StatusReader("word")
        assert reader.feed(b"word begins\nthe word itself, a password? ") == b"the word itself, a password? "
        assert reader.status is None
