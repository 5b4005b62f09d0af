"""Logging in to the database as OpenMRS would."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import pymysql

from tests.stacks.containers.authority import Authority

Credential = tuple[str, str]
"""User and password."""


def login_works(environment: Mapping[str, str], authority: Authority, credential: Credential) -> bool:
    """Whether this user gets in over verified TLS, into the database that the environment of a task names."""
    try:
        connection = pymysql.connect(
            host="127.0.0.1",
            port=int(environment["OMRS_DB_PORT"]),
            user=credential[0],
            password=credential[1],
            database=environment["OMRS_DB_NAME"],
            ssl=ssl.create_default_context(cafile=str(authority.file)),
        )
    except pymysql.err.OperationalError as error:
        # 1045 a wrong password, 4151 a locked user; anything else is not an answer.
        if error.args[0] not in {1045, 4151}:
            raise
        return False
    connection.close()
    return True
