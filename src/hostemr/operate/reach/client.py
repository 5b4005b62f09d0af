"""A MySQL client on a tunnel: TLS demanded, and the password where only the client can read it.

Not in the arguments, which everybody on the machine sees. Not in MYSQL_PWD, which every child of the client inherits,
which processes of the same user can read for as long as it runs, and which MySQL calls insecure. Not in a file either,
which would stay behind when we are killed: the options go through a pipe that the client reads once, given as
`--defaults-file=/dev/fd/N`. That is then the only file: in ~/.my.cnf, which is read after an extra one, another host or
user would win, and the statements would go there. https://dev.mysql.com/doc/refman/8.4/en/password-security-user.html
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.operate.aws import Aws, translated

CLIENTS = ("mysql", "mariadb")
"""Looked for in this order."""
_NO_FILE = "/dev/null/none"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\t": r"\t", "\r": r"\r"})


@dataclass(frozen=True)
class Credential:
    """A user of the database. The password is never shown."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Client:
    """A program of MySQL's or MariaDB's kin; they spell TLS differently."""

    path: str
    is_mariadb: bool


def find_client(name: str | None = None, path: str | None = None) -> Client:
    """The client of that name, or the first of `CLIENTS`. Raises OutsideWorldError where there is none."""
    if os.name != "posix":
        raise SettingsError(["--open needs a Unix"], hint="leave it out, and connect with a client of yours")
    found = next((program for one in ([name] if name else CLIENTS) if (program := shutil.which(one, path=path))), None)
    if found is None:
        message = f"{name or ' or '.join(CLIENTS)} is not installed."
        hint = "install mysql-client or mariadb-client, or connect with another program without --open"
        raise OutsideWorldError(message, hint=hint)
    try:
        said = subprocess.run(  # noqa: S603, what the operator names
            [found, "--version"], capture_output=True, text=True, check=True, timeout=20, stdin=subprocess.DEVNULL
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise OutsideWorldError(f"{found} --version fails.", hint="--open wants mysql, mariadb or their kin") from error
    if not any(word in said.lower() for word in CLIENTS):
        hint = "--open wants mysql, mariadb or their kin; connect with others yourself, without --open"
        raise SettingsError([f"{found} is not known as a client of MySQL"], hint=hint)
    return Client(found, is_mariadb="mariadb" in said.lower())


def master_credential(aws: Aws, secret_arn: str) -> Credential:
    """The master's name and password, from the secret that RDS keeps. Raises OutsideWorldError where it is refused."""
    with translated("reading the database's secret"):
        text = aws.client("secretsmanager").get_secret_value(SecretId=secret_arn).get("SecretString", "")
    try:
        held: dict[str, Any] = json.loads(text)
        return Credential(str(held["username"]), str(held["password"]))
    except (ValueError, KeyError, TypeError):
        # Without its cause, which holds the text.
        message = "The database's secret does not hold username and password as JSON."
        raise OutsideWorldError(message, hint="was it changed by hand? --user asks for a password instead") from None


def options(client: Client, credential: Credential, port: int, roots: Path) -> str:
    """An option file. The client vouches for the authority only: the name in the certificate is not 127.0.0.1."""
    tls = ["ssl", "loose-skip-ssl-verify-server-cert"] if client.is_mariadb else ["ssl-mode=VERIFY_CA"]
    given = {
        "user": credential.user,
        "password": credential.password,
        "host": "127.0.0.1",
        "port": str(port),
        "protocol": "tcp",
        "ssl-ca": str(roots),
    }
    quoted = [f'{name}="{value.translate(_ESCAPES)}"' for name, value in given.items()]
    return "\n".join(["[client]", *quoted, *tls, ""])


def run_client(client: Client, text: str, database: str) -> int:
    """Runs it on this terminal with the options `text` until it ends; answers its exit status."""
    reading, writing = os.pipe()
    try:
        # Far below what a pipe holds, so that this does not wait for the reader.
        os.write(writing, text.encode())
        os.close(writing)
        arguments = [client.path, f"--defaults-file=/dev/fd/{reading}", database]
        # MySQL's ~/.mylogin.cnf wins over all files, and is read even so.
        environment = {**os.environ, "MYSQL_TEST_LOGIN_FILE": _NO_FILE}
        with subprocess.Popen(arguments, pass_fds=(reading,), env=environment) as process:  # noqa: S603
            return _outlasted(process)
    finally:
        os.close(reading)


def _outlasted(process: subprocess.Popen[bytes]) -> int:
    """Its exit status; ctrl-C is meant for it, as in ending a query, and not for us."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        status = process.wait()
    except BaseException:
        process.terminate()
        raise
    finally:
        signal.signal(signal.SIGINT, before)
    # As a shell reports a program that a signal has ended.
    return status if status >= 0 else 128 - status
