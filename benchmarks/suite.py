"""The benchmarks of `make bench`: each at a size that fits its share of fifteen minutes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import readers
from benchmarks.records import Comparison
from tests.peers.mariadb import find_program

LONGEST_SECONDS = 15 * 60
"""What all of them may take together."""
_DATABASE = {"mariadbd": "mariadb-server-core", "mariadb-install-db": "mariadb-server-core"}


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One benchmark. Its command takes `--json FILE`, and writes there what `read` makes comparisons of.

    `seconds` is its share of the time. `programs` are those it needs, each with what brings it; `modules` are
    Python's. `how` and `beware` are sentences for the page: how it is measured, and what not to conclude.
    """

    name: str
    title: str
    command: tuple[str, ...]
    read: Callable[[Any], tuple[Comparison, ...]]
    seconds: int
    how: str
    beware: str
    programs: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """The target of make that runs it alone, at its full size."""
        return f"bench-{self.name}"

    def missing(self) -> list[str]:
        """What this machine lacks for it, by name, with what brings it."""
        beside = Path(sys.executable).parent
        lacking = [
            f"{program} ({package})"
            for program, package in self.programs.items()
            if find_program(program) is None and shutil.which(program, path=str(beside)) is None
        ]
        return lacking + [f"the Python package {module}" for module in self.modules if find_spec(module) is None]


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


BENCHMARKS = (
    Benchmark(
        name="registration",
        title="The registration service",
        command=_python("benchmarks.registration", "--rounds", "3", "--seconds", "1"),
        read=readers.registration,
        seconds=180,
        how="""wrk asks with 64 connections for 1 s in each of 3 rounds; each turn has a new server on one core and a
new database on disk, with 3000 addresses known. `flask` is Flask, SQLAlchemy's ORM and gunicorn with 8 threads; `bare`
is Starlette, a raw driver and one INSERT. Every answer is checked, and every 201 must be a row.""",
        beware="""64 clients that ask again at once are no clinic, so compare the times and do not quote them. hostemr
counts its limits durably and logs each request, which `bare` does not; it answers the count from memory for up to two
seconds, which the others do not.""",
        programs={"wrk": "wrk", "taskset": "util-linux", **_DATABASE},
        modules=("flask", "gunicorn", "pymysql"),
    ),
    Benchmark(
        name="delivery",
        title="The delivery of broadcasts",
        command=_python(
            *("benchmarks.delivery", "--sizes", "10000", "--workers", "2", "--rounds", "3"),
            *("--row-by-row", "2000", "--over-ses", "5000", "--over-smtp", "5000"),
            *("--only", "pipeline", "naive", "smtp", "ses"),
        ),
        read=readers.delivery,
        seconds=130,
        how="""Two worker processes send a broadcast from a MariaDB that flushes each commit, in 3 rounds: from the
moment of queueing to the last record on disk, until everybody was sent to. 10,000 recipients, but 2,000 for `row by
row` (one row claimed, sent and marked at a time), 5,000 over SMTP into a sink, and 5,000 through a fake of SES.""",
        beware="""Workers, database and sink share the two cores. A real account of SES allows far fewer messages a
second than any of these, so a broadcast takes as long as the account's limit says. 5,000 messages are too few for
Mailman 3's queue to be compared; the full size below has it.""",
        programs=_DATABASE,
        modules=("django", "post_office", "pymysql"),
    ),
    Benchmark(
        name="console",
        title="The board's console",
        command=_python("benchmarks.console", "--number", "200000", "--rounds", "5"),
        read=readers.console,
        seconds=70,
        how="""Pages of the console, the most used and the slowest, each asked for 5 times after once uncounted,
through the whole application, as a signed-in member does, on 200,000 registrations of ten years. The statement alone
fetches the same 50 rows by key, as the console does, and counted from the newest, in turns; both must be the same.""",
        beware="""There is no network and no browser in these times, and one member at a time. The overview's figures
are counted in the background; its time here is that of showing them.""",
        programs=_DATABASE,
        modules=("httpx", "pymysql"),
    ),
    Benchmark(
        name="synthesis",
        title="Planning a deployment",
        command=_python("benchmarks.synthesis", "--runs", "3"),
        read=readers.synthesis,
        seconds=215,
        how="""Whole processes from start to end, in turns, 3 times after once uncounted, without account and network.
`plain CDK` makes the same resources, within 5 %, as a team writes them by the CDK's guide; `nag` runs cdk-nag's
packs too, as hostemr always does, and `validation` the CDK's own check; `floor` is an app with one bucket.""",
        beware="""`floor` is what Python and Node.js take to start, no alternative. A plan is not a deployment:
what AWS would take for that is not in these times.""",
        modules=("aws_cdk", "cdk_nag"),
    ),
    Benchmark(
        name="load",
        title="Load generation",
        command=_python("benchmarks.loading", "--rounds", "3", "--seconds", "3"),
        read=readers.loading,
        seconds=100,
        how="""50 users without pauses fetch a page of 2 KiB from nginx, which has the other core. nginx counts for 3 s
in the middle of each turn, in 3 rounds. Connections stay open, for siege too, which closes each by default. `httpx`
is a task and a client for each user.""",
        beware="""wrk and siege send the same bytes again and again; hostemr's users have cookies and journeys, and it
keeps every time it measures. wrk may be bounded by nginx rather than by itself.""",
        programs={"nginx": "nginx-light", "siege": "siege", "wrk": "wrk", "taskset": "util-linux"},
        modules=("aiohttp", "httpx"),
    ),
    Benchmark(
        name="backups",
        title="Backup and restore",
        command=_python("benchmarks.backups", "--megabytes", "64", "--rounds", "3", "--only", "agent-restic", "restic"),
        read=readers.backups,
        seconds=170,
        how="""Three days' backups of one clinic, 64 MiB of tables and 64 MiB of documents, and a restore on an empty
server, in 3 rounds, by hostemr's agent with restic and by restic and mariadb-backup driven by hand, to an S3 on this
machine. After each restore every row and file is compared with the live server.""",
        beware="""At this size the times are mostly the starts of programs: the ratios come nearer to each other with
a clinic's size, as the full size below shows. By hand nothing is checked; hostemr starts MariaDB on what it uploads,
checks every table and every file's hash, before it calls a backup good.""",
        programs={
            **_DATABASE,
            "mariadb-backup": "mariadb-backup",
            "restic": "restic",
            "gpg": "gnupg",
            "aws": "awscli",
            "duplicity": "duplicity",
            "rclone": "benchmarks/backups/requirements.txt",
        },
    ),
)
