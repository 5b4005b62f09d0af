"""Recovery codes: each lets a member in once in place of a phone or a passkey that is lost."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import Connection, and_, delete, func, insert, select

from hostemr.registration.schema import recovery_code

NUMBER = 10
LENGTH = 12
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without 0, 1, i, l and o, which people mistake for each other; twelve of them are 59 bits."""


class RecoveryCodes:
    """Keeps only keyed hashes of the codes, so that the database alone cannot be searched for them."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def replace(self, connection: Connection, member_id: int) -> list[str]:
        """Ten new codes, to be shown once; the old ones are void. Within the caller's transaction."""
        codes = [_new_code() for _ in range(NUMBER)]
        connection.execute(delete(recovery_code).where(recovery_code.c.member_id == member_id))
        rows = [{"member_id": member_id, "code_hash": self._hash(member_id, code)} for code in codes]
        connection.execute(insert(recovery_code), rows)
        return codes

    def use(self, connection: Connection, member_id: int, typed: str) -> bool:
        """Whether it is one of the member's codes; it is none any more."""
        this = and_(recovery_code.c.member_id == member_id, recovery_code.c.code_hash == self._hash(member_id, typed))
        return connection.execute(delete(recovery_code).where(this)).rowcount == 1

    def _hash(self, member_id: int, code: str) -> str:
        plain = "".join(character for character in code.lower() if character.isalnum())
        return hmac.new(self._key, f"{member_id}\0{plain}".encode(), hashlib.sha256).hexdigest()


def codes_left(connection: Connection, member_id: int) -> int:
    """How many codes a member has not used."""
    return connection.scalar(select(func.count()).where(recovery_code.c.member_id == member_id)) or 0


def _new_code() -> str:
    letters = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(letters[at : at + 4] for at in range(0, LENGTH, 4))
