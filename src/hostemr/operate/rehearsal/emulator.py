"""An AWS that runs on this machine: moto, as a process of its own, and clients that reach nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from hostemr.errors import HostemrError, OutsideWorldError

ACCOUNT = "123456789012"
"""The account that moto plays."""
_UNKNOWN_ACTION = re.compile(r"NotImplementedError: (?:The )?(?P<action>[\w.:-]+)")
_STOP_SECONDS = 10


class NotInstalled(HostemrError):
    """The emulator is not there."""


def installed() -> bool:
    """Whether the emulator is there: it comes with the extra `rehearse`."""
    return find_spec("moto") is not None and find_spec("flask") is not None


class Emulator:
    """A running emulator, from `with` to its end. Everything in it is gone then.

    Clients are made here and not by `hostemr.operate.aws`: they must never see the operator's own credentials.
    """

    def __init__(self, *, region: str = "us-east-1") -> None:
        self.region = region
        self.endpoint = ""
        self._process: subprocess.Popen[str] | None = None
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if not installed():
            raise NotInstalled("the emulator is not installed", hint="pip install 'hostemr[rehearse]'")
        self._talk = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        environment = {**plain_environment(), **self.environment()}
        command = [sys.executable, "-m", "hostemr.operate.rehearsal.emulator_server"]
        self._process = subprocess.Popen(  # noqa: S603, our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._talk,
            text=True,
            env=environment,
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line.strip().isdigit():
            self._talk.seek(0)
            said = self._talk.read().strip().splitlines()
            self.__exit__(None, None, None)
            message = f"The emulator did not start: {said[-1] if said else 'it said nothing'}"
            raise OutsideWorldError(message, hint="python -m hostemr.operate.rehearsal.emulator_server shows more")
        self.endpoint = f"http://127.0.0.1:{line.strip()}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is not None:
            if process.stdin:
                process.stdin.close()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
        for client in self._clients.values():
            client.close()
        self._talk.close()

    def client(self, service: str) -> Any:
        """The boto3 client of a service of the emulator, made once."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                region_name=self.region,
                endpoint_url=self.endpoint,
                aws_access_key_id="rehearsal",
                aws_secret_access_key="rehearsal",  # noqa: S106, the emulator takes any
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[service]

    def make_bucket(self, name: str) -> None:
        """Make a bucket; S3 wants to be told the region, except in us-east-1 (S3 API Reference, "CreateBucket")."""
        elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        self.client("s3").create_bucket(Bucket=name, **({} if self.region == "us-east-1" else elsewhere))

    def environment(self) -> dict[str, str]:
        """What makes any AWS SDK in another process use the emulator, and nothing of the operator's account."""
        return {
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": "rehearsal",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            # What the emulator fails at once it fails at always.
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def reset(self) -> None:
        """Forget everything that was made."""
        call = urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")  # noqa: S310, loopback
        with urllib.request.urlopen(call, timeout=10):  # noqa: S310, loopback
            pass

    def mark(self) -> int:
        """Where the emulator's talk is now; see `gaps`."""
        return os.fstat(self._talk.fileno()).st_size

    def gaps(self, since: int, *, patience: float = 0.0) -> tuple[str, ...]:
        """The actions that the emulator was asked for since then and does not know.

        It answers before it writes down what went wrong, so after a failure up to `patience` seconds are waited.
        """
        end = time.monotonic() + patience
        while True:
            text = os.pread(self._talk.fileno(), max(0, self.mark() - since), since).decode(errors="replace")
            found = tuple(dict.fromkeys(match["action"] for match in _UNKNOWN_ACTION.finditer(text)))
            if found or time.monotonic() >= end:
                return found
            time.sleep(0.02)


def plain_environment() -> dict[str, str]:
    """What a process needs to start at all; no credentials, no proxies, no settings of the operator's."""
    return {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
