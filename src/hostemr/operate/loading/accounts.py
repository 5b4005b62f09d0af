"""Log-ins for a load: names from options, passwords from a file, the environment or a prompt, never from arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hostemr.errors import SettingsError
from hostemr.operate.loading.visitor import Account

VARIABLE = "HOSTEMR_LOAD_PASSWORD"
"""The environment variable with one password for all users."""


def read_accounts(
    names: tuple[str, ...],
    password_file: Path | None,
    environment: Mapping[str, str],
    ask: Callable[[str], str],
) -> tuple[Account, ...]:
    """The accounts of those names. A file has one password for all, or one line for each name in their order.

    `ask` gets a question and answers a password. Raises SettingsError, which never repeats a password.
    """
    if not names:
        raise SettingsError(
            ["no --user is given, and this scenario logs in"], hint="--user NAME, best a user made for the test"
        )
    if password_file:
        passwords = _lines(password_file)
        if len(passwords) not in {1, len(names)}:
            expected = "one for all" if len(names) == 1 else f"one for all, or {len(names)}, in the users' order"
            raise SettingsError([f"--password-file has {len(passwords)} lines; expected {expected}"])
    elif environment.get(VARIABLE):
        passwords = [environment[VARIABLE]]
    else:
        passwords = [ask(f"Password of {', '.join(names)}")]
    if len(passwords) == 1:
        passwords *= len(names)
    return tuple(Account(name, password) for name, password in zip(names, passwords, strict=True))


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    except UnicodeDecodeError as error:
        # The error's own text would show bytes of a password.
        raise SettingsError([f"--password-file {path} is no UTF-8 text"]) from error
    except OSError as error:
        raise SettingsError([f"--password-file {path} cannot be read: {error.strerror}"]) from error
