"""Who is measured: hostemr's agent with either engine, and scripts of plain tools."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from sys import executable
from typing import Any, Literal

from benchmarks.backups import measuring, volume
from benchmarks.backups.measuring import Cost
from benchmarks.backups.s3 import KEYS, RcloneS3
from benchmarks.machine import busy_seconds
from tests.host.machine import PASSPHRASE, START, Machine

BY_HAND = Path(__file__).parent / "by_hand"
Verb = Literal["backup", "restore"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way of backing up. `engine` for hostemr's own, `script` for one by hand."""

    name: str
    slug: str
    engine: str | None = None
    script: str | None = None


OURS = "hostemr, restic"
ROWS = (
    Row(name=OURS, slug="agent-restic", engine="restic"),
    Row(name="hostemr, Duplicity", slug="agent-duplicity", engine="duplicity"),
    Row(name="restic", slug="restic", script="restic.sh"),
    Row(name="restic, increments", slug="increments", script="restic-increments.sh"),
    Row(name="Duplicity, increments", slug="duplicity", script="duplicity.sh"),
    Row(name="restic, dump", slug="dump", script="dump.sh"),
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One backup or restore.

    `others_cpu` is the share of all cores that neither the run nor the S3 had: the kernel's writing to the disk, and
    whatever else the machine did. `uploaded` and `stored` are bytes of objects: new or changed in this run, and
    altogether. `told` is what hostemr's agent says of its steps, empty for the others.
    """

    cost: Cost
    s3_cpu_seconds: float
    others_cpu: float
    uploaded: int
    stored: int
    told: dict[str, Any] = field(default_factory=dict)


class Server:
    """A row's server in one round, and its bucket."""

    def __init__(self, row: Row, number: int, folder: Path, disk: Path, s3: RcloneS3) -> None:
        self.row = row
        self._place = f"{row.slug}-{number}"
        self._folder = folder
        self._disk = disk
        self._s3 = s3
        self._days = 0
        self.machine: Machine | None = None

    def install(self, template: Path) -> Machine:
        """The clinic's data as the template has it, served."""
        self._s3.make_bucket(self._place)
        root = self._disk / self._place
        (root / "work").mkdir(parents=True)
        volume.copy(template / "generations", root / "generations")
        made: dict[str, Any] = {"engine": self.row.engine} if self.row.engine else {}
        self.machine = self._new(self._place, root, **made)
        self.machine.layout.serve(next(self.machine.layout.generations.iterdir()).name)
        self.machine.server.containers.up()
        return self.machine

    def backup(self) -> Run:
        """The backup of another day."""
        assert self.machine is not None
        run = self._run("backup", self.machine)
        self._days += 1
        return run

    @contextmanager
    def restore(self) -> Iterator[tuple[Run, Machine]]:
        """On an empty server; gone after the block."""
        root = self._disk / f"{self._place}-new"
        (root / "work").mkdir(parents=True)
        made: dict[str, Any] = {}
        if self.row.engine:
            bucket = {"bucket": self._place, "passphrase_secret": "arn:passphrase", "engine": self.row.engine}
            made["recovery"] = bucket
        machine = self._new(root.name, root, **made)
        try:
            yield self._run("restore", machine), machine
        finally:
            machine.close()
            shutil.rmtree(root)

    def _new(self, name: str, root: Path, **settings: Any) -> Machine:
        folder = self._folder / name
        folder.mkdir()
        return Machine(folder, root=root, bucket=self._place, endpoint_url=self._s3.url, **settings)

    def _run(self, verb: Verb, machine: Machine) -> Run:
        known = self._s3.objects(self._place)
        s3_before, all_before, own_before = self._s3.cpu_seconds, _busy_seconds(), time.process_time()
        serving = machine.database_pid if verb == "backup" else None
        log = machine.folder / f"{verb}.log"
        cost, said = measuring.run(self._command(verb, machine), self._environment(machine), serving=serving, log=log)
        s3_used, own_used = self._s3.cpu_seconds - s3_before, time.process_time() - own_before
        others = _busy_seconds() - all_before - cost.cpu_seconds - s3_used - own_used
        stored = self._s3.objects(self._place)
        return Run(
            cost=cost,
            s3_cpu_seconds=s3_used,
            others_cpu=max(0.0, others) / cost.seconds / len(os.sched_getaffinity(0)),
            uploaded=sum(size for name, (size, when) in stored.items() if known.get(name) != (size, when)),
            stored=sum(size for size, _ in stored.values()),
            told=json.loads(said) if self.row.engine else {},
        )

    def _command(self, verb: Verb, machine: Machine) -> list[str]:
        if self.row.script:
            return ["bash", str(BY_HAND / self.row.script), verb]
        now = START + timedelta(days=self._days)
        return [executable, "-m", "benchmarks.backups.agent", str(machine.folder), verb, now.isoformat()]

    def _environment(self, machine: Machine) -> dict[str, str]:
        environment = machine.environment | KEYS
        if self.row.engine:
            return environment
        served = machine.layout.served()
        return environment | {
            "ROOT": str(machine.root),
            "GENERATION": f"generations/{served}" if served else "",
            "SOCKET": str(machine.home / "mysql.sock"),
            "DATADIR": str(machine.layout.current / "database"),
            "ENDPOINT": self._s3.url,
            "BUCKET": self._place,
            "PASSPHRASE": PASSPHRASE,
        }


def _busy_seconds() -> float:
    return sum(map(busy_seconds, os.sched_getaffinity(0)))
