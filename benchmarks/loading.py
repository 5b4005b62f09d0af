"""Measure `hostemr load` beside other load generators: what each sends to one nginx, and what a request costs it.

`python -m benchmarks.loading` from the repository's root; see docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.backups.measuring import cpu_seconds
from benchmarks.machine import TooFewCoresError, claim_cores
from benchmarks.telling import end_cleanly_on_sigterm, progress
from tests.peers.loopback import free_port
from tests.peers.mariadb import find_program

OURS = "hostemr load"
PAGE_BYTES = 2048
"""nginx's settings take no longer text. Not a file: its worker may be a user who cannot read ours."""
LEAD_SECONDS = 3.0
"""Until every generator is under way: hostemr starts Python, tries the page as one user, and lets its users come."""
TAIL_SECONDS = 2.0
START_SECONDS = 10
NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location = / {{ return 200 {page}; }}
        location = /status {{ stub_status; }}
    }}
}}
"""
SIEGE = """
verbose = false
quiet = true
json_output = true
show-logfile = false
logging = false
parser = false
gmethod = GET
connection = keep-alive
limit = 1000
benchmark = true
"""
"""Nothing but the page, and connections that stay open, as the others keep them: siege closes each by default."""


class GeneratorError(Exception):
    """A generator or the server failed, or got another answer than the page."""


@dataclass(frozen=True)
class Generator:
    """A program that sends load: `command` takes the URL, the users and the seconds; `wrong` looks at its stdout."""

    name: str
    command: Callable[[str, int, float], list[str]]
    wrong: Callable[[str], bool] = lambda _: False


@dataclass(frozen=True)
class Measured:
    """One generator in one round. `server_busy` is the share of nginx's core that nginx used."""

    per_second: float
    cpu_us: float
    server_busy: float


def generators(folder: Path) -> dict[str, Generator]:
    """Every generator by name, in the order in which a round measures them."""
    siegerc = folder / "siegerc"
    siegerc.write_text(SIEGE)
    python, module = sys.executable, "benchmarks.peers.httpx_users"
    found = (
        Generator(
            OURS,
            lambda url, users, seconds: [
                *(python, "-m", "hostemr", "load", url, "--users", str(users), "--for", f"{seconds:.0f}s"),
                *("--ramp", "1s", "--json"),
            ],
            lambda said: bool(json.loads(said)["problems"]),
        ),
        Generator("httpx", lambda url, users, seconds: [python, "-m", module, url, str(users), f"{seconds:.0f}"]),
        Generator(
            "siege",
            lambda url, users, seconds: [
                *("siege", f"--rc={siegerc}", f"--concurrent={users}", f"--time={seconds:.0f}S", url)
            ],
            # What comes before the JSON is about the template that it makes in a new home.
            lambda said: json.loads(said[said.index("{") :])["failed_transactions"] != 0,
        ),
        Generator(
            "wrk",
            lambda url, users, seconds: ["wrk", "-t1", f"-c{users}", f"-d{seconds:.0f}s", "--timeout=30s", url],
            lambda said: "Non-2xx" in said or "Socket errors" in said,
        ),
    )
    return {each.name: each for each in found}


class Nginx:
    """A running nginx that serves one page, and counts."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}/"

    def requests(self) -> int:
        """How many it has answered since its start, this one included."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", "/status")
            # "server accepts handled requests", and below it the three numbers.
            return int(connection.getresponse().read().split(b"\n")[2].split()[2])

    def cpu_seconds(self) -> float:
        """What its one worker has used."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return sum(cpu_seconds(int(child)) for child in children)


@contextlib.contextmanager
def serving(folder: Path, core: int) -> Iterator[Nginx]:
    """Run nginx with a page of 2 KiB, pinned to a core. Raises GeneratorError where it does not start."""
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, page="x" * PAGE_BYTES))
    command = [find_program("nginx") or "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(["taskset", "-c", str(core), *command], stderr=subprocess.DEVNULL)
    try:
        server = Nginx(process, port)
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                server.requests()
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > until:
                    raise GeneratorError("nginx does not start") from error
                time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait()


def measure(
    generator: Generator, server: Nginx, *, users: int, seconds: float, home: Path, lead: float = LEAD_SECONDS
) -> Measured:
    """Let a generator run, and look at it and at nginx for `seconds` after the `lead`. Raises GeneratorError."""
    command = generator.command(server.url, users, lead + seconds + TAIL_SECONDS)
    # siege writes into the home folder.
    environment = {**os.environ, "HOME": str(home)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(lead)
        began, requests = time.monotonic(), server.requests()
        used, served = cpu_seconds(process.pid), server.cpu_seconds()
        time.sleep(seconds)
        # The first of these is asked for by us, and counted.
        answered = server.requests() - requests - 1
        took, used, served = time.monotonic() - began, cpu_seconds(process.pid) - used, server.cpu_seconds() - served
        said, complaint = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    try:
        wrong = process.returncode != 0 or not answered or generator.wrong(said)
    except (ValueError, LookupError):
        wrong = True
    if wrong:
        raise GeneratorError(f"{generator.name} ended with {process.returncode}: {complaint[-1000:]}{said[-1000:]}")
    return Measured(answered / took, used / answered * 1e6, served / took)


def table(found: dict[str, list[Measured]]) -> str:
    """The figures as Markdown."""
    lines = ["| generator | requests/s | CPU µs a request | nginx's core |", "|---|---|---|---|"]
    for name, rounds in found.items():
        speed, cost, busy = (median(values) for values in zip(*(asdict(one).values() for one in rounds), strict=True))
        lines.append(f"| {name} | {speed:,.0f} | {cost:.0f} | {busy:.0%} |")
    return "\n".join(lines)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loading", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10, help="of one generator in one round")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    options = parse_arguments(arguments)
    missing = [name for name in ("siege", "taskset", "wrk") if shutil.which(name) is None]
    missing += [] if find_program("nginx") else ["nginx"]
    if missing:
        progress(f"The load benchmark needs {', '.join(missing)}, which this machine lacks.")
        return 2
    end_cleanly_on_sigterm()
    try:
        cores = claim_cores()
        with tempfile.TemporaryDirectory(prefix="hostemr-benchmark-") as name:
            folder = Path(name)
            chosen = generators(folder)
            found: dict[str, list[Measured]] = {each: [] for each in chosen}
            with serving(folder, cores.server) as server:
                for number in range(1, options.rounds + 1):
                    for each in chosen.values():
                        done = measure(each, server, users=options.users, seconds=options.seconds, home=folder)
                        found[each.name].append(done)
                        progress(f"round {number} of {options.rounds}: {each.name}: {done.per_second:.0f}/s")
    except (TooFewCoresError, GeneratorError) as error:
        progress(str(error))
        return 1
    print(table(found))
    if options.json:
        rounds = {each: [asdict(one) for one in of_one] for each, of_one in found.items()}
        options.json.write_text(json.dumps(rounds, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
