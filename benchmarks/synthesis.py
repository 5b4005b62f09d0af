"""Measure `hostemr plan openemr` beside other CDK apps of the same size, each as a whole process.

`python -m benchmarks.synthesis` from the repository's root; see docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

# Chooses the Node.js that every row runs on: JSII_NODE is set when this is imported.
import hostemr.stacks  # noqa: F401
from benchmarks.machine import processor
from benchmarks.telling import end_cleanly_on_sigterm, progress

OURS = "hostemr plan"
FLOOR = "floor"
TOLERANCE = 0.05
PATIENCE_SECONDS = 300
EVERYTHING = tuple(
    part
    for setting in (
        "route53_domain=example.org",
        "configure_ses=true",
        "email_forwarding_address=office@clinic.example",
        "security_group_ip_range=203.0.113.0/24,2001:db8::/48",
        "enable_ecs_exec=true",
        "enable_bedrock_integration=true",
        "enable_data_api=true",
        "enable_global_accelerator=true",
        "open_smtp_port=true",
        "openmrs_attachment_storage=s3",
        "openmrs_clustered_cache=true",
        "create_serverless_analytics_environment=true",
        "monitoring_email=operator@example.org",
    )
    for part in ("--set", setting)
)
"""As the sample `everything` of the tests has it."""

# What openemr-on-ecs wants before it synthesizes: "auto" would ask the internet for this machine's address.
PEER_CONTEXT = {
    "certificate_arn": "arn:aws:acm:us-east-1:111122223333:certificate/00000000-0000-0000-0000-000000000000",
    "security_group_ip_range_ipv4": "203.0.113.0/24",
}


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a row makes, by its templates and cdk-nag's reports."""

    stacks: int
    resources: int
    types: int
    open_findings: int | None
    """None where cdk-nag does not run."""
    accepted_findings: int | None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One command that synthesizes into CDK_OUTDIR, or, where `plans`, into the folder that it is given last."""

    name: str
    what: str
    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    plans: bool = False
    as_large_as_ours: bool = False


@dataclass(frozen=True, kw_only=True)
class Run:
    """One process, from its start to its end. CPU is of it and all that it started, Node.js included."""

    seconds: float
    cpu_seconds: float


class RowError(Exception):
    """A row failed, or is not what it says."""


def base_environment() -> dict[str, str]:
    """What all rows share: no account, no settings of somebody's CDK, and its own validation off, as hostemr has it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {"CDK_VALIDATION": "false", "CDK_DEFAULT_REGION": "us-east-1"}


def our_rows(root: Path) -> list[Row]:
    """The floor, hostemr, and the plain app three times."""
    plain = (sys.executable, "-m", "benchmarks.peers.plain_cdk.app")
    return [
        Row(
            name=FLOOR,
            what="one bucket",
            command=(sys.executable, "-m", "benchmarks.peers.plain_cdk.floor"),
            folder=root,
        ),
        Row(
            name=OURS,
            what="openemr with its defaults",
            command=(sys.executable, "-m", "hostemr", "plan", "openemr", "--json", "--out"),
            folder=root,
            plans=True,
        ),
        *(
            Row(
                name=f"hostemr plan openmrs, {how}",
                what="openmrs",
                command=(sys.executable, "-m", "hostemr", "plan", "openmrs", "--json", *sets, "--out"),
                folder=root,
                plans=True,
            )
            for how, sets in (("defaults", ()), ("everything on", EVERYTHING))
        ),
        Row(name="plain CDK", what="without cdk-nag", command=plain, folder=root, as_large_as_ours=True),
        Row(name="plain CDK, nag", what="both packs", command=(*plain, "--nag"), folder=root, as_large_as_ours=True),
        Row(
            name="plain CDK, nag, validation",
            what="both packs and the CDK's own validation, its default",
            command=(*plain, "--nag"),
            folder=root,
            environment={"CDK_VALIDATION": "true"},
            as_large_as_ours=True,
        ),
    ]


def peer_row(checkout: Path, python: Path) -> Row:
    """openemr-on-ecs as `cdk` would run it, with the packages of one interpreter."""
    asked = [str(python), "-c", "from importlib.metadata import version; print(version('aws-cdk-lib'))"]
    library = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    context = json.loads((checkout / "cdk.json").read_text(encoding="utf-8"))["context"] | PEER_CONTEXT
    return Row(
        name=f"openemr-on-ecs, {library}",
        what="both packs, by its own app.py",
        command=(str(python), "app.py"),
        folder=checkout,
        environment={"CDK_CONTEXT_JSON": json.dumps(context)},
    )


def run(row: Row, out: Path) -> Run:
    """Run a row once. Raises RowError with its last words where it fails."""
    environment = base_environment() | dict(row.environment) | {"CDK_OUTDIR": str(out)}
    command = [*row.command, str(out)] if row.plans else [*row.command]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    ended = subprocess.run(
        command,
        cwd=row.folder,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode != 0:
        last = "\n".join((ended.stderr or ended.stdout).splitlines()[-20:])
        raise RowError(f"{row.name} ended with {ended.returncode}:\n{last}")
    if row.plans:
        # The verb tells its findings on stdout, and keeps no report of cdk-nag's.
        (out / "plan.json").write_text(ended.stdout, encoding="utf-8")
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Run(seconds=seconds, cpu_seconds=cpu)


def size_of(row: Row, out: Path) -> Size:
    """What a run left behind."""
    templates = list(out.rglob("*.template.json"))
    types: Counter[str] = Counter()
    for template in templates:
        resources = json.loads(template.read_text(encoding="utf-8"))["Resources"].values()
        types.update(each["Type"] for each in resources if each["Type"] != "AWS::CDK::Metadata")
    findings, accepted = _findings(row, out)
    return Size(
        stacks=len(templates),
        resources=types.total(),
        types=len(types),
        open_findings=findings,
        accepted_findings=accepted,
    )


def _findings(row: Row, out: Path) -> tuple[int | None, int | None]:
    if row.plans:
        plans = json.loads((out / "plan.json").read_text(encoding="utf-8"))
        return sum(len(plan["findings"]) for plan in plans), sum(sum(plan["acknowledged"].values()) for plan in plans)
    reports = list(out.glob("*-NagReport.csv"))
    if not reports:
        return None, None
    counted: Counter[str] = Counter()
    for report in reports:
        with report.open(encoding="utf-8", newline="") as lines:
            counted.update(line["Compliance"] for line in csv.DictReader(lines))
    return counted["Non-Compliant"], counted["Suppressed"]


def check_sizes(rows: list[Row], sizes: Mapping[str, Size]) -> None:
    """Raise RowError where an app is not as large as hostemr's, and its time would say nothing."""
    ours = sizes[OURS].resources
    for row in rows:
        theirs = sizes[row.name].resources
        if row.as_large_as_ours and abs(theirs - ours) > TOLERANCE * ours:
            message = f"{row.name} makes {theirs} resources, hostemr {ours}: more than {TOLERANCE:.0%} apart"
            raise RowError(message)


def measure(rows: list[Row], rounds: int) -> tuple[dict[str, Size], dict[str, list[Run]]]:
    """Every row once unmeasured, which fills its caches and gives its size; then all in turn, `rounds` times."""
    sizes: dict[str, Size] = {}
    runs: dict[str, list[Run]] = {row.name: [] for row in rows}
    for number in range(rounds + 1):
        for row in rows:
            with tempfile.TemporaryDirectory(prefix="hostemr-benchmark-") as folder:
                out = Path(folder)
                done = run(row, out)
                size = size_of(row, out)
            if number == 0:
                sizes[row.name] = size
                progress(f"{row.name}: {size.resources} resources (warm-up of {done.seconds:.1f} s)")
                continue
            if size != sizes[row.name]:
                raise RowError(f"{row.name} made {size}, and {sizes[row.name]} before")
            runs[row.name].append(done)
            progress(f"{number}/{rounds} {row.name}: {done.seconds:.2f} s, CPU {done.cpu_seconds:.2f} s")
        if number == 0:
            check_sizes(rows, sizes)
    return sizes, runs


def ratio(theirs: list[Run], others: list[Run]) -> float:
    """The median of the rounds' ratios: both sides of one lie a minute apart, not a run."""
    return median(a.seconds / b.seconds for a, b in zip(theirs, others, strict=True))


def summary(rows: list[Row], sizes: Mapping[str, Size], runs: Mapping[str, list[Run]]) -> list[dict[str, Any]]:
    """One object for each row."""
    return [
        {
            "row": row.name,
            "what": row.what,
            **asdict(sizes[row.name]),
            "seconds": median(each.seconds for each in runs[row.name]),
            "seconds_min": min(each.seconds for each in runs[row.name]),
            "seconds_max": max(each.seconds for each in runs[row.name]),
            "cpu_seconds": median(each.cpu_seconds for each in runs[row.name]),
            "to_hostemr": ratio(runs[row.name], runs[OURS]),
            "to_floor": ratio(runs[row.name], runs[FLOOR]),
        }
        for row in rows
    ]


def table(lines: list[dict[str, Any]]) -> str:
    """The summary as Markdown."""
    head = [
        "| what | stacks | resources | findings open | accepted | seconds | min to max | CPU s | ÷ hostemr | ÷ floor |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join(
        head
        + [
            f"| {line['row']} | {line['stacks']} | {line['resources']} | {_count(line['open_findings'])} "
            f"| {_count(line['accepted_findings'])} | **{line['seconds']:.2f}** "
            f"| {line['seconds_min']:.2f} to {line['seconds_max']:.2f} | {line['cpu_seconds']:.2f} "
            f"| {line['to_hostemr']:.2f} | {line['to_floor']:.2f} |"
            for line in lines
        ]
    )


def _count(findings: int | None) -> str:
    return "" if findings is None else str(findings)


def facts() -> dict[str, str | float]:
    """What decides the figures beside the rows themselves."""
    node = os.environ.get("JSII_NODE", "node")
    told = subprocess.run([node, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "node": told,
        "aws-cdk-lib": version("aws-cdk-lib"),
        "cdk-nag": version("cdk-nag"),
        "load average before": round(os.getloadavg()[0], 2),
    }


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthesis", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each row, after one that is not measured")
    parser.add_argument("--peer", type=Path, help="a checkout of openemr-on-ecs")
    parser.add_argument(
        "--peer-python",
        nargs="+",
        type=Path,
        default=[],
        help="interpreters that have what it needs, a row each: its own pins, another aws-cdk-lib",
    )
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    options = parser.parse_args(arguments)
    if options.runs < 1:
        parser.error(f"--runs is {options.runs}, which measures nothing: give 1 or more")
    if (options.peer is None) != (not options.peer_python):
        parser.error("--peer and --peer-python go together")
    return options


def main() -> int:
    """Run the benchmark; the exit code."""
    options = parse_arguments()
    end_cleanly_on_sigterm()
    rows = our_rows(Path(__file__).resolve().parents[1])
    # A venv's python is a symbolic link that must not be followed: by its place it knows its packages.
    rows += [peer_row(options.peer.resolve(), python.absolute()) for python in options.peer_python]
    known = facts()
    try:
        sizes, runs = measure(rows, options.runs)
    except (RowError, subprocess.TimeoutExpired) as error:
        progress(f"error: {error}")
        return 1
    lines = summary(rows, sizes, runs)
    print("\n".join(f"{name}: {value}" for name, value in known.items()) + "\n\n" + table(lines))
    if options.json:
        raw = {name: [asdict(each) for each in of_row] for name, of_row in runs.items()}
        options.json.write_text(json.dumps({"facts": known, "summary": lines, "runs": raw}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
