"""What set-up puts into the system: commands, cron's programs, the unit, Docker's and apt's settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hostemr.host.layout import sync
from hostemr.host.templates import filled

SERVICE = "openemr.service"
_PROGRAM = 0o755
_READABLE = 0o644


@dataclass(frozen=True, slots=True)
class File:
    """A file's whole text and its mode."""

    text: str
    mode: int = _READABLE


def system_files(root: Path) -> Mapping[Path, File]:
    """Every file by its path; `root` is the data volume's mount point.

    run-parts(8) takes names of letters, digits, `-` and `_` only: a dot in cron's would leave them unrun.
    """
    return {
        Path("/usr/local/bin/hostemr-host"): File(filled("hostemr-host.sh"), _PROGRAM),
        Path("/root/restore.sh"): File(filled("restore.sh"), 0o700),
        Path("/etc/cron.daily/duplicity-backups"): File(filled("duplicity-backups.sh"), _PROGRAM),
        Path("/etc/cron.weekly/openemr-restore-drill"): File(filled("openemr-restore-drill.sh"), _PROGRAM),
        Path("/etc/cron.d/openemr-watch"): File(filled("openemr-watch.cron")),
        Path(f"/etc/systemd/system/{SERVICE}"): File(filled("openemr.service", mount_unit=mount_unit(root))),
        Path("/etc/logrotate.d/openemr"): File(filled("logrotate.conf", root=str(root))),
        # The distribution's own file begins with 50 and is read before.
        Path("/etc/apt/apt.conf.d/90openemr-updates"): File(filled("automatic-updates.conf")),
        # live-restore: an update of Docker restarts its daemon, and the containers have to survive that.
        Path("/etc/docker/daemon.json"): File(filled("daemon.json")),
        Path("/etc/hostemr/openemr/install.sh"): File(filled("install.sh")),
        Path("/etc/hostemr/openemr/serve.sh"): File(filled("serve.sh")),
        Path("/etc/hostemr/openemr/zz-hostemr.conf"): File(filled("zz-hostemr.conf")),
    }


def mount_unit(path: Path) -> str:
    """The name under which systemd knows a mount point (systemd.unit(5), string escaping for paths)."""
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_"
    letters = str(path).strip("/").encode()
    name = "".join(
        "-"
        if letter == ord("/")
        else chr(letter)
        if letter in plain or (letter == ord(".") and place)
        else f"\\x{letter:02x}"
        for place, letter in enumerate(letters)
    )
    return f"{name}.mount"


def install(files: Mapping[Path, File], *, system: Path = Path("/")) -> frozenset[Path]:
    """Write what is not there or differs, each file whole or not at all; answers which were written.

    `system` is where `/` lies. Raises OSError, as for a full disk; what is there then stays as it was.
    """
    written = set()
    for path, file in files.items():
        place = system / path.relative_to("/")
        if place.is_file() and not place.is_symlink() and place.read_text(encoding="utf-8") == file.text:
            place.chmod(file.mode)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        # run-parts and systemd take no name with a leading dot for theirs.
        beside = place.with_name(f".{place.name}.hostemr-new")
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
        with os.fdopen(handle, "w", encoding="utf-8") as writer:
            writer.write(file.text)
            writer.flush()
            os.fsync(writer.fileno())
        # Whatever the umask.
        beside.chmod(file.mode)
        beside.rename(place)
        sync(place.parent)
        written.add(path)
    return frozenset(written)
