"""Amazon S3 as moto emulates it, in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from hostemr.host.aws import Aws
from hostemr.host.programs import ProgramFailed, Programs
from tests.peers.loopback import free_port

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true"}
REGION = "us-east-1"


class PrivateS3:
    """`with PrivateS3() as s3:`; `s3.url` is its endpoint, `s3.client` boto3's client for looking behind the scenes.

    Objects are kept in memory and are gone with the process.
    """

    def __init__(self) -> None:
        self.url = ""
        self.client: Any = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            # Short pages, so that every listing of some length takes several.
            env={**os.environ, **CREDENTIALS, "AWS_DEFAULT_REGION": REGION, "MOTO_S3_DEFAULT_MAX_KEYS": "50"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait_for(port, self._process)
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def stop(self) -> None:
        """End it at once, as a network that fails."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None
        if self.client is not None:
            self.client.close()
            self.client = None

    def make_bucket(self, name: str, *, retain_days: int | None = None) -> None:
        """A versioned bucket; `retain_days` for one with Object Lock in compliance mode."""
        self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=retain_days is not None)
        self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        if retain_days is not None:
            retention = {"Mode": "COMPLIANCE", "Days": retain_days}
            self.client.put_object_lock_configuration(
                Bucket=name,
                ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}},
            )

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """The keys that are there now."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def flip(self, bucket: str, key: str) -> None:
        """Change one byte in the middle of an object."""
        body = bytearray(self.client.get_object(Bucket=bucket, Key=key)["Body"].read())
        body[len(body) // 2] ^= 0x55
        self.client.put_object(Bucket=bucket, Key=key, Body=bytes(body))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class QuickAws(Aws):
    """Calls S3 without the second that each start of the AWS command line takes; `Aws` itself is tested elsewhere."""

    def __init__(self, url: str) -> None:
        super().__init__(Programs({}), region=REGION, endpoint_url=url)
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(retries={"max_attempts": 0}),
        )

    def call(
        self,
        service: str,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        answers_secret: bool = False,  # noqa: ARG002
    ) -> dict[str, Any]:
        assert service == "s3api"
        method = operation.replace("-", "_")
        try:
            if self._client.can_paginate(method):
                answer = self._client.get_paginator(method).paginate(**(arguments or {})).build_full_result()
            else:
                answer = getattr(self._client, method)(**(arguments or {}))
            # As the command line answers: JSON, with times as text.
            return dict(json.loads(json.dumps(answer, default=lambda time: time.isoformat())))
        except (BotoCoreError, ClientError) as error:
            raise ProgramFailed(f"`aws {operation}` failed: {error}", status=255, output=str(error)) from error

    def close(self) -> None:
        self._client.close()


def missing_programs(*names: str) -> list[str]:
    """Those of the programs that are not installed."""
    return [name for name in names if shutil.which(name, path="/usr/local/bin:/usr/bin:/bin") is None]


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "moto ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("moto does not answer")
