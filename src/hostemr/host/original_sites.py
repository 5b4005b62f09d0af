"""The sites of an OpenEMR: which user of which database each of them is, as `sqlconf.php` says."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

_SETTING = re.compile(
    r"""^[ \t]*\$(host|port|login|pass|dbase|config)\s*=\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+)\s*;""",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, repr=False)
class Site:
    """What one site's sqlconf.php says; without a repr, which would show the password."""

    name: str
    login: str
    password: str
    database: str


def sites_of(folder: Path, warnings: list[str]) -> list[Site]:
    """OpenEMR's sites, and how each comes to its database."""
    sites = []
    for path in sorted(folder.glob("*/sqlconf.php")):
        settings = {name: _php(value) for name, value in _SETTING.findall(path.read_text("utf-8", "replace"))}
        name = path.parent.name
        if settings.get("config") == "0" or not all(settings.get(key) for key in ("login", "pass", "dbase")):
            warnings.append(f"sites/{name}/sqlconf.php names no user of the database: that site was never set up")
            continue
        if settings.get("host", "mysql") != "mysql":
            warnings.append(f"sites/{name}/sqlconf.php names the database's host {settings['host']}; it is mysql here")
        sites.append(Site(name, settings["login"], settings["pass"], settings["dbase"]))
    passwords = {(site.login, site.password) for site in sites}
    if len(passwords) > len({site.login for site in sites}):
        warnings.append("two sites have one user with different passwords; the user got the first one's")
    if not sites:
        warnings.append("no site of OpenEMR has a sqlconf.php that could be used, so no user was made")
    return sites


def _php(literal: str) -> str:
    """The value of one of PHP's quoted texts (PHP manual, "Strings")."""
    if literal[0] not in "'\"":
        return literal
    quoted = literal[1:-1]
    return re.sub(r"\\(['\\])" if literal[0] == "'" else r'\\(["\\$])', r"\1", quoted)


def database_user(site: Site) -> str:
    """The SQL that makes a site's user where there is none of that name, and lets it at the site's database.

    The password goes as the hash that MariaDB itself would make of it, so that no message can hold it.
    """
    inner = hashlib.sha1(site.password.encode()).digest()  # noqa: S324, mysql_native_password is made so
    digest = hashlib.sha1(inner).hexdigest().upper()  # noqa: S324
    user = f"'{_text(site.login)}'@'%'"
    database = site.database.replace("`", "``").replace("_", r"\_").replace("%", r"\%")
    return (
        f"CREATE USER IF NOT EXISTS {user} IDENTIFIED VIA mysql_native_password USING '*{digest}';\n"
        f"GRANT ALL PRIVILEGES ON `{database}`.* TO {user};\n"
    )


def _text(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
