"""The verb `hostemr tunnel`: a port of this machine that leads to the deployment's database."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from hostemr.deployment.database_roots import bundle_url
from hostemr.deployment.load import DEPLOYMENTS
from hostemr.deployment.outputs import CLUSTER, DATABASE_ARN, DATABASE_HOST, MASTER_SECRET, SERVICE
from hostemr.errors import EXIT_STATUSES, SettingsError
from hostemr.operate.aws import Account, Accounts, Aws, translated
from hostemr.operate.reach.client import Client, Credential, find_client, master_credential, options, run_client
from hostemr.operate.reach.deployed import Stack, named
from hostemr.operate.reach.greeting import Identity, await_database
from hostemr.operate.reach.plugin import find_plugin
from hostemr.operate.reach.ports import LOOPBACK, require_free
from hostemr.operate.reach.roots import fetch_roots
from hostemr.operate.reach.tasks import find_place
from hostemr.operate.reach.tunnel import Route, interruptible, open_tunnel

_DATABASE_PORT = 3306
_ANY_CLIENT = "-"


@click.command("tunnel", epilog=EXIT_STATUSES)
@click.argument("deployment", type=click.Choice(DEPLOYMENTS))
@click.option("--suffix", default="", help="The deployment's resource_suffix, if it has one.")
@click.option("--region", help="Where it is; by default AWS_REGION or the profile's.")
@click.option("--profile", help="A profile of ~/.aws/config.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=_DATABASE_PORT,
    show_default=True,
    help="Of this machine; 0 takes any.",
)
@click.option("--reader", is_flag=True, help="Lead to the reader, which changes nothing.")
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="How long the database may take.",
)
@click.option(
    "--open",
    "client_name",
    metavar="[CLIENT]",
    is_flag=False,
    flag_value=_ANY_CLIENT,
    help="Start mysql or mariadb, or CLIENT.",
)
@click.option("--user", help="With --open: another user than the master; the password is asked for.")
@click.option(
    "--ca",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The roots to check the database with; by default --open fetches Amazon's.",
)
@click.option("--print", "only_print", is_flag=True, help="Say what would be opened, and the same for aws; then stop.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, errors included.")
@click.pass_obj
def tunnel(
    accounts: Accounts | None,
    /,
    *,
    deployment: str,
    suffix: str,
    region: str | None,
    profile: str | None,
    port: int,
    wait: int,
    client_name: str | None,
    user: str | None,
    ca: Path | None,
    reader: bool,
    only_print: bool,
    as_json: bool,
) -> int:
    """Lead a port of this machine through a running task to the database, until ctrl-C.

    Nothing is opened to the internet: the way is a session of AWS Systems Manager. CloudTrail records who opened it,
    and nothing what was asked. It needs enable_ecs_exec, which is off unless you set it, and AWS's
    session-manager-plugin. --open reads the master's password from its secret; no argument and no file has it.

    \b
    Examples:
      hostemr tunnel openemr
      hostemr tunnel openemr --port 0 --open
      hostemr tunnel openmrs --reader --port 13306 --open mariadb --user reports
      hostemr tunnel openemr --print
      hostemr tunnel registration --port 0 --open
    """  # noqa: D301, click reads a real \b
    names = named(deployment, suffix)
    _consistent(client_name, user, only_print=only_print, as_json=as_json)
    client = find_client(None if client_name == _ANY_CLIENT else client_name) if client_name else None
    plugin = None if only_print else find_plugin()
    if not only_print:
        require_free(port)
    account = (accounts or Account)(region=region, profile=profile)
    service = names.service(account)
    data = service.over(names.data(account))
    place = find_place(account, cluster=service[CLUSTER], service=service[SERVICE])
    host = _reader(account, data) if reader else data[DATABASE_HOST]
    route = Route(place.target, host, _DATABASE_PORT, port)
    if plugin is None:
        _show(_described(route, account, data, names.database), as_json=as_json)
        return 0
    with interruptible(), ExitStack() as held:
        credential = _credential(account, data, user) if client else None
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="hostemr-")))
        roots = ca or (fetch_roots(account.region, folder) if client else None)
        _say(f"opening a tunnel through task {place.task} to {host} …")
        way = held.enter_context(open_tunnel(account, plugin, route, profile=profile, talk=_say))
        version = await_database(
            (LOOPBACK, way.port),
            wait,
            identity=Identity(host, roots) if roots else None,
            talk=_say,
            why_ended=way.why_ended,
        )
        if client and credential and roots:
            return _use(client, credential, way.port, roots, names.database)
        described = _described(route, account, data, names.database)
        _show({**described, "port": way.port, "session": way.session_id, "version": version}, as_json=as_json)
        _say("ctrl-C closes it.")
        try:
            raise way.wait()
        except KeyboardInterrupt:
            _say("closed")
    return 0


def _consistent(client_name: str | None, user: str | None, *, only_print: bool, as_json: bool) -> None:
    problems = []
    if user and not client_name:
        problems.append("--user is for --open; a client of yours gets its user itself")
    if client_name and only_print:
        problems.append("--print opens nothing, so --open has nothing to connect to")
    if client_name and as_json:
        problems.append("--json tells of a tunnel that stays open; --open gives the terminal to a client")
    if problems:
        raise SettingsError(problems)


def _credential(account: Aws, data: Stack, user: str | None) -> Credential:
    """Before the tunnel opens, so that nobody waits at an open one for a password."""
    if user is None:
        return master_credential(account, data[MASTER_SECRET])
    return Credential(user, click.prompt(f"Password of {user}", hide_input=True, err=True))


def _reader(account: Aws, data: Stack) -> str:
    if DATABASE_ARN not in data.outputs:
        hint = "leave out --reader; the database's standby answers nobody until it takes over"
        raise SettingsError([f"the database of {data.name} is one instance, which has no reader"], hint=hint)
    with translated("looking for the reader"):
        cluster = account.client("rds").describe_db_clusters(DBClusterIdentifier=data[DATABASE_ARN])["DBClusters"][0]
    if all(member["IsClusterWriter"] for member in cluster["DBClusterMembers"]):
        _say("warning: there is no reader (aurora_reader is off): this leads to the writer.")
    return str(cluster["ReaderEndpoint"])


def _use(client: Client, credential: Credential, port: int, roots: Path, database: str) -> int:
    status = run_client(client, options(client, credential, port, roots), database)
    _say("closed")
    return status


def _described(route: Route, account: Aws, data: Stack, database: str) -> dict[str, Any]:
    return {
        "host": LOOPBACK,
        "port": route.local_port,
        "database": database,
        "database_host": route.host,
        "master_secret": data[MASTER_SECRET],
        "roots": bundle_url(account.region),
        "target": route.target,
        "request": route.request(),
        "region": account.region,
    }


def _show(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        # Whoever reads it starts when it is there, while we stay.
        sys.stdout.flush()
        return
    is_open = "session" in told
    rows = [
        ("host", told["host"]),
        ("port", told["port"] or "any"),
        ("database", told["database"]),
        ("leads to", told["database_host"] + (f" ({told['version']})" if is_open else "")),
        ("user, password", _shell("aws", "secretsmanager", "get-secret-value", "--secret-id", told["master_secret"])),
        ("roots for TLS", told["roots"]),
    ]
    if is_open:
        connect = f"mysql --host={LOOPBACK} --port={told['port']} --user=NAME --password --ssl-mode=VERIFY_CA"
        rows.append(("connect with", f"{connect} --ssl-ca=global-bundle.pem {told['database']}"))
    else:
        rows.append(("the same with", _for_aws(told)))
    for name, value in rows:
        click.echo(f"{name.ljust(14)}  {value}")


def _for_aws(told: dict[str, Any]) -> str:
    request = told["request"]
    given = {
        "--region": told["region"],
        "--target": request["Target"],
        "--document-name": request["DocumentName"],
        "--parameters": json.dumps(request["Parameters"]),
    }
    return _shell("aws", "ssm", "start-session", *(word for pair in given.items() for word in pair))


def _shell(*words: str) -> str:
    """A command line to copy; the ! in the name of RDS's secrets would recall an earlier command."""
    return shlex.join(words)


def _say(text: str) -> None:
    click.echo(text, err=True)
