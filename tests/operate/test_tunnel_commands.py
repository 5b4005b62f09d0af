"""`hostemr tunnel` with a stand-in for the plugin that really forwards, to a real MariaDB where one is installed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography import x509

from hostemr.errors import HostemrError, OutsideWorldError, SettingsError
from hostemr.operate.reach.plugin import Session
from hostemr.operate.reach.tunnel import end, interruptible
from hostemr.operate.tunnel_commands import tunnel
from tests.operate.reach.aws_stand_in import Refused, StandIn
from tests.operate.reach.deployment import (
    DATABASE_HOST,
    INSTANCE_HOST,
    PASSWORD,
    READER_HOST,
    RESTORED_HOST,
    RESTORED_SECRET_ARN,
    RUNTIME,
    SECRET_ARN,
    TASK,
    TOKEN,
    account,
    deploy,
    in_environment,
    install_plugin,
    path_with,
    started,
    task,
)
from tests.peers import loopback, mariadb
from tests.peers.certificates import self_signed
from tests.peers.mariadb import PrivateMariaDB

_TARGET = f"ecs:clinic_{TASK}_{RUNTIME}"


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with in_environment() as stand_in:
        yield stand_in


@pytest.fixture
def aws(running: StandIn) -> StandIn:
    running.forget()
    deploy(running)
    return running


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stand-in, before all else on the PATH."""
    folder = install_plugin(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("roots"), x509.DNSName(DATABASE_HOST))


@pytest.fixture(scope="module")
def database(roots: Path) -> Iterator[PrivateMariaDB]:
    """What Aurora is to a client: TLS demanded, a master, the application's database."""
    if not mariadb.installed():
        pytest.skip("needs mariadb-server-core")
    tls = (f"--ssl-ca={roots}", f"--ssl-cert={roots}", f"--ssl-key={roots}", "--require-secure-transport=1")
    with PrivateMariaDB(*tls, parent=mariadb.memory()) as server:
        password = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
        server.execute(
            "CREATE DATABASE openemr",
            f"CREATE USER hostemr@'%' IDENTIFIED BY '{password}'",
            "GRANT ALL ON *.* TO hostemr@'%'",
            "CREATE TABLE openemr.patient_data (fname TEXT)",
            "INSERT INTO openemr.patient_data VALUES ('Ada')",
        )
        yield server


def _run(*arguments: str) -> object:
    return tunnel.main(
        ["openemr", *arguments], prog_name="hostemr tunnel", standalone_mode=False, obj=lambda **_: account()
    )


class _Command:
    """`hostemr tunnel` as a process of its own, for what signals and terminals do to it."""

    def __init__(self, *arguments: str, given: str | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _FRONT_DOOR, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.out = self.err = ""
        self._given = given

    def lines_until(self, end: str) -> str:
        """What it prints, to the line that is `end`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.out += line
            if line.rstrip() == end:
                break
        return self.out

    def finish(self) -> int:
        out, self.err = self.process.communicate(self._given, timeout=60)
        self.out += out
        return self.process.returncode


_FRONT_DOOR = """
import sys
from hostemr.errors import HostemrError
from hostemr.operate.tunnel_commands import tunnel
try:
    sys.exit(tunnel.main(["openemr", *sys.argv[1:]], prog_name="hostemr tunnel", standalone_mode=False))
except HostemrError as error:
    sys.exit(f"{error.exit_status} {error.message} / {error.hint}")
"""


@pytest.mark.real
class TestThrough:
    def test_a_client_asks_the_database_and_the_password_is_in_no_argument_and_no_file(
        self, aws: StandIn, plugin: Path, database: PrivateMariaDB, roots: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (plugin / "database").write_text(str(database.port))
        commands = "\\! tr '\\0' ' ' < /proc/$PPID/cmdline\n\\! env\n\\! ls $TMPDIR\n"
        query = f"SELECT fname FROM patient_data; SHOW STATUS LIKE 'Ssl_version';\n{commands}"
        (plugin / "temporary").mkdir()
        monkeypatch.setenv("TMPDIR", str(plugin / "temporary"))
        # An operator's own settings lead to another database, as another user.
        (plugin / ".my.cnf").write_text("[client]\nhost=192.0.2.1\nport=1\nuser=somebody\npassword=else\n")
        monkeypatch.setenv("HOME", str(plugin))
        client = _Command("--port", "0", "--open", "mariadb", "--ca", str(roots), given=query)
        assert client.finish() == 0, client.err
        assert "Ada" in client.out
        assert "TLSv1" in client.out
        assert "--defaults-file=/dev/fd/" in client.out, "how the client was started"
        for secret in (PASSWORD, 'a"b#c', TOKEN):
            assert secret not in client.out
            assert secret not in client.err
        assert not list((plugin / "temporary").iterdir())
        (begun,) = started(plugin)
        assert begun["token"] == TOKEN
        assert TOKEN not in json.dumps(begun["arguments"])
        assert begun["arguments"][1:4] == ["eu-central-1", "StartSession", ""]
        assert json.loads(begun["arguments"][4]) == aws.requests("StartSession")[0]
        assert aws.requests("TerminateSession") == [{"SessionId": "me-1"}]

    def test_ctrl_c_ends_the_plugin_and_the_session(self, aws: StandIn, plugin: Path, database: PrivateMariaDB) -> None:
        (plugin / "database").write_text(str(database.port))
        command = _Command("--port", "0", "--json")
        told = json.loads(command.lines_until("}"))
        assert told["host"] == "127.0.0.1"
        assert told["database_host"] == DATABASE_HOST
        assert told["master_secret"] == SECRET_ARN
        assert told["version"].startswith("1") or "MariaDB" in told["version"]
        with socket.create_connection(("127.0.0.1", told["port"]), timeout=10) as connection:
            assert b"mysql_native_password" in connection.recv(4096)
        command.process.send_signal(signal.SIGINT)
        assert command.finish() == 0
        assert command.err.splitlines()[-1] == "closed"
        assert aws.requests("TerminateSession") == [{"SessionId": "me-1"}]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", told["port"]), timeout=10)

    def test_another_server_behind_it_gets_no_password(
        self, aws: StandIn, plugin: Path, database: PrivateMariaDB, roots: Path
    ) -> None:
        (plugin / "database").write_text(str(database.port))
        with pytest.raises(OutsideWorldError, match="does not prove to be the database: Hostname mismatch") as told:
            _run("--port", "0", "--reader", "--open", "mariadb", "--ca", str(roots))
        assert "send it no password" in told.value.hint
        assert aws.requests("StartSession")[0]["Parameters"]["host"] == [READER_HOST]
        assert len(aws.requests("TerminateSession")) == 1

    def test_a_tunnel_that_ends_by_itself_is_told_and_not_opened_again(
        self, aws: StandIn, plugin: Path, database: PrivateMariaDB
    ) -> None:
        (plugin / "database").write_text(str(database.port))
        (plugin / "ends").touch()
        with pytest.raises(OutsideWorldError) as told:
            _run("--port", "0")
        assert told.value.message == "The tunnel has closed: SESSION ENDED: it was idle"
        assert "after 20 minutes without traffic" in told.value.hint
        assert len(aws.requests("StartSession")) == 1


class TestEnding:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_a_closed_terminal_interrupts_as_ctrl_c_does(self, number: signal.Signals) -> None:
        before = signal.getsignal(number)
        with pytest.raises(KeyboardInterrupt), interruptible():
            signal.raise_signal(number)
        assert signal.getsignal(number) == before

    @pytest.mark.parametrize(
        ("refused", "warned"),
        [
            (Refused("DoesNotExistException", "ended"), False),
            (Refused("AccessDeniedException", "User: u is not authorized to perform: ssm:TerminateSession"), True),
        ],
    )
    def test_a_session_that_cannot_be_ended_is_told_and_one_that_has_ended_is_not(
        self, aws: StandIn, refused: Refused, warned: bool
    ) -> None:
        aws.answers["TerminateSession"] = refused
        said: list[str] = []
        end(account(), Session("me-1", "wss://x", TOKEN), said.append)
        assert len(said) == warned
        assert all("may not ssm:TerminateSession. AWS ends me-1 by itself" in line for line in said)
        assert TOKEN not in repr(Session("me-1", "wss://x", TOKEN))


class TestInTheWay:
    @pytest.mark.usefixtures("plugin")
    def test_a_port_that_is_taken_is_told_with_the_program_that_has_it(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            with pytest.raises(OutsideWorldError) as told:
                _run("--port", str(port))
        by = f" by {Path('/proc/self/comm').read_text().strip()} (process {os.getpid()})"
        assert told.value.message == f"Port {port} of this machine is taken{by if sys.platform == 'linux' else ''}."
        assert "--port 0 picks one" in told.value.hint

    def test_a_missing_plugin_is_told_with_how_to_install_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", path_with(tmp_path, "env"))
        with pytest.raises(OutsideWorldError, match="session-manager-plugin is not installed") as told:
            _run()
        assert "install-plugin.html" in told.value.hint

    @pytest.mark.parametrize("version", ["1.2.497.0", "1.1.61.0", "next", ""])
    def test_a_plugin_that_would_show_the_token_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
    ) -> None:
        folder = install_plugin(tmp_path / "old", version=version)
        monkeypatch.setenv("PATH", str(folder))
        with pytest.raises(OutsideWorldError, match="would show the session's token"):
            _run()

    @pytest.mark.usefixtures("plugin")
    def test_a_client_that_is_none_is_told_before_a_session_begins(self, aws: StandIn) -> None:
        with pytest.raises(OutsideWorldError, match="dbeaver is not installed"):
            _run("--open", "dbeaver")
        with pytest.raises(SettingsError, match="not known as a client of MySQL"):
            _run("--open", "bash")
        assert not aws.asked

    def test_the_database_that_does_not_answer_is_told_after_the_patience(self, aws: StandIn, plugin: Path) -> None:
        (plugin / "database").write_text(str(loopback.free_port()))
        began = time.monotonic()
        with pytest.raises(OutsideWorldError, match="the database did not answer within 1 seconds") as told:
            _run("--port", "0", "--wait", "1")
        assert time.monotonic() - began < 20
        assert "describe-db-clusters" in told.value.hint
        assert len(aws.requests("TerminateSession")) == 1

    @pytest.mark.usefixtures("aws")
    def test_a_database_that_refuses_connections_is_told_in_its_words(self, plugin: Path) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            other.settimeout(30)
            (plugin / "database").write_text(str(other.getsockname()[1]))
            said = b"\xff\x69\x04Host '10.0.0.1' is blocked"

            def serve() -> None:
                with other.accept()[0] as connection:
                    connection.sendall(bytes([len(said), 0, 0, 0]) + said)

            server = threading.Thread(target=serve)
            server.start()
            with pytest.raises(OutsideWorldError, match=r"refuses connections: Host '10\.0\.0\.1' is blocked"):
                _run("--port", "0")
            server.join()

    def test_the_plugins_refusal_is_told_in_its_words(self, aws: StandIn, plugin: Path) -> None:
        (plugin / "refuses").write_text("data channel: dial tcp: no such host")
        with pytest.raises(OutsideWorldError, match="did not open: Cannot perform start session: data channel"):
            _run("--port", "0")
        assert len(aws.requests("TerminateSession")) == 1

    @pytest.mark.usefixtures("plugin")
    def test_a_task_that_is_not_connected_is_told(self, aws: StandIn) -> None:
        aws.answers["StartSession"] = Refused("TargetNotConnected", "is not connected.")
        with pytest.raises(OutsideWorldError, match="not connected to Session Manager") as told:
            _run("--port", "0")
        assert "ssmmessages" in told.value.hint

    @pytest.mark.usefixtures("plugin")
    def test_who_may_not_start_sessions_is_told_which_permission_is_missing(self, aws: StandIn) -> None:
        said = "User: u is not authorized to perform: ssm:StartSession on resource: arn:aws:ecs:eu:1:task/clinic/0"
        aws.answers["StartSession"] = Refused("AccessDeniedException", said)
        with pytest.raises(OutsideWorldError) as told:
            _run("--port", "0")
        assert told.value.message == (
            "starting the session: Your credentials may not ssm:StartSession on arn:aws:ecs:eu:1:task/clinic/0."
        )

    @pytest.mark.parametrize(
        ("deployed", "error", "line", "hint"),
        [
            (([], True), OutsideWorldError, "No task of openemr is running", "describe-services"),
            (([task(enabled=False)], False), SettingsError, "enable_ecs_exec is off", "set enable_ecs_exec true"),
            (([task(enabled=False)], True), SettingsError, "began before it was", "--force-new-deployment"),
            (([task(agent="STOPPED")], True), OutsideWorldError, "openemr: STOPPED", "ssmmessages"),
        ],
    )
    def test_a_deployment_that_takes_no_session_is_told_with_the_setting(
        self,
        aws: StandIn,
        deployed: tuple[list[dict[str, object]], bool],
        error: type[HostemrError],
        line: str,
        hint: str,
    ) -> None:
        tasks, enabled = deployed
        deploy(aws, tasks, enabled=enabled)
        with pytest.raises(error) as told:
            _run("--print")
        assert line in told.value.message
        assert hint in told.value.hint

    @pytest.mark.parametrize(
        ("given", "problem"),
        [
            (("--user", "a"), "--user is for --open"),
            (("--print", "--open"), "--print opens nothing"),
            (("--json", "--open"), "gives the terminal to a client"),
        ],
    )
    def test_options_that_do_not_go_together_are_refused(self, given: Sequence[str], problem: str) -> None:
        with pytest.raises(SettingsError, match=problem):
            _run(*given)


class TestPrint:
    def test_it_says_what_would_be_opened_and_opens_nothing(
        self, aws: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        deploy(aws, [task("1" * 32, healthStatus="UNHEALTHY"), task(), task("2" * 32, lastStatus="PROVISIONING")])
        _run("--print", "--port", "13306")
        shown = capsys.readouterr().out
        assert f"leads to        {DATABASE_HOST}\n" in shown
        assert f"aws ssm start-session --region eu-central-1 --target {_TARGET}" in shown
        assert '"localPortNumber": ["13306"]' in shown
        assert f"--secret-id '{SECRET_ARN}'" in shown, "the ! in it would recall an earlier command"
        assert "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem" in shown
        assert not aws.requests("StartSession")
        _run("--print", "--json", "--reader")
        assert json.loads(capsys.readouterr().out)["request"] == {
            "Target": _TARGET,
            "DocumentName": "AWS-StartPortForwardingSessionToRemoteHost",
            "Parameters": {"host": [READER_HOST], "portNumber": ["3306"], "localPortNumber": ["3306"]},
        }

    def test_without_a_reader_it_says_where_that_leads(self, aws: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
        aws.answers["DescribeDBClusters"] = {
            "DBClusters": [{"ReaderEndpoint": READER_HOST, "DBClusterMembers": [{"IsClusterWriter": True}]}]
        }
        _run("--print", "--reader")
        assert "there is no reader" in capsys.readouterr().err


class TestRegistration:
    def _print(self, *arguments: str, suffix: str = "north") -> None:
        given = ["registration", "--suffix", suffix, "--print", *arguments]
        tunnel.main(given, prog_name="hostemr tunnel", standalone_mode=False, obj=lambda **_: account())

    def test_it_leads_to_the_instance_through_a_task_of_the_service(
        self, aws: StandIn, capsys: pytest.CaptureFixture[str]
    ) -> None:
        aws.answers["DescribeTasks"] = {"tasks": [task(names=("web", "worker"))]}
        self._print("--json")
        told = json.loads(capsys.readouterr().out)
        assert (told["database_host"], told["database"]) == (INSTANCE_HOST, "product_registration")
        assert told["target"] == _TARGET
        assert told["master_secret"] == SECRET_ARN

    def test_it_leads_to_the_restored_database_where_the_service_works_on_one(
        self, aws: StandIn, capsys: pytest.CaptureFixture[str]
    ) -> None:
        aws.answers["DescribeTasks"] = {"tasks": [task(names=("web", "worker"))]}
        self._print("--json", suffix="restored")
        told = json.loads(capsys.readouterr().out)
        assert (told["database_host"], told["master_secret"]) == (RESTORED_HOST, RESTORED_SECRET_ARN)

    def test_it_has_no_reader_and_says_so(self, aws: StandIn) -> None:
        with pytest.raises(SettingsError, match="one instance, which has no reader") as told:
            self._print("--reader")
        assert "standby" in told.value.hint
        assert not aws.requests("DescribeDBClusters")
