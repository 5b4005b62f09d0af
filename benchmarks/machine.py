"""What of this machine decides the figures: its cores and its disk's flushes."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

FLUSH_PROBE_SECONDS = 0.5
FLUSH_PROBE_BYTES = 4096
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class TooFewCoresError(Exception):
    """The server and the load generator would compete for one core."""


@dataclass(frozen=True)
class Cores:
    """The core of the measured server, and the one of the load generator and MariaDB."""

    server: int
    load: int


def claim_cores() -> Cores:
    """Choose two cores and move this process to the load generator's.

    What this process starts afterwards, MariaDB included, inherits that core unless it is moved.
    """
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        message = (
            "The registration benchmark needs two CPU cores, one for the server and one for the load "
            f"generator, and this process may use only {len(available)}: its figures would mean nothing."
        )
        raise TooFewCoresError(message)
    cores = Cores(server=available[0], load=available[1])
    os.sched_setaffinity(0, {cores.load})
    return cores


def busy_seconds(core: int) -> float:
    """The time a core has worked for any process or been taken by the hypervisor, since the boot."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = map(int, ticks[:8])
            return (user + nice + system + interrupts + soft_interrupts + stolen) / TICKS_PER_SECOND
    message = f"/proc/stat does not know core {core}"
    raise LookupError(message)


def share_a_physical_core(cores: Cores) -> bool:
    """Whether the two are threads of one physical core, so that load slows the server down."""
    siblings = Path(f"/sys/devices/system/cpu/cpu{cores.server}/topology/thread_siblings_list")
    if not siblings.exists():
        return False
    for part in siblings.read_text().strip().split(","):
        first, _, last = part.partition("-")
        if int(first) <= cores.load <= int(last or first):
            return True
    return False


def flushes_per_second(folder: Path) -> float:
    """How often a second this folder's disk flushes an appended page, the bound on durable commits."""
    path = folder / "flush-probe"
    flushes = 0
    with path.open("wb", buffering=0) as file:
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < FLUSH_PROBE_SECONDS:
            file.write(bytes(FLUSH_PROBE_BYTES))
            os.fdatasync(file.fileno())
            flushes += 1
    path.unlink()
    return flushes / elapsed


def processor() -> str:
    """The processor's name as the kernel tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def describe(cores: Cores, folder: Path) -> dict[str, str | float]:
    """The facts to print above the figures."""
    return {
        "processor": processor(),
        "python": platform.python_version(),
        "server core": cores.server,
        "core of wrk and MariaDB": cores.load,
        "cores are threads of one physical core": "yes" if share_a_physical_core(cores) else "no",
        "load average before": round(os.getloadavg()[0], 2),
        "disk flushes per second": round(flushes_per_second(folder)),
    }
