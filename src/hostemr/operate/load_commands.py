"""The verb `hostemr load`: says what a load would do, asks, runs it, and always leaves a result."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import click

from hostemr.errors import EXIT_STATUSES, FindingsError, OutsideWorldError, RefusedError, SettingsError
from hostemr.operate.loading.accounts import read_accounts
from hostemr.operate.loading.amounts import duration, latency_limit, rate, share
from hostemr.operate.loading.engine import Load
from hostemr.operate.loading.live import Live
from hostemr.operate.loading.report import as_html
from hostemr.operate.loading.result import as_data, as_text, load_in_words
from hostemr.operate.loading.run import run_load
from hostemr.operate.loading.scenario import Scenario
from hostemr.operate.loading.scenario_file import load_scenario, shipped
from hostemr.operate.loading.target import Target, parse_target

T = TypeVar("T")
USERS = 25
MOST_USERS_AT_A_RATE = 1000
LONGEST_SECONDS = 24 * 3600
AWS_POLICY = "https://aws.amazon.com/ec2/testing/"


@click.command("load", epilog=EXIT_STATUSES)
@click.argument("url", metavar="[URL]", required=False)
@click.option(
    "--scenario", "chosen", metavar="NAME|FILE", default="front-page", show_default=True, help="What users do."
)
@click.option("--scenarios", is_flag=True, help="List the scenarios that come with hostemr, and stop.")
@click.option("--users", type=click.IntRange(1, 20_000), help=f"Users at once.  [default: {USERS}]")
@click.option("--rate", "paced", metavar="RATE", help="Begin so many visits, such as 50/s, whatever the server does.")
@click.option("--for", "length", metavar="TIME", default="5m", show_default=True, help="How long.")
@click.option("--ramp", metavar="TIME", default="30s", show_default=True, help="How long until all users are at work.")
@click.option("--stop-errors", metavar="PERCENT", default="5%", show_default=True, help="Stop above it; or off.")
@click.option("--stop-latency", metavar="PN=TIME", default="p95=5s", show_default=True, help="Stop above it; or off.")
@click.option("--user", "names", metavar="NAME", multiple=True, help="A log-in of the application; any number.")
@click.option("--password-file", type=click.Path(path_type=Path), help="One password for all, or a line for each user.")
@click.option("--write", is_flag=True, help="Do journeys that leave documents in the medical records, too.")
@click.option("--allow-host", "more_hosts", metavar="HOST", multiple=True, help="Follow redirects to this host, too.")
@click.option("--ca-file", type=click.Path(path_type=Path), help="A certificate authority to trust, as PEM.")
@click.option("--report", type=click.Path(path_type=Path), help="Write an HTML report there.")
@click.option("--yes", "typed", metavar="HOST", help="The host's name, for scripts: asks no question.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, errors included.")
def load(
    url: str | None,
    chosen: str,
    *,
    scenarios: bool,
    users: int | None,
    paced: str | None,
    length: str,
    ramp: str,
    stop_errors: str,
    stop_latency: str,
    names: tuple[str, ...],
    password_file: Path | None,
    write: bool,
    more_hosts: tuple[str, ...],
    ca_file: Path | None,
    report: Path | None,
    typed: str | None,
    as_json: bool,
) -> None:
    """Put load on an application of yours and see how it bears it: simulated users, live figures, a report.

    A load makes real log-ins and audit entries. It begins with a trial as one user, and stops by itself when errors or
    response times pass the limits. Passwords come from --password-file, HOSTEMR_LOAD_PASSWORD or a prompt. Exit status
    1 means that a limit was broken or the run was stopped, 3 that the host did not answer at the trial.

    \b
    Examples:
      hostemr load https://openemr.example.org --users 255 --for 60m
      hostemr load https://openemr.example.org --scenario clinic-day --user load1 --users 50 --report load.html
      hostemr load http://127.0.0.1:8080 --rate 50/s --for 2m --json
    """  # noqa: D301, click reads a real \b
    if scenarios:
        _list_scenarios(as_json=as_json)
        return
    problems: list[str] = []
    wanted = _load(problems, users=users, paced=paced, length=length, ramp=ramp, errors=stop_errors, late=stop_latency)
    target = _or_problems(problems, lambda: parse_target(url or "", more_hosts))
    scenario = _or_problems(problems, lambda: load_scenario(chosen))
    problems += _wrong_files(password_file, ca_file, report)
    if scenario and not write and not scenario.reading_only().journeys:
        problems.append(f"every journey of {scenario.name} writes records; expected --write")
    if problems or wanted is None or target is None or scenario is None:
        raise SettingsError(problems, hint="hostemr load --help")
    _confirm(target, scenario, wanted, typed, write=write)
    accounts = read_accounts(names, password_file, os.environ, _ask) if scenario.logs_in else ()
    terminal = sys.stderr.isatty()
    live = Live(sys.stderr, renewing=terminal, coloured=terminal and not os.environ.get("NO_COLOR"))
    result = run_load(
        target,
        scenario,
        wanted,
        accounts=accounts,
        write=write,
        ca_file=str(ca_file) if ca_file else None,
        glance=live,
        say=live.say,
    )
    live.done()
    # Before the result: whoever reads that may stop after some lines, as `head` does.
    unwritten = _write(report, as_html(result)) if report else None
    click.echo(json.dumps(as_data(result), indent=2) if as_json else "\n".join(as_text(result)))
    if unwritten:
        raise unwritten
    if result.problems:
        raise FindingsError("the load was not good: " + " ".join(result.problems))


def _write(report: Path, page: str) -> OutsideWorldError | None:
    """Why it could not be, for after the result: an hour's figures are not lost for a full disk."""
    try:
        report.write_text(page, encoding="utf-8")
    except OSError as error:
        return OutsideWorldError(f"the report cannot be written to {report}: {error.strerror}")
    click.echo(f"the report is in {report}", err=True)
    return None


def _list_scenarios(*, as_json: bool) -> None:
    found = [load_scenario(name) for name in shipped()]
    if as_json:
        rows = [{"name": one.name, "title": one.title, "about": one.about, "logs_in": one.logs_in} for one in found]
        click.echo(json.dumps(rows, indent=2))
        return
    for one in found:
        click.echo(f"{one.name}: {one.title}")
        click.echo(click.wrap_text(one.about, width=100, initial_indent="  ", subsequent_indent="  "))


def _or_problems(problems: list[str], make: Callable[[], T]) -> T | None:
    """What `make` answers, or None with its problems noted: all options' problems are told at once."""
    try:
        return make()
    except SettingsError as error:
        problems += error.problems
        return None


def _read(problems: list[str], option: str, text: str, parse: Callable[[str], T | None], expected: str) -> T | None:
    value = parse(text)
    if value is None:
        problems.append(f"{option} is {text!r}; expected {expected}")
    return value


def _wrong_files(password_file: Path | None, ca_file: Path | None, report: Path | None) -> Iterator[str]:
    for option, path in (("--password-file", password_file), ("--ca-file", ca_file)):
        if path and not path.is_file():
            yield f"{option} is {path}; there is no such file"
    if report and report.is_dir():
        yield f"--report is {report}, which is a folder; expected a file"
    elif report and not report.absolute().parent.is_dir():
        # Found now, not after an hour of load.
        yield f"--report is {report}; its folder does not exist"


def _load(
    problems: list[str], *, users: int | None, paced: str | None, length: str, ramp: str, errors: str, late: str
) -> Load | None:
    before = len(problems)
    a_duration = "a duration such as 30s, 5m or 1h"
    seconds = _read(problems, "--for", length, duration, a_duration) or 0.0
    ramp_seconds = _read(problems, "--ramp", ramp, duration, a_duration) or 0.0
    per_second = _read(problems, "--rate", paced, rate, "a rate such as 50/s or 300/m") if paced is not None else None
    stop_errors = stop_latency = None
    if errors != "off":
        stop_errors = _read(problems, "--stop-errors", errors, share, "a percentage such as 5%, or off")
    if late != "off":
        stop_latency = _read(problems, "--stop-latency", late, latency_limit, "such as p95=5s, or off")
    if len(problems) == before and not 0 < seconds <= LONGEST_SECONDS:
        problems.append(f"--for is {length!r}; expected more than 0 and at most 24h")
    if len(problems) > before:
        return None
    if users is None:
        # A user of the open model is busy as long as a visit takes; ten seconds' worth of visits is a start.
        users = USERS if per_second is None else min(MOST_USERS_AT_A_RATE, max(USERS, round(per_second * 10)))
    # A short run is no ramp only.
    ramp_seconds = min(ramp_seconds, seconds / 4)
    return Load(seconds, users, ramp_seconds, per_second, stop_errors, stop_latency)


def _confirm(target: Target, scenario: Scenario, wanted: Load, typed: str | None, *, write: bool) -> None:
    """Says what will happen; beyond this machine it wants the host's name typed. Raises RefusedError."""
    if target.loopback:
        return
    click.echo(f"This sends load to {target.root}: {scenario.name}, {load_in_words(wanted)}.", err=True)
    if scenario.logs_in:
        click.echo("In a live EMR it makes real log-ins and audit entries, as often as users come.", err=True)
    if write and any(journey.writes for journey in scenario.journeys):
        click.echo("With --write it leaves documents in patients' charts. They do not go away by themselves.", err=True)
    click.echo(
        "People who work there at that time will wait longer. Only test what is yours or you may test.", err=True
    )
    firewall = "A firewall may block this address: hostemr's does after waf_rate_limit requests in 5 minutes"
    click.echo(f"{firewall} (20,000 unless you set it).", err=True)
    click.echo(f"AWS has rules for heavy tests from EC2, and forbids simulated floods: {AWS_POLICY}", err=True)
    if typed is None:
        if not sys.stdin.isatty():
            message = f"{target.host} is not this machine, and nobody is here to be asked. Nothing was sent."
            raise RefusedError(message, hint=f"--yes {target.host}, if you may test it")
        typed = click.prompt("Type the host's name to go on", err=True)
    if not _names(typed.strip().lower(), target.host):
        raise RefusedError(f"{typed!r} is not {target.host!r}. Nothing was sent.")


def _names(typed: str, host: str) -> bool:
    """Whether it is the host's name, as people write it or as DNS has it."""
    try:
        return host in {typed, typed.encode("idna").decode("ascii")}
    except UnicodeError:
        return False


def _ask(question: str) -> str:
    """A password, not shown while it is typed."""
    if not sys.stdin.isatty():
        raise SettingsError(
            ["no password is given, and nobody is here to be asked"],
            hint="HOSTEMR_LOAD_PASSWORD or --password-file",
        )
    return str(click.prompt(question, hide_input=True, err=True))
