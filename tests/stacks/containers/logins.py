"""Logging in to the database as OpenEMR would, and reading what it holds."""

from __future__ import annotations

import ssl

import pymysql

from tests.peers.mariadb import PrivateMariaDB
from tests.peers.openemr_image import Image
from tests.stacks.containers.authority import Authority


def login_works(image: Image, authority: Authority, user: str, password: str) -> bool:
    """Whether this user gets in over verified TLS, into its own database."""
    try:
        connection = pymysql.connect(
            host="127.0.0.1",
            port=int(image.environment["MYSQL_PORT"]),
            user=user,
            password=password,
            database=image.environment["MYSQL_DATABASE"],
            ssl=ssl.create_default_context(cafile=str(authority.file)),
        )
    except pymysql.err.OperationalError as error:
        # 1045 a wrong password, 4151 a locked user; anything else is not an answer.
        if error.args[0] not in {1045, 4151}:
            raise
        return False
    connection.close()
    return True


def contents(database: PrivateMariaDB, image: Image) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables of the image's database."""
    name = image.environment["MYSQL_DATABASE"]
    tables = database.execute(
        f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{name}' ORDER BY table_name"
    )
    return {str(table): database.execute(f"SELECT * FROM `{name}`.`{table}` ORDER BY 1") for (table,) in tables}


def state(database: PrivateMariaDB, image: Image) -> str:
    """What the set-up task recorded."""
    name = image.environment["MYSQL_DATABASE"]
    rows = database.execute(f"SELECT state FROM hostemr.setup WHERE application = '{name}'")
    return str(rows[0][0])
