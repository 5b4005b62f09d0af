"""The data volume: attached by its id, formatted only when it is blank, mounted, grown.

There is no entry in fstab and no unit: a volume that is not there yet would keep the machine from starting, or
(`nofail`) let Docker write to the root volume in its place. The agent mounts it, at each start, before it starts
anything that writes; the folder beneath is immutable, so that nothing can be written there without it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostemr.errors import OutsideWorldError, RefusedError
from hostemr.host.aws import Aws
from hostemr.host.programs import HOUR, MINUTE, ProgramFailed, Programs

_DEVICE_NAME = "/dev/sdf"
_ATTACHED_WITHIN = 8 * MINUTE
"""An instance that Auto Scaling terminates gives its volumes up after some minutes of shutting down."""

_PAUSE = 2.0
_MEBIBYTE = 1024 * 1024
_NOTHING_FOUND = 2
_XFS_IN_PROGRESS = 126
"""Where an XFS superblock says that mkfs has not ended (sb_inprogress in xfs_format.h). The kernel mounts none such."""

_GROWS = {"xfs", "ext4"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """Brings the EBS volume to this instance."""

    aws: Aws
    volume_id: str
    instance: str
    tell: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def attach(self) -> None:
        """Attach the volume, and wait until it is; does nothing when it is attached here.

        One that another instance has is waited for, as that may be shutting down, and never taken from it. Raises
        RefusedError when it still has it after eight minutes, ProgramFailed when EC2 refuses.
        """
        until = self.clock() + _ATTACHED_WITHIN
        told = ""
        while True:
            found = self._volume()
            holders = {one["InstanceId"]: one["State"] for one in found.get("Attachments", [])}
            if holders.get(self.instance) == "attached":
                return
            if found["State"] == "available":
                self.tell(f"attaching {self.volume_id}")
                arguments = {"VolumeId": self.volume_id, "InstanceId": self.instance, "Device": _DEVICE_NAME}
                self.aws.call("ec2", "attach-volume", arguments)
            elif (line := self._state(found, holders)) != told:
                told = line
                self.tell(f"waiting: {line}")
            if self.clock() >= until:
                raise RefusedError(
                    f"The data volume could not be attached: {told or self._state(found, holders)}.",
                    hint="end the instance that has it, or detach the volume there; it is never taken away by force",
                )
            self.sleep(_PAUSE)

    def _volume(self) -> dict[str, Any]:
        answer = self.aws.call("ec2", "describe-volumes", {"VolumeIds": [self.volume_id]})
        found: dict[str, Any] = answer["Volumes"][0]
        return found

    def _state(self, found: dict[str, Any], holders: dict[str, str]) -> str:
        where = ", ".join(f"{state} at {instance}" for instance, state in holders.items())
        return f"{self.volume_id} is {where or found['State']}"


def find_device(
    programs: Programs,
    volume_id: str,
    *,
    dev: Path = Path("/dev"),
    sleep: Callable[[float], None] = time.sleep,
    attempts: int = 30,
) -> Path:
    """The block device of an attached EBS volume. Raises OutsideWorldError when the kernel shows none in a minute.

    By serial number on Nitro instances, where the volume's id is the serial without its dash; by name on Xen ones,
    which show /dev/sdf as /dev/xvdf.
    Source: https://docs.aws.amazon.com/ebs/latest/userguide/identify-nvme-ebs-device.html
    """
    serial = volume_id.replace("-", "")
    xen = dev / _DEVICE_NAME.removeprefix("/dev/").replace("sd", "xvd")
    for attempt in range(attempts):
        if attempt:
            sleep(_PAUSE)
        listed = json.loads(programs.run(["lsblk", "--json", "--nodeps", "--output", "NAME,SERIAL"]))
        for one in listed["blockdevices"]:
            if one["serial"] == serial:
                return dev / str(one["name"])
        if xen.exists() and not any(one["serial"] for one in listed["blockdevices"]):
            return xen
    raise OutsideWorldError(f"{volume_id} is attached, and no block device has the serial number {serial}.")


def filesystem_of(programs: Programs, device: Path) -> str | None:
    """`xfs` or `ext4`; None where the device is blank, or holds an XFS that mkfs never ended.

    Blank is what has no signature that blkid(8) knows and zeros in its first MiB. Raises RefusedError for anything
    else: it may be somebody's data.
    """
    with device.open("rb") as file:
        begin = file.read(_MEBIBYTE)
    try:
        told = programs.run(["blkid", "--probe", "--output", "export", device])
    except ProgramFailed as error:
        if error.status != _NOTHING_FOUND:
            raise _refused(device, f"blkid cannot say what it holds ({error.message})") from error
        told = ""
    facts = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    kind = facts.get("TYPE")
    if begin.startswith(b"XFSB") and begin[_XFS_IN_PROGRESS] == 1 and kind in {None, "xfs"}:
        return None
    if kind in _GROWS:
        return kind
    if kind or "PTTYPE" in facts:
        raise _refused(device, f"it holds {kind or 'a partition table, ' + facts['PTTYPE']}")
    if any(begin):
        raise _refused(device, "it is not blank, and holds no file system that is known")
    return None


def _refused(device: Path, why: str) -> RefusedError:
    return RefusedError(
        f"The data volume {device} was not formatted: {why}.",
        hint="use another volume, or copy what is on it and wipe it by hand",
    )


def mount(programs: Programs, device: Path, point: Path, *, tell: Callable[[str], None]) -> str:
    """Format the device if it is blank, mount it and grow its file system to its size; answers the file system.

    Every step may be cut off and repeated: a mkfs that was killed leaves zeros, or an XFS that says so. Raises
    RefusedError where the device holds something else, another one is mounted at `point`, or files lie there.
    """
    device = device.resolve()
    if os.path.ismount(point):
        if point.stat().st_dev != device.stat().st_rdev:
            raise RefusedError(f"At {point} another file system is mounted than {device}.", hint="unmount it")
        kind = filesystem_of(programs, device)
    else:
        _protect(programs, point)
        kind = filesystem_of(programs, device)
        if kind is None:
            tell(f"{device} is blank: formatting it")
            # Reflinks make a copy of all documents free; --force only where filesystem_of saw an unfinished one.
            with device.open("rb") as file:
                force = ["-f"] if any(file.read(4)) else []
            programs.run(["mkfs.xfs", "-q", *force, "-L", "openemr", "-m", "reflink=1", device])
            kind = "xfs"
        tell(f"mounting {device} ({kind}) at {point}")
        programs.run(["mount", "-t", kind, "-o", "noatime,nodev,nosuid", device, point], timeout=HOUR)
    grow(programs, point)
    return str(kind)


def grow(programs: Programs, point: Path) -> None:
    """Grow the mounted file system to its device's size; nothing happens where it has that. Raises ProgramFailed."""
    device, kind = programs.run(["findmnt", "--noheadings", "--output", "SOURCE,FSTYPE", point]).split()
    if kind == "xfs":
        programs.run(["xfs_growfs", point])
    else:
        programs.run(["resize2fs", device], timeout=HOUR)


def _protect(programs: Programs, point: Path) -> None:
    """Make the folder beneath the mount, in which then nobody can write."""
    point.mkdir(parents=True, exist_ok=True, mode=0o711)
    lying = sorted(path.name for path in point.iterdir())
    if lying:
        raise RefusedError(
            f"{point} holds files on the root volume: {', '.join(lying[:5])}.",
            hint="the data volume would hide them; move them away",
        )
    programs.run(["chattr", "+i", point])
