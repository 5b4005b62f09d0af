"""Keys for the hashes that stand for people's addresses, and what development generates by itself."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from hostemr.errors import SettingsError
from hostemr.registration.settings import RegistrationSettings

KEY_FILE = "secret-key"
PIN_FILE = "secret-pin"


@dataclass(frozen=True, slots=True)
class Keys:
    """`stored` keys hashes that are kept for days, None where none may be; `passing` those of minutes.

    `suppression` keys those of addresses that were erased, for years; None where none can be made.
    `board` keys what the console keeps: the audit log, forms, recovery codes, TOTP secrets; None where
    nobody can sign in.
    """

    stored: bytes | None
    passing: bytes
    suppression: bytes | None
    board: BoardKeys | None


@dataclass(frozen=True, slots=True)
class BoardKeys:
    """One key for each thing that the console does with one."""

    audit: bytes
    forms: bytes
    recovery_codes: bytes
    totp_secrets: bytes


def resolve_keys(settings: RegistrationSettings) -> Keys:
    """The keys for these settings; in development one is made at the first start and kept in a file.

    Without a secret_key the counts of rate limits are keyed from the database's URL, which every
    process of the service shares and nobody else knows where it holds a password; those counts
    live for minutes. Hashes that would be kept for days are not stored then.
    """
    if settings.secret_key is not None:
        text = settings.secret_key.get_secret_value()
    elif settings.development:
        text = generated_secret(settings.data_folder / KEY_FILE)
    else:
        url = settings.effective_database_url.render_as_string(hide_password=False)
        return Keys(stored=None, passing=_derive(url, "limits"), suppression=None, board=None)
    return Keys(
        stored=_derive(text, "client-address"),
        passing=_derive(text, "limits"),
        suppression=_derive(text, "suppression"),
        board=BoardKeys(
            audit=_derive(text, "audit"),
            forms=_derive(text, "forms"),
            recovery_codes=_derive(text, "recovery-codes"),
            totp_secrets=_derive(text, "totp-secrets"),
        ),
    )


def resolve_pin(settings: RegistrationSettings) -> tuple[str | None, str | None]:
    """The pin in clear and its Argon2 hash, at most one of them; development makes a pin of 128 bits."""
    if settings.secret_pin_hash is not None:
        return None, settings.secret_pin_hash.get_secret_value()
    if settings.secret_pin is not None:
        return settings.secret_pin.get_secret_value(), None
    return (generated_secret(settings.data_folder / PIN_FILE) if settings.development else None), None


def generated_secret(path: Path) -> str:
    """The secret in a file that only this user can read; made where there is none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(16))
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        problem = f"{path} cannot be read or written: {error.strerror}"
        raise SettingsError([problem], hint="set HOSTEMR_DATA_FOLDER to a folder that can be written") from error


def _derive(secret: str, purpose: str) -> bytes:
    return hashlib.blake2b(secret.encode(), digest_size=32, person=purpose.encode()[:16]).digest()
