"""Runs our PHP stand-ins for the clients of each OpenEMR generation, as separate processes.

The real clients are PHP and cURL, and what they need back (a status, a body that PHP takes for
true, no redirect) cannot be judged by an HTTP library of another language.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

SCRIPTS: Final = Path(__file__).parent / "php"
TIMEOUT_SECONDS: Final = 60.0

WRONG_USE: Final = 2


class ClientBroken(Exception):
    """A stand-in was used wrongly or ended without a conclusion, which says nothing about the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOutcome:
    """What one run of a client concluded, and what it saw on the wire.

    `status` is None when nothing was sent and 0 when no answer came. `product_id` belongs to
    registrations; `records`, `bytes` and `left` (events still in the client's table) to usage reports.
    """

    client: str
    status: int | None
    outcome: str
    sent: bool
    redirect: str | None
    expected_continue: bool
    continued: bool
    product_id: str | None
    records: int | None
    bytes: int | None
    left: int | None
    exit_status: int
    stderr: str

    @classmethod
    def from_line(cls, line: dict[str, Any], *, exit_status: int, stderr: str) -> Self:
        """The outcome that a client's line of JSON tells."""
        return cls(
            client=line["client"],
            status=line["status"],
            outcome=line["outcome"],
            sent=line["sent"],
            redirect=line["redirect"],
            expected_continue=line["expectedContinue"],
            continued=line["continued"],
            product_id=line.get("productId"),
            records=line.get("records"),
            bytes=line.get("bytes"),
            left=line.get("left"),
            exit_status=exit_status,
            stderr=stderr,
        )


@functools.cache
def installed() -> bool:
    """Whether this machine has PHP for the command line, with its cURL extension."""
    program = shutil.which("php")
    if program is None:
        return False
    probe = subprocess.run([program, "-r", "exit((int) !extension_loaded('curl'));"], check=False, timeout=30)
    return probe.returncode == 0


def run_client(script: str, base_url: str, **options: str | int | bool | Path) -> ClientOutcome:
    """Run `script` against the server at `base_url` and answer what it concluded.

    `options` are the script's own: `email="a@b.org"` becomes `--email a@b.org`, `lose_reply=True`
    becomes `--lose-reply`. Raises ClientBroken when the script concluded nothing.
    """
    run = subprocess.run(
        _command(script, base_url, options),
        capture_output=True,
        check=False,
        # Ours: the clients themselves wait for ever.
        timeout=TIMEOUT_SECONDS,
        # cURL would send even loopback requests to a proxy named in the environment.
        env={**os.environ, "no_proxy": "127.0.0.1,localhost", "NO_PROXY": "127.0.0.1,localhost"},
    )
    stderr = run.stderr.decode(errors="replace")
    if run.returncode not in (0, 1) or run.stdout.count(b"\n") != 1:
        message = f"{script} ended with status {run.returncode}: {stderr}"
        raise ClientBroken(message)
    return ClientOutcome.from_line(json.loads(run.stdout), exit_status=run.returncode, stderr=stderr)


def _command(script: str, base_url: str, options: Mapping[str, str | int | bool | Path]) -> list[str]:
    command = ["php", str(SCRIPTS / script), base_url]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            command.append(flag)
        elif value is not False:
            command += [flag, str(value)]
    return command
