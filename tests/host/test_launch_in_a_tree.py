"""The launch script, the agent and the files that it installs, run for real in a clean tree of the distribution."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hostemr.stacks.host_program import host_program
from hostemr.stacks.launch import launch_script
from tests.peers import server_tree
from tests.peers.server_tree import READY_URL, Box
from tests.stacks.shared import FOLDER

STACK_ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/clinic/1"
ADMINISTRATOR = "Adm1n!()<>^{}~pass"
DATABASE = "D4tabase9Password5678"
CONFIGURATION = {
    "name": "clinic",
    "region": "us-east-1",
    "bucket": "clinic-backups",
    "passphrase_secret": "arn:passphrase",
    "administrator_secret": "arn:administrator",
    "database_secret": "arn:database",
    "address": "203.0.113.7",
    "allocation_id": "eipalloc-1",
    "openemr_image": "openemr/openemr:7.0.4",
    "database_image": "mariadb:11.8.3",
    "web_image": "caddy:2.10.2",
    "stack_id": STACK_ID,
    "group_resource": "Group",
    "ready_url": READY_URL,
}


def rendered(agent: bytes) -> str:
    """As Fn::Sub gives it to EC2."""
    text = launch_script(
        resource="LaunchTemplate", agent_sha256=hashlib.sha256(agent).hexdigest(), configuration_sha256="0" * 64
    )
    values = {"AWS::Region": "us-east-1", "AWS::StackName": "clinic", "AWS::StackId": STACK_ID, "ReadyUrl": READY_URL}
    return re.sub(r"\$\{([^!}]+)\}", lambda place: values[place[1]], text)


@pytest.fixture(scope="session")
def tree() -> Iterator[Path]:
    if lacking := server_tree.missing():
        pytest.skip(f"needs {lacking}")
    # A folder on a disk: an overlay on one in memory knows no immutable folders on older kernels.
    own = tempfile.mkdtemp(prefix="hostemr-tree-", dir="/var/tmp") if FOLDER not in os.environ else None
    folder = Path(own or os.environ[FOLDER]) / "tree"
    server_tree.make_tree(folder)
    yield folder
    if own:
        shutil.rmtree(own)


@pytest.fixture(scope="session")
def agent() -> bytes:
    return host_program()


@pytest.fixture(scope="module")
def new_box(tree: Path, agent: bytes) -> Iterator[Callable[..., Box]]:
    with tempfile.TemporaryDirectory(prefix="hostemr-box-", dir="/var/tmp") as folder:
        boxes: list[Box] = []

        def make(**settings: Any) -> Box:
            box = Box(tree, Path(folder) / str(len(boxes)))
            boxes.append(box)
            configuration = {**CONFIGURATION, **settings}
            metadata = {"hostemr": {"agent": base64.b64encode(agent).decode(), "configuration": configuration}}
            box.know("metadata", metadata)
            box.know("secrets", {"arn:administrator": ADMINISTRATOR, "arn:database": DATABASE})
            box.put("/launch.sh", rendered(agent), 0o755)
            if "volume_id" not in settings:
                (box.folder / "upper/srv/openemr").mkdir(parents=True)
            return box

        yield make
        for box in boxes:
            if box.process is not None:
                box.cut_power()


@pytest.fixture
def box(new_box: Callable[..., Box]) -> Box:
    return new_box()


@pytest.fixture(scope="module")
def launched(new_box: Callable[..., Box]) -> Box:
    """One machine that was launched, for tests that only look at it."""
    box = new_box()
    assert box.run("/launch.sh") == 0, box.log()
    return box


def served(box: Box) -> Path:
    root = box.path("/srv/openemr")
    return root / (root / "current").readlink()


def assert_serving(box: Box) -> None:
    log = box.log()
    assert log.rstrip().endswith("done"), log
    assert (served(box) / "sites/default/sqlconf.php").read_text() == "<?php\n$config = 1;\n"
    assert [(one["Status"], one["UniqueId"]) for one in box.signals()] == [("SUCCESS", "i-0123456789abcdef0")]
    assert json.loads((box.home / "signalled.json").read_text()) == "SUCCESS"


def secrets_written(box: Box) -> list[str]:
    """Files that hold a password, on any disk or in what was asked and answered; MariaDB's own data is none of them."""
    found = subprocess.run(
        ["grep", "-rlFa", "-e", ADMINISTRATOR, "-e", DATABASE, str(box.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    allowed = {
        str(box.home / "secrets.json"),
        *map(str, box.folder.glob("upper/srv/openemr/generations/*/database/mysql")),
    }
    return sorted(set(found.stdout.splitlines()) - allowed)


def test_a_launch_ends_with_openemr_served_and_the_stack_told(launched: Box) -> None:
    box = launched
    assert_serving(box)
    assert box.signals()[0]["query"] == READY_URL.partition("?")[2]
    # The address is signed for an empty one.
    assert box.signals()[0]["type"] is None
    assert box.path("/tmp/launch.log").readlink() == Path("/var/log/openemr-launch.log")
    assert secrets_written(box) == []
    # The web server answers before OpenEMR is installed.
    docker = box.calls("docker")
    installer = next(number for number, line in enumerate(docker) if " run " in line)
    assert any(line.endswith(" web") for line in docker[:installer])
    apt = [line for line in box.calls("apt-get") if " install " in line]
    assert len(apt) == 1
    for package in ("docker.io", "docker-compose-v2", "restic", "duplicity", "python3-boto3", "xfsprogs"):
        assert f" {package}" in apt[0]
    assert "snap install aws-cli --classic" in box.calls("snap")
    assert any("associate-address" in line and "eipalloc-1" in line for line in box.calls("aws"))
    assert any("systemctl enable openemr.service" in line for line in box.calls("systemctl"))


def test_what_it_installs_is_found_by_cron(launched: Box) -> None:
    box = launched
    merged = "for d in daily weekly; do run-parts --test /etc/cron.$d; done >/stand-in/listed; stat -c '%a %n' "
    merged += "/root/restore.sh /etc/cron.daily/duplicity-backups /etc/cron.d/openemr-watch /etc/hostemr/host.json "
    merged += ">>/stand-in/listed; /root/restore.sh >>/stand-in/listed; echo $? >>/stand-in/listed"
    assert box.run("sh", "-c", merged) == 0
    listed = (box.home / "listed").read_text()
    assert "/etc/cron.daily/duplicity-backups\n" in listed
    assert "/etc/cron.weekly/openemr-restore-drill\n" in listed
    for line in ("700 /root/restore.sh", "755 /etc/cron.daily/duplicity-backups", "644 /etc/cron.d/openemr-watch"):
        assert line in listed
    assert "600 /etc/hostemr/host.json" in listed
    assert "WARNING: a restore replaces" in listed
    assert listed.endswith("\n1\n")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_systemd_finds_nothing_wrong_with_the_unit(launched: Box, tmp_path: Path) -> None:
    box = launched
    unit = tmp_path / "openemr.service"
    # Its programs are not on this machine.
    text = box.path("/etc/systemd/system/openemr.service").read_text()
    unit.write_text(text.replace("/usr/local/bin/hostemr-host", "/bin/true").replace("/usr/bin/docker", "/bin/true"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert [line for line in checked.stderr.splitlines() if "openemr" in line] == []
    assert checked.returncode == 0


def test_a_second_launch_and_a_restart_change_nothing(box: Box) -> None:
    assert box.run("/launch.sh") == 0
    before = served(box)
    (before / "sites/default/document").write_text("a patient's")
    assert box.run("/launch.sh") == 0, box.log()
    assert box.run("/usr/local/bin/hostemr-host", "setup") == 0
    assert served(box) == before
    assert (before / "sites/default/document").read_text() == "a patient's"
    assert_serving(box)
    assert len([line for line in box.calls("docker") if " run " in line]) == 1
    # Later starts need no password.
    assert len([line for line in box.calls("aws") if "get-secret-value" in line]) == 2


def test_after_each_of_many_power_cuts_the_launch_goes_on(box: Box) -> None:
    """One after the other on one machine, each a step further than the one before."""
    runs = 0
    for words in (
        "snap install",
        "describe-stack-resource",
        "docker pull",
        "half installed",
        "whole installed",
        "signal-resource",
    ):
        box.cut_power_at(words, "/launch.sh")
        # What is half installed is made again; what is whole is not.
        runs += words in {"half installed", "whole installed"}
        assert len([line for line in box.calls("docker") if " run " in line]) == runs, words
        assert secrets_written(box) == []
    assert box.run("/launch.sh") == 0, box.log()
    assert box.log().rstrip().endswith("done"), box.log()
    assert (served(box) / "sites/default/sqlconf.php").read_text() == "<?php\n$config = 1;\n"
    # Told again where the machine went down before it knew that it had told; the same server counts once.
    assert {(one["Status"], one["UniqueId"]) for one in box.signals()} == {("SUCCESS", "i-0123456789abcdef0")}
    assert len(list(box.path("/srv/openemr/generations").iterdir())) == 1


def test_what_fails_now_and_then_is_tried_again(box: Box) -> None:
    box.know("fail", {"apt-get": 2, "snap install": 1, "describe-stack-resource": 1})
    assert box.run("/launch.sh") == 0, box.log()
    assert_serving(box)


def test_a_launch_that_fails_before_the_agent_is_there_says_why(box: Box) -> None:
    box.know("fail", {"apt-get": 99})
    assert box.run("/launch.sh") != 0
    (told,) = box.signals()
    assert told["Status"] == "FAILURE"
    assert told["UniqueId"] == "i-0123456789abcdef0"
    assert told["Reason"] == "installing packages: E: apt-get does not work today"


def test_another_agent_than_the_launch_is_for_is_not_run(box: Box, agent: bytes) -> None:
    metadata = json.loads((box.home / "metadata.json").read_text())
    metadata["hostemr"]["agent"] = base64.b64encode(agent + b"!").decode()
    box.know("metadata", metadata)
    assert box.run("/launch.sh") != 0
    assert "another one than this launch is for" in box.signals()[0]["Reason"]
    assert not box.path("/opt/hostemr/hostemr.pyz").exists()


def test_an_installer_that_fails_is_told_without_the_passwords(box: Box) -> None:
    box.know("broken", value=True)
    assert box.run("/launch.sh") == 3
    told = box.signals()[0]
    assert told["Status"] == "FAILURE"
    assert "OpenEMR's installer fails" in told["Reason"]
    assert json.loads((box.home / "signalled.json").read_text()) == "FAILURE"
    assert secrets_written(box) == []


def test_a_volume_with_foreign_data_is_refused_with_the_reason(new_box: Callable[..., Box], tmp_path: Path) -> None:
    if not Path("/dev/loop-control").exists():
        pytest.skip("not possible here: loop devices")
    disk = tmp_path / "disk"
    disk.touch()
    os.truncate(disk, 320 * 2**20)
    subprocess.run(["mkswap", disk], check=True, capture_output=True)
    before = hashlib.sha256(disk.read_bytes()).hexdigest()
    made = subprocess.run(["losetup", "--find", "--show", disk], check=True, capture_output=True, text=True)
    device = made.stdout.strip()
    try:
        box = new_box(volume_id="vol-0abc")
        box.know("volume", {"State": "available", "Attachments": []})
        box.know("lsblk", [{"name": device.removeprefix("/dev/"), "serial": "vol0abc"}])
        assert box.run("/launch.sh") == 4, box.log()
        assert "was not formatted: it holds swap" in box.signals()[0]["Reason"]
        assert hashlib.sha256(disk.read_bytes()).hexdigest() == before
        assert not [line for line in box.calls("docker") if " up " in line]
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_the_data_volume_outlives_the_server(new_box: Callable[..., Box], tmp_path: Path) -> None:
    if not Path("/dev/loop-control").exists():
        pytest.skip("not possible here: loop devices")
    disk = tmp_path / "disk"
    disk.touch()
    os.truncate(disk, 320 * 2**20)
    made = subprocess.run(["losetup", "--find", "--show", disk], check=True, capture_output=True, text=True)
    device = made.stdout.strip()
    try:
        for number in range(2):
            box = new_box(volume_id="vol-0abc")
            box.know("volume", {"State": "available", "Attachments": []})
            box.know("lsblk", [{"name": device.removeprefix("/dev/"), "serial": "vol0abc"}])
            assert box.run("/launch.sh") == 0, box.log()
            installed = [line for line in box.calls("docker") if " run " in line]
            # The first server installs OpenEMR; the one that replaces it finds what is there.
            assert len(installed) == (1 if number == 0 else 0)
            assert box.signals()[0]["Status"] == "SUCCESS"
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
