"""The order of set-up, and what it tells CloudFormation; programs, EC2 and containers are fakes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hostemr.errors import HostemrError, OutsideWorldError, RefusedError, SettingsError
from hostemr.host.aws import Aws
from hostemr.host.configuration import parse
from hostemr.host.containers import Containers
from hostemr.host.engines import NothingStored
from hostemr.host.installation import ensure_installed
from hostemr.host.layout import PARTS, Layout
from hostemr.host.programs import ProgramFailed, Programs
from hostemr.host.server import Server
from hostemr.host.setup import Host, set_up
from hostemr.host.signals import Answered
from hostemr.host.state import State

DATABASE_PASSWORD = "D4tabase9Password5678"
RECOVERY = {"bucket": "old-clinic", "engine": "restic"}


class FakePrograms(Programs):
    """Every program works, and says nothing, unless a test says otherwise by a word of its command."""

    def __init__(self, layout: Layout) -> None:
        super().__init__({})
        self.layout = layout
        self.asked: list[str] = []
        self.failing: dict[str, int] = {}
        self.installs = True

    def run(self, argv: Sequence[str | Path], **_: Any) -> str:
        line = " ".join(map(str, argv))
        self.asked.append(line)
        for word, times in self.failing.items():
            if word in line and times:
                self.failing[word] = times - 1
                raise ProgramFailed(f"`{word}` failed", status=1, output="")
        if " run " in line and self.installs:
            site = self.layout.current / "sites/default"
            site.mkdir()
            (site / "sqlconf.php").write_text("<?php\n$config = 1; /////\n")
        return ""


class FakeContainers(Containers):
    def __init__(self) -> None:
        super().__init__(Programs({}))
        self.done: list[str] = []
        self.users = 1

    def up(self, *services: str, timeout: float = 0, anew: bool = False) -> None:  # noqa: ARG002, the real one's
        self.done.append(" ".join(("up", *services)))

    def stop(self) -> None:
        self.done.append("stop")

    def healthy(self) -> frozenset[str]:
        return frozenset()

    def exec(self, service: str, argv: Sequence[str | Path], *, text: str | None = None, **_: Any) -> str:  # noqa: ARG002
        return "2\n" if "information_schema" in (text or "") else f"{self.users}\n"


class FakeAws(Aws):
    def __init__(self) -> None:
        super().__init__(Programs({}), region="us-east-1")
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.stored: list[str] = []
        self.secrets = {"arn:administrator": "Administrator1", "arn:database": DATABASE_PASSWORD}

    def call(
        self, service: str, operation: str, arguments: Mapping[str, Any] | None = None, **_: Any
    ) -> dict[str, Any]:
        self.asked.append((operation, arguments or {}))
        if operation == "list-objects-v2":
            return {"Contents": [{"Key": key} for key in self.stored]}
        return {"SecretString": self.secrets[(arguments or {})["SecretId"]]} if service == "secretsmanager" else {}


class Machine:
    """A server in a folder, on which set-up runs."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        root = folder / "data"
        root.mkdir(exist_ok=True)
        document = {
            "name": "clinic",
            "region": "us-east-1",
            "bucket": "clinic-backups",
            "passphrase_secret": "arn:passphrase",
            "administrator_secret": "arn:administrator",
            "database_secret": "arn:database",
            "address": "203.0.113.7",
            "openemr_image": "openemr/openemr:7.0.4",
            "database_image": "mariadb:11.8.3",
            "web_image": "caddy:2.10.2",
            "root": str(root),
            "stack_id": "arn:stack",
            "group_resource": "Group",
            "ready_url": "https://ready.example/?Signature=1",
            **settings,
        }
        self.told: list[str] = []
        self.signals: list[dict[str, str]] = []
        self.slept: list[float] = []
        self.layout = Layout(root)
        self.programs = FakePrograms(self.layout)
        self.containers = FakeContainers()
        self.aws = FakeAws()
        self.running = folder / "run"
        self.seconds = 0
        self.server = Server(
            configuration=parse(document),
            programs=self.programs,
            aws=self.aws,
            containers=self.containers,
            layout=self.layout,
            state=State(self.layout.state),
            now=self._now,
            tell=self.told.append,
        )
        (folder / "meminfo").write_text("MemTotal: 8000000 kB\n")
        self.host = Host(
            system=folder / "system",
            running=self.running,
            signalled=folder / "system/var/lib/hostemr/signalled",
            instance=lambda: "i-1",
            put=self._put,
            sleep=self.slept.append,
            meminfo=folder / "meminfo",
        )

    def _now(self) -> datetime:
        self.seconds += 1
        return datetime(2026, 11, 1, 3, 0, self.seconds, tzinfo=UTC)

    def _put(self, url: str, body: bytes) -> Answered:
        assert url == "https://ready.example/?Signature=1"
        self.signals.append(json.loads(body))
        return Answered(200, "OK")

    def set_up(self, restore: Callable[[], object] | None = None) -> None:
        def never() -> None:
            raise AssertionError("there is nothing to recover")

        set_up(self.server, restore_from_recovery=restore or never, host=self.host)

    def restored(self) -> None:
        """What a recovery leaves."""
        for part in PARTS:
            (self.layout.generations / "old" / part).mkdir(parents=True)
        self.layout.serve("old")

    def group_signals(self) -> list[str]:
        return [arguments["Status"] for operation, arguments in self.aws.asked if operation == "signal-resource"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_new_server_installs_openemr_and_says_so_once(machine: Machine) -> None:
    machine.set_up()
    assert machine.containers.done == ["up web", "up mysql", "up"]
    assert [one["Status"] for one in machine.signals] == ["SUCCESS"]
    assert machine.group_signals() == ["SUCCESS"]
    born = (machine.server.state.read("setup") or {})["first_at"]
    machine.set_up()
    assert len(machine.signals) == 1
    assert machine.group_signals() == ["SUCCESS"]
    again = machine.server.state.read("setup") or {}
    assert again["first_at"] == born < again["at"]


def test_an_empty_volume_beside_a_bucket_with_backups_is_a_lost_one(machine: Machine) -> None:
    machine.aws.stored = ["Backup/restic/1/config"]
    with pytest.raises(RefusedError, match="holds this server's backups"):
        machine.set_up()
    assert machine.containers.done == []
    assert machine.server.layout.served() is None
    machine.aws.stored = []
    machine.set_up()
    machine.aws.stored = ["Backup/restic/1/config"]
    machine.set_up()


def test_passwords_lie_in_memory_only_while_the_installer_runs(machine: Machine) -> None:
    machine.programs.failing = {" run ": 1}
    seen = []
    run = machine.programs.run

    def looking(argv: Sequence[str | Path], **options: Any) -> str:
        if "run" in argv:
            seen.append((machine.running / "installation/installation.env").read_text())
            assert (machine.running / "installation/installation.env").stat().st_mode & 0o777 == 0o600
            assert DATABASE_PASSWORD in (machine.running / "initdb/openemr.sql").read_text()
            assert DATABASE_PASSWORD in options["secrets"].values()
        return run(argv, **options)

    machine.programs.run = looking  # type: ignore[method-assign]  # this fake's own method, to look in the middle
    with pytest.raises(ProgramFailed):
        machine.set_up()
    assert len(seen) == 1
    assert machine.running.stat().st_mode & 0o777 == 0o700
    assert not (machine.running / "installation/installation.env").exists()
    assert DATABASE_PASSWORD not in (machine.running / "initdb/openemr.sql").read_text()


def test_a_failed_installation_is_begun_again_from_nothing(machine: Machine) -> None:
    machine.programs.failing = {" run ": 1}
    with pytest.raises(ProgramFailed):
        machine.set_up()
    assert machine.signals[0]["Status"] == "FAILURE"
    assert "` run ` failed" in machine.signals[0]["Reason"]
    first = machine.layout.served()
    machine.set_up()
    assert machine.layout.served() != first
    assert [path.name for path in machine.layout.generations.iterdir()] == [machine.layout.served()]
    assert machine.signals[-1]["Status"] == "SUCCESS"


@pytest.mark.parametrize(("users", "kept"), [(1, True), (0, False)])
def test_an_unfinished_installation_is_kept_when_somebody_can_have_used_it(
    machine: Machine, *, users: int, kept: bool
) -> None:
    machine.set_up()
    served = machine.layout.served()
    assert served is not None
    machine.server.state.write("installation", {"generation": served, "finished": False})
    (machine.layout.current / "sites/default/document").write_text("a patient's")
    machine.containers.users = users
    machine.set_up()
    assert (machine.layout.served() == served) is kept
    assert (machine.layout.current / "sites/default/document").exists() is kept


def test_what_a_restore_brought_is_never_taken_for_an_unfinished_installation(machine: Machine) -> None:
    machine.restored()
    machine.server.state.write("installation", {"generation": "another", "finished": False})
    assert not ensure_installed(machine.server, running=machine.running)
    assert machine.layout.served() == "old"


def test_a_recovery_comes_before_anything_is_started(tmp_path: Path) -> None:
    machine = Machine(tmp_path, recovery=RECOVERY)

    def restore() -> None:
        assert machine.containers.done == []
        assert (machine.running / "initdb/openemr.sql").exists()
        machine.restored()

    machine.set_up(restore)
    assert machine.layout.served() == "old"
    assert not [line for line in machine.programs.asked if " run " in line]
    # A second start serves what was recovered.
    machine.set_up()
    assert machine.layout.served() == "old"


def test_a_recovery_that_fails_is_told_and_is_tried_again_at_the_next_start(tmp_path: Path) -> None:
    machine = Machine(tmp_path, recovery=RECOVERY)

    def nothing() -> None:
        raise NothingStored("There is no repository in old-clinic.", hint="look at the bucket's name")

    with pytest.raises(NothingStored):
        machine.set_up(nothing)
    assert machine.signals[-1]["Reason"] == "There is no repository in old-clinic. look at the bucket's name"
    assert machine.group_signals() == ["FAILURE"]
    assert machine.layout.served() is None
    machine.set_up(machine.restored)
    assert machine.layout.served() == "old"


def test_a_recovery_that_brings_nothing_is_no_success(tmp_path: Path) -> None:
    machine = Machine(tmp_path, recovery=RECOVERY)
    with pytest.raises(OutsideWorldError, match="nothing to serve"):
        machine.set_up(lambda: None)


def test_a_restore_that_was_cut_off_is_undone_before_anything_starts(machine: Machine) -> None:
    machine.set_up()
    served = machine.layout.served()
    (machine.layout.generations / "half").mkdir()
    machine.server.state.write("restore", {"stage": "switching", "from": served, "to": "half", "point": "p"})
    machine.layout.serve("half")
    machine.set_up()
    assert machine.layout.served() == served


def test_images_that_cannot_be_had_at_once_are_waited_for(machine: Machine) -> None:
    machine.programs.failing = {"image inspect": 99, "docker pull": 2}
    machine.set_up()
    assert len(machine.slept) == 2
    assert machine.signals[0]["Status"] == "SUCCESS"


def test_images_that_cannot_be_had_at_all_are_the_reason(machine: Machine) -> None:
    machine.programs.failing = {"image inspect": 99, "docker pull": 99}
    with pytest.raises(ProgramFailed):
        machine.set_up()
    assert "docker pull" in machine.signals[0]["Reason"]
    assert machine.layout.served() is None


def test_settings_that_break_a_file_are_told_before_anything_is_done(tmp_path: Path) -> None:
    machine = Machine(tmp_path, domain="not a domain", email="a@example.org")
    with pytest.raises(SettingsError):
        machine.set_up()
    assert "domain is not a domain" in machine.signals[0]["Reason"]
    assert machine.programs.asked == []


def test_a_full_disk_is_one_line(machine: Machine) -> None:
    (machine.host.system.parent / "meminfo").unlink()
    with pytest.raises(HostemrError) as error:
        machine.set_up()
    assert error.value.exit_status == 3
    assert "No such file" in machine.signals[0]["Reason"]


def test_a_mistake_of_ours_is_told_without_its_text(machine: Machine) -> None:
    def secrets_inside(arn: str) -> str:
        raise ValueError(f"{arn}: {DATABASE_PASSWORD}")

    machine.aws.secret = secrets_inside  # type: ignore[method-assign]  # this fake's own method
    with pytest.raises(ValueError, match=DATABASE_PASSWORD):
        machine.set_up()
    assert DATABASE_PASSWORD not in json.dumps(machine.signals)
    assert "ValueError" in machine.signals[0]["Reason"]


def test_a_failure_after_the_first_success_is_not_told_to_the_stack(machine: Machine) -> None:
    machine.set_up()
    machine.programs.failing = {"systemctl enable": 1}
    with pytest.raises(ProgramFailed):
        machine.set_up()
    assert [one["Status"] for one in machine.signals] == ["SUCCESS"]


def test_docker_is_restarted_for_new_settings_only(machine: Machine) -> None:
    machine.set_up()
    machine.set_up()
    assert [line for line in machine.programs.asked if "restart docker" in line] == ["systemctl restart docker.service"]


def test_folders_with_records_are_roots(machine: Machine) -> None:
    machine.set_up()
    for folder in ("generations", "work", "state", "cache", "logs"):
        assert (machine.layout.root / folder).stat().st_mode & 0o777 == 0o700
