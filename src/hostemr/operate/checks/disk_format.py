"""A server never formats a disk that holds data, and finds its disk by what is on it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.server_scripts import scripts
from hostemr.operate.checks.templates import Templates

_MAKES = re.compile(r"\bmkfs(?:\.\w+)?\b")
_LOOKS = re.compile(r"\bblkid\b|\bfile -s|\bwipefs -n|\blsblk [^\n]*FSTYPE")
_BY_NAME = re.compile(r"(?P<device>/dev/(?:xvd|sd|nvme)\w+|\$\w+|\$\{\w+\})[^\n]*(?P<rest>nofail)[^\n]*/etc/fstab")


def _find(templates: Templates) -> Iterator[Found]:
    for server, text in scripts(templates):
        if _MAKES.search(text) and not _LOOKS.search(text):
            yield Found(
                server,
                "it formats its data disk without looking whether there is data on it: a new server on the old disk "
                "would "
                "erase it",
                "format only when blkid finds no file system",
                "UserData",
            )
        for match in _BY_NAME.finditer(text):
            yield Found(
                server,
                f"/etc/fstab names the disk as {match['device']} with nofail: devices change names, and then data is "
                "written "
                "to the root disk",
                "mount by UUID, and let the service require the mount",
                "UserData",
                "warning",
            )


CHECK = Check(
    id="HOSTEMR-DiskFormat",
    title="A server never formats a disk that holds data",
    severity="error",
    reason="User data runs on a server that replaces another one, too, and on a disk that was made from a snapshot.",
    source="https://docs.aws.amazon.com/ebs/latest/userguide/ebs-using-volumes.html",
    find=_find,
)
