"""`hostemr registration prepare-database` and `health`: what a deployment runs beside the service."""

from __future__ import annotations

import os

import click

from hostemr.errors import EXIT_STATUSES

PREPARATION_STATUSES = """\b
Exit status:
  0   done
  2   wrong use, or wrong settings
  3   the database cannot be reached or trusted, or refused a statement
  4   refused to harm data: a newer version made the tables
  75  another task is at work, or nothing is installed yet
  76  the lock was lost on the way: run it again
"""
"""The Lambda functions of the deployment run the task again after 75 and 76."""


@click.command("prepare-database", epilog=PREPARATION_STATUSES)
def prepare_database() -> None:
    """Make MySQL ready for the service: the database, its tables, its two users.

    Reads the service's settings, HOSTEMR_MASTER_USERNAME and HOSTEMR_MASTER_PASSWORD, and SETUP_MODE:
    `configure` (the default) before the service starts or changes; `credentials` in a rotation, where
    HOSTEMR_NEXT_USERNAME and HOSTEMR_NEXT_PASSWORD are the user whose turn is next. It can be stopped
    at any moment and run again; SETUP_TIMEOUT_SECONDS stops it.
    """
    from hostemr.registration.command_line import run
    from hostemr.registration.logs import configure_logs
    from hostemr.registration.preparation import load_preparation
    from hostemr.registration.prepare_database import prepare_database as prepare

    plan = load_preparation(os.environ)
    configure_logs(plan.settings)
    run(prepare(plan))


@click.command(epilog=EXIT_STATUSES)
@click.option("--worker", is_flag=True, help="Ask for the worker of this user instead: whether its loop goes round.")
def health(*, worker: bool) -> None:
    """Ask whether the service on this machine is alive; the database is not asked.

    For a container's health check: with the settings of `hostemr serve`, it asks /healthz there.
    """
    from hostemr.registration.health_check import check_server, check_worker, longest_silence, place_of

    click.echo(check_worker(longest_silence(os.environ)) if worker else check_server(place_of(os.environ)))
