"""Refuses to work with another key than the one by which erased addresses are recognised.

With another one, or none, somebody who had opted out and was erased would get mail again after
the next registration.
"""

from __future__ import annotations

import hashlib
import hmac

from sqlalchemy import Connection, select

from hostemr.errors import RefusedError
from hostemr.registration.database import Database, upsert
from hostemr.registration.keys import Keys
from hostemr.registration.schema import key_check

NAME = "suppression"


async def check_key(database: Database, keys: Keys) -> None:
    """Raises RefusedError where addresses were erased under a key that is not this one."""
    async with database.read() as connection:
        await connection.run_sync(lambda plain: verify(plain, keys.suppression))


def verify(connection: Connection, key: bytes | None) -> None:
    """As `check_key`, within a transaction."""
    stored = connection.scalar(select(key_check.c.fingerprint).where(key_check.c.name == NAME))
    if stored is not None and (key is None or not hmac.compare_digest(stored, _fingerprint(key))):
        message = "HOSTEMR_SECRET_KEY is not the key by which erased addresses are recognised."
        raise RefusedError(message, hint="set it to what it was when an address was erased for the first time")


def remember(connection: Connection, dialect: str, key: bytes) -> None:
    """Bind the database to this key, if it is not bound yet. Raises RefusedError where it is to another."""
    row = {"name": NAME, "fingerprint": _fingerprint(key)}
    # Of two at once the second waits here for the first, and then sees its fingerprint.
    connection.execute(upsert(dialect, key_check, ("name",), lambda _: {}), [row])
    verify(connection, key)


def _fingerprint(key: bytes) -> str:
    return hashlib.blake2b(b"fingerprint", key=key, digest_size=32).hexdigest()
