"""Measure backup and restore of one clinic, hostemr's agent beside the plain tools driven by hand.

`make bench-backups`, or `python -m benchmarks.backups` from the repository's root; see docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.backups import measuring, results, volume
from benchmarks.backups.data import Clinic
from benchmarks.backups.measuring import RunError
from benchmarks.backups.rows import ROWS, Row, Run, Server
from benchmarks.backups.s3 import RcloneS3, S3Error
from benchmarks.machine import processor
from benchmarks.telling import progress
from hostemr.host.space import shares_blocks
from tests.host.machine import Machine
from tests.peers.mariadb import find_program

MIB = 2**20
DAYS = ("first backup", "backup after an ordinary day", "backup after a scattered day")
RESTORE = "restore on an empty server"
LONGEST_FOLDER = 40
"""Sockets of databases lie below it, whose paths have 107 characters at the most."""
PROGRAMS = {
    "mariadb-backup": "mariadb-backup",
    "mariadb-install-db": "mariadb-server-core",
    "mariadb-dump": "mariadb-client",
    "restic": "restic",
    "duplicity": "duplicity",
    "gpg": "gnupg",
    "aws": "awscli",
}


def make_template(folder: Path, disk: Path, megabytes: int) -> Path:
    """A stopped server's data, which every row starts from; answers its root."""
    empty = folder / "empty"
    command = ["mariadb-install-db", "--no-defaults", f"--datadir={empty}", "--user=root", "--skip-test-db"]
    command.append("--auth-root-authentication-method=normal")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    place = folder / "template"
    place.mkdir()
    machine = Machine(place, root=disk / "template")
    try:
        machine.install(empty)
        Clinic().fill(machine, database=megabytes * MIB, files=megabytes * MIB, tell=progress)
        machine.server.containers.stop()
    finally:
        machine.close()
    return machine.root


def one_round(servers: list[Server], template: Path) -> results.Runs:
    """Every row's days and restore; the rows take turns, a stage at a time."""
    runs: results.Runs = {}
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.install(template).close)
        for stage, day in zip(DAYS, (None, Clinic.ordinary_day, Clinic.scattered_day), strict=True):
            for server in servers:
                if day is not None and server.machine is not None:
                    day(Clinic(), server.machine)
            for server in servers:
                runs.setdefault(stage, {})[server.row.name] = [_measured(server.row, stage, server.backup)]
        for server in servers:
            _restored(server, runs)
    for place in template.parent.iterdir():
        if place != template:
            shutil.rmtree(place)
    return runs


def _restored(server: Server, runs: results.Runs) -> None:
    with ExitStack() as stack:
        machine: list[Machine] = []

        def restore() -> Run:
            run, restored = stack.enter_context(server.restore())
            machine.append(restored)
            return run

        runs.setdefault(RESTORE, {})[server.row.name] = [_measured(server.row, RESTORE, restore)]
        assert server.machine is not None
        _same(server.row, server.machine, machine[0])


def _measured(row: Row, stage: str, run: Callable[[], Run]) -> Run:
    # What others have written meanwhile is not this one's to wait for.
    os.sync()
    done = run()
    cost = done.cost
    progress(
        f"{stage}: {row.name}: {cost.seconds:.1f} s, CPU {cost.cpu_seconds:.1f} s, {cost.peak / MIB:.0f} MiB, "
        f"others {done.others_cpu:.0%}, uploaded {done.uploaded / MIB:.1f} MiB, stored {done.stored / MIB:.1f} MiB"
    )
    return done


def _same(row: Row, live: Machine, restored: Machine) -> None:
    """Raise RunError unless every table and file of OpenEMR's is as it was."""
    expected, found = live.contents(), restored.contents()
    for kind, old, new in (("tables", expected[0], found[0]), ("files", expected[1], found[1])):
        if old != new:
            wrong = sorted(str(name) for name in old.keys() | new.keys() if old.get(name) != new.get(name))
            raise RunError(f"{row.name} restored other {kind}: {', '.join(wrong[:5])} and {len(wrong[5:])} more")


def facts(disk: Path, options: argparse.Namespace, template: Path) -> dict[str, str | float]:
    """What decides the figures beside the rows themselves."""

    def said(*command: str | Path) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()

    generation = next((template / "generations").iterdir())
    tables = sum(path.stat().st_size for path in (generation / "database/openemr").iterdir())
    files = [path.stat().st_size for path in (generation / "sites").rglob("*") if path.is_file()]
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "restic": said("restic", "version"),
        "duplicity": said("duplicity", "--version"),
        "mariadb": said("mariadb", "--version"),
        "S3": said(options.rclone, "version"),
        "disk shares blocks": "yes" if shares_blocks(disk) else "no",
        "tables, MiB": round(tables / MIB),
        "files": len(files),
        "files, MiB": round(sum(files) / MIB),
        "rounds": options.rounds,
        "load average before": round(os.getloadavg()[0], 2),
    }


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backups", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024, help="of tables, and of documents [%(default)s]")
    parser.add_argument("--rounds", type=int, default=1, help="[%(default)s]")
    parser.add_argument("--only", nargs="+", choices=[row.slug for row in ROWS], help="these rows")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk [%(default)s]")
    parser.add_argument("--rclone", type=Path, help="the program, 1.65 or newer [what PATH or the venv has]")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    options = parser.parse_args(arguments)
    if options.megabytes < 8 or options.rounds < 1:
        parser.error("--megabytes has to be 8 or more, --rounds 1 or more")
    beside = Path(sys.executable).parent / "rclone"
    options.rclone = options.rclone or (beside if beside.exists() else shutil.which("rclone"))
    missing = [package for program, package in PROGRAMS.items() if find_program(program) is None]
    missing += [] if options.rclone else ["rclone (rclone.org/downloads; Debian's 1.60 is too old)"]
    if missing:
        parser.error(f"what is missing: {', '.join(missing)}")
    if len(str(options.folder.absolute())) > LONGEST_FOLDER:
        parser.error(f"--folder is longer than {LONGEST_FOLDER} characters, too long for the paths of sockets")
    needed = _room(options)
    if volume.free(options.folder) < needed:
        parser.error(f"{options.folder} needs {needed / MIB:,.0f} MiB; give another --folder, or fewer --megabytes")
    return options


def _room(options: argparse.Namespace) -> int:
    rows = len(options.only or ROWS)
    # A row's changed data, its bucket, what it keeps beside the data, and a gigabyte for one restore after another.
    return int(((rows + 2) * 5 * options.megabytes + 2048) * MIB)


def main() -> int:
    """Run the benchmark; the exit code."""
    options = parse_arguments()
    rows = [row for row in ROWS if not options.only or row.slug in options.only]
    measuring.adopt_orphans()
    # A disk stays mounted and databases run where it only ends.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    runs: results.Runs = {}
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hb-", dir=options.folder)))
            s3 = stack.enter_context(RcloneS3(options.rclone, folder / "s3"))
            disk = stack.enter_context(volume.mounted(folder, _room(options)))
            template = make_template(folder, disk, options.megabytes)
            known: dict[str, Any] = facts(disk, options, template)
            for number in range(1, options.rounds + 1):
                progress(f"round {number} of {options.rounds}")
                servers = [Server(row, number, folder, disk, s3) for row in rows]
                for stage, of_stage in one_round(servers, template).items():
                    for name, done in of_stage.items():
                        runs.setdefault(stage, {}).setdefault(name, []).extend(done)
    except (RunError, S3Error) as error:
        progress(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        progress("stopped; everything was removed")
        return 130
    print(results.render(known, runs))
    if options.json:
        options.json.write_text(json.dumps(results.raw(known, runs), indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
