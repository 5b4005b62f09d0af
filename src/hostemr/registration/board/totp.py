"""One-time codes of an app (TOTP, RFC 6238): six digits that change every 30 seconds."""

from __future__ import annotations

import base64
import hmac
import io
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

import pyotp
import segno
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from markupsafe import Markup
from sqlalchemy import Connection, and_, or_, update

from hostemr.errors import HostemrError
from hostemr.registration.schema import board_member

ISSUER = "OpenEMR registration board"
STEP_SECONDS = 30
DRIFT_STEPS = (0, -1, 1)
"""A phone's clock may be half a minute off; RFC 6238, 5.2 recommends no more."""
DIGITS = 6
_NONCE_BYTES = 12


class UnreadableSecret(HostemrError):
    """A secret was encrypted with another key: HOSTEMR_SECRET_KEY has changed since."""


class Totp:
    """Makes, keeps and checks the secrets of one-time codes. They are encrypted for their member alone."""

    def __init__(self, key: bytes, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._cipher = AESGCM(key)
        self._clock = clock

    def encrypt(self, secret: str, owner: str) -> str:
        """A secret as it is kept; only `owner` (a member, a form) can have it decrypted."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, secret.encode(), owner.encode())
        return base64.urlsafe_b64encode(sealed).decode()

    def decrypt(self, kept: str, owner: str) -> str:
        """The secret. Raises UnreadableSecret where it is another owner's, or made with another key."""
        try:
            sealed = base64.urlsafe_b64decode(kept.encode())
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.encode()).decode()
        except (InvalidTag, ValueError):
            message = "The secret of the one-time codes cannot be read."
            raise UnreadableSecret(message, hint="was HOSTEMR_SECRET_KEY changed? Reset the member") from None

    def matching_step(self, secret: str, code: str) -> int | None:
        """The time step whose code this is, now or one step off; None where it is none."""
        now = int(self._clock().timestamp()) // STEP_SECONDS
        codes = pyotp.TOTP(secret)
        # Every step is looked at, so that the time does not tell which it was.
        found = [
            now + drift
            for drift in DRIFT_STEPS
            if hmac.compare_digest(codes.generate_otp(now + drift).encode(), code.encode())
        ]
        return found[0] if found else None

    def use(self, connection: Connection, member_id: int, kept: str, code: str) -> bool:
        """Whether a code is right and was not used before; it counts as used from now on."""
        step = self.matching_step(self.decrypt(kept, kept_for(member_id)), code)
        if step is None:
            return False
        unused = and_(
            board_member.c.id == member_id, or_(board_member.c.totp_step.is_(None), board_member.c.totp_step < step)
        )
        return connection.execute(update(board_member).where(unused).values(totp_step=step)).rowcount == 1


def kept_for(member_id: int) -> str:
    """The owner of a secret that is in the database."""
    return f"totp:{member_id}"


def new_secret() -> str:
    """160 random bits, as RFC 4226, 4 recommends, in base32."""
    return pyotp.random_base32(32)


def in_groups(secret: str) -> str:
    """A secret as people type it: in groups of four."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))


def qr_code(secret: str, email: str) -> Markup:
    """The SVG that an app scans to know the secret; without style attributes, which the pages' policy forbids."""
    address = pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)
    out = io.BytesIO()
    # Black on white whatever the page's colours: many apps cannot read it the other way round.
    segno.make(address, error="m").save(
        out, kind="svg", xmldecl=False, svgns=True, scale=5, border=4, dark="#000", light="#fff",
        title="QR code for your authenticator app", svgclass="qr", lineclass=None,
    )  # fmt: skip
    # segno drew it from bits: nothing of what it encodes is in it as text.
    return Markup(out.getvalue().decode())  # noqa: S704
