"""The verb `hostemr sql`: statements through the RDS Data API, and their results."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from hostemr.deployment.load import DEPLOYMENTS
from hostemr.deployment.outputs import DATABASE_ARN, MASTER_SECRET
from hostemr.deployment.registration_rows import REGISTRATION
from hostemr.errors import EXIT_STATUSES, HostemrError, RefusedError, SettingsError
from hostemr.operate.aws import Account, Accounts
from hostemr.operate.printable import printable
from hostemr.operate.reach.data_api import DataApi, Result, Target, run_all
from hostemr.operate.reach.deployed import named
from hostemr.operate.reach.parameters import parameters
from hostemr.operate.reach.statements import Statement, split
from hostemr.operate.reach.tables import as_csv, as_data, as_table

_FORMATS = ("table", "json", "csv")


@click.command("sql", epilog=EXIT_STATUSES)
@click.argument("deployment", type=click.Choice(DEPLOYMENTS))
@click.argument("statement", metavar="[STATEMENT]", required=False)
@click.option("--file", "file", type=click.File(encoding="utf-8"), help="Statements from a file; - is the input.")
@click.option("--param", "params", metavar="NAME[:TYPE]=VALUE", multiple=True, help="A value for :NAME; any number.")
@click.option("--database", help="Which database; by default the application's.")
@click.option("--transaction", is_flag=True, help="All statements or none; a change of the schema escapes it.")
@click.option("--write", is_flag=True, help="Allow statements that change something; asks for a typed word.")
@click.option("--yes", metavar="DEPLOYMENT", help="The word, for scripts.")
@click.option("--suffix", default="", help="The deployment's resource_suffix, if it has one.")
@click.option("--region", help="Where it is; by default AWS_REGION or the profile's.")
@click.option("--profile", help="A profile of ~/.aws/config.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="table", show_default=True, help="Of results.")
@click.option("--json", "as_json", is_flag=True, help="As --format json, errors included.")
@click.pass_obj
def sql(
    accounts: Accounts | None,
    /,
    *,
    deployment: str,
    statement: str | None,
    file: Any,
    params: tuple[str, ...],
    database: str | None,
    transaction: bool,
    write: bool,
    yes: str | None,
    suffix: str,
    region: str | None,
    profile: str | None,
    form: str,
    as_json: bool,
) -> None:
    """Run SQL in the database, over HTTPS, as its master. It needs enable_data_api, which is off unless you set it.

    What changes something needs --write. A value goes into :NAME by --param, as text or as one of long, double,
    boolean, null, blob (base64), date, time, timestamp, decimal, json, uuid; it is never part of the SQL. A result may
    have 1 MiB, a statement 45 seconds.

    \b
    Examples:
      hostemr sql openemr "SELECT COUNT(*) FROM patient_data"
      hostemr sql openemr "SELECT pid FROM patient_data WHERE DOB > :day" --param day:date=2020-01-01 --format csv
      hostemr sql openmrs --file report.sql --json
      hostemr sql openemr --write --transaction --file mend.sql
    """  # noqa: D301, click reads a real \b
    if deployment == REGISTRATION:
        message = "the registration service's database is RDS for MySQL, and the RDS Data API is for Aurora"
        raise SettingsError([message], hint="`hostemr tunnel registration --open` gives a client of MySQL a way to it")
    names = named(deployment, suffix)
    statements = _statements(statement, file)
    given = parameters(params, statements)
    account = (accounts or Account)(region=region, profile=profile)
    changing = [one for one in statements if not one.only_reads]
    if changing:
        _agreed(changing, f"{deployment}{f'-{suffix}' if suffix else ''}", account.region, write=write, word=yes)
    data = names.data(account)
    target = Target(data[DATABASE_ARN], data[MASTER_SECRET], database or names.database)
    api = DataApi(account, target, talk=_say)
    form = "json" if as_json else form
    results: list[Result] = []
    try:
        for result in run_all(api, statements, given, together=transaction):
            results.append(result)
            if form != "json":
                _show(result, form, first=len(results) == 1)
    except HostemrError:
        if results and changing:
            _say(f"warning: the first {len(results)} of {len(statements)} statements were carried out, and stay so.")
        raise
    if form == "json":
        click.echo(json.dumps({"results": [as_data(one) for one in results]}, indent=2, ensure_ascii=False))


def _statements(statement: str | None, file: Any) -> list[Statement]:
    if (statement is None) == (file is None):
        hint = "hostemr sql DEPLOYMENT 'SELECT 1', or --file FILE"
        raise SettingsError(["a STATEMENT or --file is needed, and not both"], hint=hint)
    try:
        text = statement if statement is not None else file.read()
    except UnicodeDecodeError as error:
        raise SettingsError([f"{Path(file.name)} is not text in UTF-8"]) from error
    found = split(text)
    if not found:
        raise SettingsError(["there is no statement in it"])
    return found


def _agreed(changing: list[Statement], deployment: str, region: str, *, write: bool, word: str | None) -> None:
    """Raises RefusedError unless --write is given and the deployment's name is typed."""
    verbs = ", ".join(dict.fromkeys(one.verb for one in changing))
    if not write:
        hint = "give --write if that is meant"
        raise RefusedError(f"{verbs}: this may change patients' data, so nothing was done.", hint=hint)
    if word is None:
        _say(f"These {len(changing)} statements may change the data of {deployment} in {region}:")
        for one in changing:
            # What is agreed to has to be seen: a file of somebody else's may hold what steers the terminal.
            _say(f"  {printable(' '.join(one.text.split()))}")
        if not sys.stdin.isatty():
            raise RefusedError("Nobody can be asked here, so nothing was done.", hint=f"give --yes {deployment}")
        word = click.prompt(f"Type {deployment} to go on", default="", show_default=False, err=True)
    if word != deployment:
        raise RefusedError(f"That was {word!r}, not {deployment}: nothing was done.")


def _show(result: Result, form: str, *, first: bool) -> None:
    if not result.columns:
        _say(f"changed: {result.changed}" + (f", new keys: {list(result.generated)}" if result.generated else ""))
        return
    if not first:
        click.echo("")
    if form == "csv":
        lines = as_csv(result)
    else:
        lines = as_table(result, shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
    for line in lines:
        click.echo(line)
    if form == "table":
        _say(f"{len(result.rows)} row{'' if len(result.rows) == 1 else 's'}")


def _say(text: str) -> None:
    click.echo(text, err=True)
