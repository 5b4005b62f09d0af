"""The S3 that everybody stores in: `rclone serve s3` on a folder of this machine.

Not moto: it keeps every object in memory, and reads the whole of one for each of the ranges in which boto3 downloads
it, which made Duplicity's restore of 256 MiB take 13.6 s instead of 8.0 s here. rclone took 0.6 s of CPU for it, and
0.2 s for restic's (moto: 5.6 and 0.4). Uploads cost either a third of restic's own CPU, for they check signatures.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import boto3
from botocore.exceptions import BotoCoreError

from benchmarks.backups.measuring import cpu_seconds
from tests.peers.loopback import free_port

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
START_SECONDS = 30


class S3Error(Exception):
    """The server did not start."""


class RcloneS3:
    """`with RcloneS3(program, folder) as s3:`; every bucket is a folder of `folder`."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{free_port()}"
        self._client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=KEYS["AWS_DEFAULT_REGION"],
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )

    def make_bucket(self, name: str) -> None:
        """An empty bucket."""
        self._client.create_bucket(Bucket=name)

    def objects(self, bucket: str) -> dict[str, tuple[int, int]]:
        """Every object's size in bytes and when it was written, in nanoseconds."""
        folder = self._folder / bucket
        found = [(path, path.stat()) for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): (stat.st_size, stat.st_mtime_ns) for path, stat in found}

    @property
    def cpu_seconds(self) -> float:
        """What the server has used until now: it shares the cores with whom it serves."""
        assert self._process is not None
        return cpu_seconds(self._process.pid)

    def __enter__(self) -> Self:
        self._folder.mkdir()
        address = self.url.removeprefix("http://")
        # Otherwise it reads and hashes every object whenever it is listed or asked for.
        quick = ["--etag-hash", "", "--no-checksum"]
        command: list[str | Path] = [self._program, "serve", "s3", "--addr", address, *quick, self._folder]
        # Not in argv, which everybody reads; and no settings of somebody's rclone.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RCLONE_"))}
        environment = kept | {"RCLONE_CONFIG": os.devnull, "RCLONE_AUTH_KEY": '"testing,testing"'}
        with (self._folder.parent / "rclone.log").open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self._wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        assert self._process is not None
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                self._client.list_buckets()
            except BotoCoreError:
                time.sleep(0.1)
            else:
                return
        self._process.kill()
        said = (self._folder.parent / "rclone.log").read_text(encoding="utf-8", errors="replace")[-500:]
        raise S3Error(f"{self._program} does not serve S3 (rclone 1.65 is the first that can): {said}")
