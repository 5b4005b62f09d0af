"""The data volume: real loop devices and file systems, a fake EC2."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hostemr.errors import OutsideWorldError, RefusedError
from hostemr.host.aws import Aws
from hostemr.host.programs import ProgramFailed, Programs
from hostemr.host.volume import Attachment, filesystem_of, find_device, mount

MEGABYTE = 1024 * 1024
SIZE = 320 * MEGABYTE
"""About the smallest that mkfs.xfs takes."""


class FakeEc2(Aws):
    """The volume's states, one for each look at it; the last one stays."""

    def __init__(self, *looks: Mapping[str, Any]) -> None:
        super().__init__(Programs({}), region="us-east-1")
        self.looks = list(looks)
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def call(
        self, service: str, operation: str, arguments: Mapping[str, Any] | None = None, **_: Any
    ) -> dict[str, Any]:
        assert service == "ec2"
        if operation != "describe-volumes":
            self.asked.append((operation, arguments or {}))
            return {}
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return {"Volumes": [found]}


def at(instance: str, state: str = "attached") -> dict[str, Any]:
    return {"State": "in-use", "Attachments": [{"InstanceId": instance, "State": state}]}


AVAILABLE = {"State": "available", "Attachments": []}


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def attach(ec2: FakeEc2) -> list[str]:
    told: list[str] = []
    clock = Clock()
    Attachment(aws=ec2, volume_id="vol-1", instance="i-me", tell=told.append, sleep=clock.sleep, clock=clock).attach()
    return told


def test_an_attached_volume_is_left_as_it_is() -> None:
    ec2 = FakeEc2(at("i-me"))
    assert attach(ec2) == []
    assert ec2.asked == []


def test_an_available_volume_is_attached_and_waited_for() -> None:
    ec2 = FakeEc2(AVAILABLE, at("i-me", "attaching"), at("i-me"))
    attach(ec2)
    assert ec2.asked == [("attach-volume", {"VolumeId": "vol-1", "InstanceId": "i-me", "Device": "/dev/sdf"})]


def test_a_server_that_is_replaced_is_waited_for() -> None:
    ec2 = FakeEc2(at("i-old"), at("i-old", "detaching"), AVAILABLE, at("i-me"))
    told = attach(ec2)
    assert [operation for operation, _ in ec2.asked] == ["attach-volume"]
    assert told[0] == "waiting: vol-1 is attached at i-old"


def test_a_volume_that_another_instance_keeps_is_refused_and_not_taken() -> None:
    ec2 = FakeEc2(at("i-other"))
    with pytest.raises(RefusedError, match="vol-1 is attached at i-other"):
        attach(ec2)
    assert ec2.asked == []


class Listed(Programs):
    """lsblk's answers."""

    def __init__(self, *answers: list[dict[str, str | None]]) -> None:
        super().__init__({})
        self.answers = list(answers)

    def run(self, argv: Any, **_: Any) -> str:
        assert argv[0] == "lsblk"
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return json.dumps({"blockdevices": found})


def test_a_device_is_found_by_its_serial_number_once_the_kernel_shows_it() -> None:
    root: dict[str, str | None] = {"name": "nvme0n1", "serial": "vol0aa"}
    programs = Listed([root], [root, {"name": "nvme1n1", "serial": "vol01"}])
    assert find_device(programs, "vol-01", sleep=lambda _: None) == Path("/dev/nvme1n1")


def test_without_serial_numbers_it_is_found_by_its_xen_name(tmp_path: Path) -> None:
    (tmp_path / "xvdf").touch()
    found = find_device(Listed([{"name": "xvda", "serial": None}]), "vol-01", dev=tmp_path, sleep=lambda _: None)
    assert found == tmp_path / "xvdf"


def test_a_device_that_never_appears_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "xvdf").touch()
    with pytest.raises(OutsideWorldError, match="vol01"):
        find_device(Listed([{"name": "nvme0n1", "serial": "vol0aa"}]), "vol-01", dev=tmp_path, sleep=lambda _: None)


class Disk:
    """A loop device on a sparse file, and a folder to mount it at."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "disk"
        self.point = folder / "data"
        self.file.touch()
        os.truncate(self.file, SIZE)
        self.programs = Programs()
        self.device = Path(
            subprocess.run(
                ["losetup", "--find", "--show", self.file], capture_output=True, text=True, check=True
            ).stdout.strip()
        )

    def mount(self) -> list[str]:
        told: list[str] = []
        mount(self.programs, self.device, self.point, tell=told.append)
        return told

    def unmount(self) -> None:
        subprocess.run(["umount", self.point], check=True)

    def grow(self, size: int) -> None:
        os.truncate(self.file, size)
        subprocess.run(["losetup", "--set-capacity", self.device], check=True)

    def close(self) -> None:
        if os.path.ismount(self.point):
            self.unmount()
        if self.point.is_dir():
            subprocess.run(["chattr", "-i", self.point], check=True)
        subprocess.run(["losetup", "--detach", self.device], check=True)


@pytest.fixture
def disk() -> Iterator[Disk]:
    # A folder of its own on a real disk: a file system in memory may know no chattr.
    if not shutil.which("mkfs.xfs"):
        pytest.skip("needs xfsprogs")
    with tempfile.TemporaryDirectory(prefix="hostemr-disk-", dir="/var/tmp") as folder:
        try:
            one = Disk(Path(folder))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"not possible here: loop devices: {error}")
        yield one
        one.close()


def test_a_blank_disk_is_formatted_once_and_mounted_again(disk: Disk) -> None:
    told = disk.mount()
    assert any("formatting" in line for line in told)
    (disk.point / "records").write_text("patients")
    # Reflinks: what makes a copy of all documents free.
    (disk.point / "big").write_bytes(b"x" * 65536)
    subprocess.run(["cp", "--reflink=always", disk.point / "big", disk.point / "copy"], check=True)
    assert disk.mount() == []
    disk.unmount()
    assert list(disk.point.iterdir()) == []
    told = disk.mount()
    assert not any("formatting" in line for line in told)
    assert (disk.point / "records").read_text() == "patients"


def test_without_the_volume_nothing_can_be_written_at_its_place(disk: Disk) -> None:
    disk.mount()
    disk.unmount()
    with pytest.raises(PermissionError):
        (disk.point / "records").write_text("lost on the root volume")


def test_files_beneath_the_mount_point_are_not_hidden(disk: Disk) -> None:
    disk.point.mkdir()
    (disk.point / "records").write_text("somebody's")
    with pytest.raises(RefusedError, match="records"):
        disk.mount()
    assert filesystem_of(disk.programs, disk.device) is None
    (disk.point / "records").unlink()


@pytest.mark.parametrize(
    "make",
    [
        ["mkfs.ext2", "-q", "{device}"],
        ["mkswap", "{device}"],
        # A master boot record with one partition.
        [
            "sh",
            "-c",
            r"printf '\200\1\1\0\203\1\1\1\0\10\0\0\0\10\0\0' | dd of={device} bs=1 seek=446 status=none; "  # noqa: ISC004
            r"printf '\125\252' | dd of={device} bs=1 seek=510 status=none",
        ],
        ["sh", "-c", "printf 'our own format' | dd of={device} bs=1 seek=700000 status=none"],
    ],
    ids=["ext2", "swap", "partitions", "unknown"],
)
def test_a_disk_that_holds_something_is_never_formatted(disk: Disk, make: list[str]) -> None:
    subprocess.run([word.format(device=disk.device) for word in make], check=True, capture_output=True)
    before = disk.file.read_bytes()
    with pytest.raises(RefusedError, match="not formatted") as refused:
        disk.mount()
    assert refused.value.exit_status == 4
    assert disk.file.read_bytes() == before


def test_a_larger_volume_is_used_whole(disk: Disk) -> None:
    disk.mount()
    small = shutil.disk_usage(disk.point).total
    disk.grow(2 * SIZE)
    disk.mount()
    assert shutil.disk_usage(disk.point).total > 1.8 * small


def test_the_ancestors_ext4_is_mounted_as_it_is(disk: Disk) -> None:
    subprocess.run(["mkfs.ext4", "-q", disk.device], check=True)
    disk.mount()
    (disk.point / "records").write_text("patients")
    disk.unmount()
    disk.mount()
    assert (disk.point / "records").read_text() == "patients"


def test_the_ancestors_ext4_grows(disk: Disk) -> None:
    """The kernel lets few processes grow a mounted ext4 (CAP_SYS_RESOURCE); it is grown at rest, or says just that."""
    subprocess.run(["mkfs.ext4", "-q", disk.device], check=True)
    disk.mount()
    small = shutil.disk_usage(disk.point).total
    disk.grow(2 * SIZE)
    try:
        disk.mount()
    except ProgramFailed as refused:
        told = refused.message + refused.output
    else:
        told = ""
    if told:
        assert "resize2fs" in told
        assert "Permission denied" in told
        disk.unmount()
        subprocess.run(["e2fsck", "-fp", disk.device], check=True, capture_output=True)
        subprocess.run(["resize2fs", disk.device], check=True, capture_output=True)
        disk.mount()
    assert shutil.disk_usage(disk.point).total > 1.8 * small


def test_a_disk_that_is_mounted_elsewhere_than_expected_is_refused(disk: Disk) -> None:
    disk.point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk.point], check=True)
    with pytest.raises(RefusedError, match="another file system"):
        disk.mount()


def test_a_mkfs_that_was_killed_is_done_again(disk: Disk) -> None:
    kills = 0
    # It takes five milliseconds or so.
    for delay in [tenths / 10_000 for tenths in range(5, 60, 5)]:
        making = subprocess.Popen(
            ["mkfs.xfs", "-q", "-f", disk.device], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(delay)
        making.send_signal(signal.SIGKILL)
        kills += making.wait() == -signal.SIGKILL
        disk.mount()
        (disk.point / "proof").touch()
        disk.unmount()
        # Blank again for the next kill.
        subprocess.run(["dd", "if=/dev/zero", f"of={disk.device}", "bs=1M", "count=2", "status=none"], check=True)
    assert kills


def test_an_xfs_that_says_it_is_unfinished_is_made_again(disk: Disk) -> None:
    subprocess.run(["mkfs.xfs", "-q", disk.device], check=True)
    with disk.device.open("r+b") as file:
        block = bytearray(file.read(4096))
        block[126] = 1
        file.seek(0)
        file.write(block)
    told = disk.mount()
    assert any("formatting" in line for line in told)
