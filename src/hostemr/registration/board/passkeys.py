"""Passkeys (WebAuthn Level 3): a key in a phone, a computer or a stick, which only this site can ask.

Challenges are not kept while they are out: each carries its purpose, its member and its end under a
keyed hash, so that looking at the sign-in page writes nothing. The table holds those that were used,
until they end, so that none is used twice.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import webauthn
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from webauthn.helpers import bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from hostemr.registration.board.roles import Member
from hostemr.registration.schema import passkey, passkey_challenge

Purpose = Literal["sign-in", "add", "confirm"]
SITE = "OpenEMR registration board"
GOOD_FOR = timedelta(minutes=5)
LONGEST_ASSERTION = 20_000
LONGEST_NAME = 60
_MADE = struct.Struct(">Q16s")
_MALFORMED = (
    WebAuthnException,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    struct.error,
    RecursionError,
)
"""What the library raises for input that no authenticator makes, besides its own errors."""


@dataclass(frozen=True, slots=True)
class Party:
    """The site as browsers know it: the name that a passkey belongs to, and where its pages are."""

    name: str
    origin: str


class PasskeyRefused(Exception):
    """What a browser sent is no proof; the argument says why, for the log and for tests."""


class Passkeys:
    """Asks browsers for passkeys and checks what they answer. Within the caller's transaction."""

    def __init__(self, key: bytes, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._key = key
        self._clock = clock

    def options_to_add(self, party: Party, member: Member, known: list[str]) -> str:
        """What `navigator.credentials.create` is given, as JSON; `known` are the member's credential ids."""
        options = webauthn.generate_registration_options(
            rp_id=party.name,
            rp_name=SITE,
            user_id=uuid.UUID(member.uuid).bytes,
            user_name=member.email,
            user_display_name=member.name,
            challenge=self._challenge("add", member.id),
            timeout=int(GOOD_FOR.total_seconds() * 1000),
            exclude_credentials=_descriptors(known),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                require_resident_key=True,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
        )
        return webauthn.options_to_json(options)

    def options_to_ask(self, party: Party, purpose: Purpose, member_id: int | None, known: list[str]) -> str:
        """What `navigator.credentials.get` is given, as JSON. Without `known` ids any passkey of the site does."""
        options = webauthn.generate_authentication_options(
            rp_id=party.name,
            challenge=self._challenge(purpose, member_id),
            timeout=int(GOOD_FOR.total_seconds() * 1000),
            allow_credentials=_descriptors(known),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return webauthn.options_to_json(options)

    def add(self, connection: Connection, party: Party, member_id: int, assertion: str, name: str) -> int:
        """Keep a new passkey; answers its number. Raises PasskeyRefused."""
        try:
            challenge = self._take_challenge(connection, assertion, "add", member_id)
            made = webauthn.verify_registration_response(
                credential=assertion,
                expected_challenge=challenge,
                expected_rp_id=party.name,
                expected_origin=party.origin,
                require_user_verification=True,
            )
        except _MALFORMED as error:
            raise PasskeyRefused(str(error)) from error
        credential_id = bytes_to_base64url(made.credential_id)
        if connection.scalar(select(passkey.c.id).where(passkey.c.credential_id == credential_id)) is not None:
            raise PasskeyRefused("this passkey is registered already")
        row = {
            "member_id": member_id,
            "credential_id": credential_id,
            "public_key": bytes_to_base64url(made.credential_public_key),
            "sign_count": made.sign_count,
            "name": name,
            "created_at": self._clock(),
        }
        connection.execute(insert(passkey), [row])
        return int(connection.scalar(select(passkey.c.id).where(passkey.c.credential_id == credential_id)) or 0)

    def use(
        self, connection: Connection, party: Party, assertion: str, purpose: Purpose, member_id: int | None
    ) -> tuple[int, int]:
        """The member and the passkey that an assertion proves. Raises PasskeyRefused.

        A count of signatures that does not grow tells of a copied key (WebAuthn Level 3, 6.1.1), and is refused.
        """
        try:
            challenge = self._take_challenge(connection, assertion, purpose, member_id)
            credential = json.loads(assertion)
            credential_id = str(credential["id"])
            found = select(passkey).where(passkey.c.credential_id == credential_id).with_for_update()
            # The column is ASCII, and MySQL refuses to compare it with anything else.
            row = connection.execute(found).first() if credential_id.isascii() else None
            if row is None or member_id not in {None, row.member_id}:
                raise PasskeyRefused("this passkey is not known here")
            proved = webauthn.verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=party.name,
                expected_origin=party.origin,
                credential_public_key=webauthn.base64url_to_bytes(row.public_key),
                credential_current_sign_count=row.sign_count,
                require_user_verification=True,
            )
        except _MALFORMED as error:
            raise PasskeyRefused(str(error)) from error
        used = {"sign_count": proved.new_sign_count, "used_at": self._clock()}
        connection.execute(update(passkey).where(passkey.c.id == row.id).values(**used))
        return row.member_id, row.id

    def _challenge(self, purpose: Purpose, member_id: int | None) -> bytes:
        ends = int((self._clock() + GOOD_FOR).timestamp())
        made = _MADE.pack(ends, secrets.token_bytes(16))
        return made + self._seal(made, purpose, member_id)

    def _seal(self, made: bytes, purpose: Purpose, member_id: int | None) -> bytes:
        words = f"passkey-challenge\0{purpose}\0{member_id or ''}\0".encode()
        return hmac.new(self._key, words + made, hashlib.sha256).digest()

    def _take_challenge(self, connection: Connection, assertion: str, purpose: Purpose, member_id: int | None) -> bytes:
        """The challenge that a browser answered, if it is one of ours and new. Raises PasskeyRefused, ValueError."""
        if len(assertion) > LONGEST_ASSERTION:
            raise PasskeyRefused("the answer is too long")
        client_data = json.loads(webauthn.base64url_to_bytes(json.loads(assertion)["response"]["clientDataJSON"]))
        challenge = webauthn.base64url_to_bytes(client_data["challenge"])
        made, seal = challenge[: _MADE.size], challenge[_MADE.size :]
        if not hmac.compare_digest(seal, self._seal(made, purpose, member_id)):
            raise PasskeyRefused("the challenge is not one of this form's")
        seconds, random = _MADE.unpack(made)
        now, ends = self._clock(), datetime.fromtimestamp(seconds, UTC)
        if ends <= now:
            raise PasskeyRefused("the challenge has ended")
        connection.execute(delete(passkey_challenge).where(passkey_challenge.c.expires_at <= now))
        row = {
            "uuid": str(uuid.UUID(bytes=random)),
            "purpose": purpose,
            "member_id": member_id,
            "challenge": bytes_to_base64url(challenge),
            "expires_at": ends,
        }
        try:
            connection.execute(insert(passkey_challenge), [row])
        except IntegrityError:
            raise PasskeyRefused("the challenge was used before") from None
        return challenge


def _descriptors(known: list[str]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=webauthn.base64url_to_bytes(one)) for one in known]
