"""Runs the CDK app as a process of its own, so that the command line starts without it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from hostemr.errors import HostemrError, OutsideWorldError, SettingsError

_ERROR = re.compile(r"[\w.]*(Error|Exception): ")


@dataclass(frozen=True, slots=True)
class Job:
    """A deployment to synthesize, and the folder for its cloud assembly."""

    deployment: str
    context: Mapping[str, object]
    assembly: Path


def synthesize(jobs: Sequence[Job], finished: Callable[[int], None] = lambda _: None) -> None:
    """Synthesize deployments one after the other; `finished` hears each job's index.

    Raises SettingsError with every wrong setting, OutsideWorldError when synthesis fails.
    """
    if find_spec("aws_cdk") is None:
        message = "`hostemr plan` needs aws-cdk-lib, which is not installed."
        raise HostemrError(message, hint="pip install 'hostemr[stacks]'")
    written = [
        {"deployment": job.deployment, "context": dict(job.context), "outdir": str(job.assembly)} for job in jobs
    ]
    # Talk goes into a file: the end of a pipe would be the end of the Node.js process too, which takes its time.
    with tempfile.TemporaryFile() as talk, tempfile.TemporaryFile("w+", encoding="utf-8") as given:
        json.dump(written, given)
        given.seek(0)
        done = 0
        command = [sys.executable, "-m", "hostemr.stacks.many"]
        with subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, stderr=talk, text=True) as process:  # noqa: S603
            for line in process.stdout or ():
                finished(int(line))
                done += 1
        if process.returncode != 0:
            _fail(process.returncode, talk, jobs[min(done, len(jobs) - 1)])


def _fail(status: int, talk: IO[bytes], job: Job) -> None:
    talk.seek(0)
    lines = talk.read().decode(errors="replace").splitlines()
    if status == SettingsError.exit_status:
        problems = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        hint = next((line.removeprefix("hint: ") for line in lines if line.startswith("hint: ")), "")
        raise SettingsError(problems or lines, hint=hint)
    # The first error is the cause of those that follow it.
    why = next((line for line in lines if _ERROR.match(line)), lines[-1] if lines else "it said nothing")
    message = f"Synthesis of {job.deployment} failed: {why}"
    raise OutsideWorldError(message, hint=f"python -m hostemr.stacks {job.deployment} shows all that it said")
