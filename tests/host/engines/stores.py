"""An engine, its place, and a folder to store, as a server has them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hostemr.host.aws import Aws
from hostemr.host.engines import Engine
from hostemr.host.engines.duplicity import Duplicity
from hostemr.host.engines.places import Bucket, Folder, Place
from hostemr.host.engines.restic import Restic
from hostemr.host.programs import Programs
from tests.host.engines import trees
from tests.peers.s3 import CREDENTIALS, REGION, PrivateS3, QuickAws

PROGRAMS = {"restic": ["restic"], "duplicity": ["duplicity", "gpg"]}
PASSPHRASE = "correct horse battery staple"
START = datetime(2026, 3, 1, 6, 25, tzinfo=UTC)

_STORE = """
import sys
from datetime import datetime
from pathlib import Path
from tests.host.engines.stores import bucket_place, engine
from tests.peers.s3 import QuickAws
kind, url, bucket, room, taken = sys.argv[1:]
place = bucket_place(QuickAws(url), url, bucket, kind)
engine(kind, place, Path(room)).store(Path(room) / "set", datetime.fromisoformat(taken))
"""


def programs(room: Path) -> Programs:
    """The machine's own programs, not the tests'."""
    (room / "home").mkdir(exist_ok=True)
    environment = {"HOME": str(room / "home"), **CREDENTIALS, "AWS_DEFAULT_REGION": REGION}
    # The smallest packs there are, so that little data takes several uploads.
    return Programs({**environment, "RESTIC_PACK_SIZE": "4"})


def bucket_place(aws: Aws, url: str, bucket: str, kind: str, **changes: Any) -> Bucket:
    return Bucket(aws=aws, name=bucket, prefix=f"Backup/{kind}", region=REGION, endpoint_url=url, **changes)


def engine(kind: str, place: Place, room: Path, **changes: Any) -> Engine:
    settings: dict[str, Any] = {"passphrase": PASSPHRASE, **changes}
    if kind == "restic":
        return Restic(programs(room), place, cache=room / "cache", server="clinic", **settings)
    # Little work to make a key of the passphrase: by default GnuPG measures for half a second how much it can do.
    quick = {"volume_megabytes": 1, "retry_delay_seconds": 1, "ends_within": 1, "gpg_options": "--s2k-count=1024"}
    settings = {**quick, **settings}
    return Duplicity(programs(room), place, archive=room / "archive", **settings)


def of_session(leader: int) -> list[int]:
    """Every process of a session, its leader among them."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # After the name, which may have anything in it: state, parent, group, session (proc(5)).
            session = int(stat.read_text().rpartition(")")[2].split()[3])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if session == leader:
            found.append(int(stat.parent.name))
    return found


class Store:
    """`engine` stores `set` in `bucket`; `other()` is another one on the same bucket."""

    def __init__(self, kind: str, s3: PrivateS3, bucket: str, room: Path) -> None:
        self.kind = kind
        self.s3 = s3
        self.bucket = bucket
        self.room = room
        self.set = room / "set"
        self.aws = QuickAws(s3.url)
        self.place = bucket_place(self.aws, s3.url, bucket, kind)
        self.engine = self.other()

    @property
    def duplicity(self) -> Duplicity:
        assert isinstance(self.engine, Duplicity)
        return self.engine

    def other(self, **changes: Any) -> Engine:
        return engine(self.kind, changes.pop("place", self.place), changes.pop("room", self.room), **changes)

    def folder(self, name: str) -> Folder:
        return Folder(self.room / name)

    def data(self) -> list[str]:
        """The keys of the objects that hold the files' contents."""
        return [key for key in self.listed() if "/data/" in key or ".difftar" in key]

    def size(self, key: str) -> int:
        """Bytes of an object."""
        return int(self.s3.client.head_object(Bucket=self.bucket, Key=key)["ContentLength"])

    @property
    def several_uploads(self) -> int:
        """Bytes that take some objects, and longer than it takes to see that the first of them is there."""
        return 96_000_000 if self.kind == "restic" else 8_000_000

    def day(self, number: float) -> datetime:
        return START + timedelta(days=number)

    def listed(self) -> list[str]:
        return self.s3.keys(self.bucket, f"Backup/{self.kind}/")

    def versions(self) -> set[str]:
        pages = self.s3.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket)
        return {version["VersionId"] for page in pages for version in page.get("Versions", [])}

    def describe(self, folder: Path) -> dict[str, tuple[object, ...]]:
        # Duplicity keeps whole seconds.
        return trees.description(folder, nanoseconds=self.kind == "restic")

    def begin(self, taken: datetime) -> subprocess.Popen[bytes]:
        """Store in a process of its own, with a group of its own to be killed with all its children."""
        command = [sys.executable, "-c", _STORE, self.kind, self.s3.url, self.bucket, str(self.room), taken.isoformat()]
        root = Path(__file__).parents[3]
        # What it leaves when it is killed goes with the room.
        environment = {**os.environ, "TMPDIR": str(self.room)}
        return subprocess.Popen(command, cwd=root, env=environment, start_new_session=True, stderr=subprocess.PIPE)

    def kill_in_the_upload(self, taken: datetime, part: str) -> None:
        """Begin to store, and kill -9 everything when the first object whose key has `part` is there."""
        process = self.begin_until(taken, part)
        # By session: the agent starts Duplicity in a group of its own, where it would go on alone.
        for pid in of_session(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=10)

    def begin_until(self, taken: datetime, part: str) -> subprocess.Popen[bytes]:
        """Begin to store, and answer the process when the first object whose key has `part` is there."""
        before = set(self.listed())
        process = self.begin(taken)
        deadline = time.monotonic() + 60
        while not any(part in key for key in set(self.listed()) - before):
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return process
