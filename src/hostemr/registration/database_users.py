"""The service's two users at MySQL or MariaDB, between which rotation alternates.

They may read and write the rows of one database, over TLS only. Tables are the master's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from hostemr.errors import OutsideWorldError
from hostemr.registration.preparation import Credential

RIGHTS = "SELECT, INSERT, UPDATE, DELETE"


class LockLost(OutsideWorldError):
    """The session that held the lock ended: another task may be at work by now."""

    exit_status = 76


class LockedSession:
    """The master's session that holds the lock. What it runs cannot run without the lock: it ends with it.

    `secrets` are taken out of what the database says of a statement that it refuses.
    """

    def __init__(self, connection: AsyncConnection, database: str, secrets: Sequence[str]) -> None:
        self._connection = connection
        self._database = database
        self._secrets = secrets

    async def create_database(self) -> None:
        """Make the database unless it is there."""
        await self.run(f"CREATE DATABASE IF NOT EXISTS {_quoted(self._database)} CHARACTER SET utf8mb4")

    async def open_user(self, credential: Credential) -> None:
        """It exists, has this password and its rights, and may log in over TLS."""
        named = {"user": credential.username, "password": credential.password}
        await self.run("CREATE USER IF NOT EXISTS :user@'%' IDENTIFIED BY :password REQUIRE SSL", **named)
        await self.run("ALTER USER :user@'%' IDENTIFIED BY :password REQUIRE SSL ACCOUNT UNLOCK", **named)
        await self.grant(credential.username)

    async def keep_user(self, credential: Credential) -> None:
        """It exists, closed and with this password if it was not there before, and has its rights.

        A user that is there stays as it is: tasks may be using it.
        """
        named = {"user": credential.username, "password": credential.password}
        await self.run("CREATE USER IF NOT EXISTS :user@'%' IDENTIFIED BY :password REQUIRE SSL ACCOUNT LOCK", **named)
        await self.grant(credential.username)

    async def grant(self, username: str) -> None:
        """Give a user its rights to the rows of the database."""
        pattern = self._database
        # A variable of MySQL's alone. Without it, _ and % in a grant stand for other characters too.
        revokes = await self.run("SHOW VARIABLES LIKE 'partial_revokes'")
        if not any(str(value).upper() == "ON" for _, value in revokes):
            pattern = pattern.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")
        await self.run(f"GRANT {RIGHTS} ON {_quoted(pattern)}.* TO :user@'%'", user=username)

    async def has_table(self, name: str) -> bool:
        """Whether the database has this table."""
        tables = "information_schema.tables WHERE table_schema = :database AND table_name = :name"
        [(number,)] = await self.run(f"SELECT COUNT(*) FROM {tables}", database=self._database, name=name)  # noqa: S608
        return bool(number)

    async def run(self, sql: str, **values: str) -> Sequence[Any]:
        """The rows of one statement. Raises LockLost, or OutsideWorldError where the database refuses it."""
        try:
            result = await self._connection.execute(text(sql), values)
            return result.fetchall() if result.returns_rows else []
        except DBAPIError as error:
            if error.connection_invalidated:
                message = "The database ended the session that held the lock."
                raise LockLost(message, hint="run this again") from None
            # Without the error that was its cause: a driver's error can quote the statement.
            message = f"The database refused {sql.partition(' :')[0]}."
            raise OutsideWorldError(message, hint=self._without_secrets(error)) from None

    def _without_secrets(self, error: DBAPIError) -> str:
        said = " ".join(str(argument) for argument in error.orig.args) if error.orig is not None else ""
        for secret in self._secrets:
            said = said.replace(secret, "…")
        return said


def _quoted(name: str) -> str:
    """A name of a database as MySQL reads it between backticks; a colon would begin a parameter here."""
    return "`" + name.replace("`", "``").replace(":", "\\:") + "`"
