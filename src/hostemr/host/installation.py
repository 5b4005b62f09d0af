"""OpenEMR's first installation: a generation of its own, made by the image's installer, or made again.

An installer that was killed cannot be resumed ("Table already exists"), so an unfinished installation is thrown away
and begun again. That is done only where nobody can have logged in: its record says that it never ended, and the
database has no user with rights.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from hostemr.host.compose import COMPOSE, RUNNING, initialisation_statements, installation_environment
from hostemr.host.containers import DATABASE
from hostemr.host.generations import make_empty
from hostemr.host.programs import HOUR, MINUTE
from hostemr.host.server import Server

RECORD = "installation"
_INSTALLER = ["docker", "compose", "--project-name", "openemr", "--file", str(COMPOSE), "--profile", RECORD]
_CONFIGURED = re.compile(r"^\$config\s*=\s*1\s*;", re.MULTILINE)
# Who has no group in gacl cannot log in; the installer makes them last.
# Source: openemr/openemr, library/classes/Installer.class.php (quick_install) and src/Common/Auth/AuthUtils.php.
_TABLES = """SELECT COUNT(*) FROM information_schema.tables
    WHERE table_schema = 'openemr' AND table_name IN ('users_secure', 'gacl_aro')"""
_USERS = "SELECT (SELECT COUNT(*) FROM openemr.users_secure) * (SELECT COUNT(*) FROM openemr.gacl_aro)"


def prepare_folders(folder: Path = RUNNING, *, database_password: str | None = None) -> None:
    """What the containers mount from memory; without a password, as at every start but the first.

    The folder is root's. What lies in `initdb` is readable, as the container's own user reads it there.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    for name, mode in (("initdb", 0o755), ("installation", 0o700)):
        (folder / name).mkdir(exist_ok=True)
        (folder / name).chmod(mode)
    _write(folder / "initdb" / "openemr.sql", initialisation_statements(database_password=database_password), 0o644)
    (folder / "installation" / "installation.env").unlink(missing_ok=True)


def ensure_installed(server: Server, *, running: Path = RUNNING) -> bool:
    """Install OpenEMR where nothing is served yet or an installation did not end; whether it did.

    Raises ProgramFailed where the installer failed, SettingsError for passwords that it cannot take. The next call
    begins again.
    """
    record = server.state.read(RECORD) or {}
    served = server.layout.served()
    if served is not None:
        # What a restore brought is served under another name than the installation's.
        if record.get("generation") != served or record.get("finished"):
            return False
        if _in_use(server):
            _finish(server, served)
            return False
    _discard(server, record)
    database_password = server.aws.secret(server.configuration.database_secret)
    administrator_password = server.aws.secret(server.configuration.administrator_secret)
    given = installation_environment(database_password=database_password, administrator_password=administrator_password)
    generation = _begin(server)
    prepare_folders(running, database_password=database_password)
    # From here on the web server says that OpenEMR is starting.
    server.containers.up("web")
    server.tell("starting the database")
    server.containers.up(DATABASE)
    server.tell("installing OpenEMR; this takes some minutes")
    _write(running / "installation" / "installation.env", given, 0o600)
    try:
        _run_installer(server, {"DATABASE_PASSWORD": database_password, "ADMINISTRATOR": administrator_password})
    finally:
        prepare_folders(running)
    _finish(server, generation)
    return True


def _run_installer(server: Server, hidden: Mapping[str, str]) -> None:
    """Upstream's script prints what it is given; `hidden` keeps that out of errors, as only its secrets are known."""
    server.programs.run(
        [*_INSTALLER, "run", "--rm", "-T", "--no-deps", "installer"],
        secrets=hidden,
        timeout=HOUR / 2,
    )


def _in_use(server: Server) -> bool:
    """Whether an installation whose end was not recorded can have been used."""
    configuration = server.layout.current / "sites/default/sqlconf.php"
    if not configuration.is_file() or not _CONFIGURED.search(configuration.read_text(encoding="utf-8")):
        return False
    server.containers.up(DATABASE)
    return _asked(server, _TABLES) == 2 and _asked(server, _USERS) > 0


def _asked(server: Server, query: str) -> int:
    answer = server.containers.exec(
        DATABASE, ["mariadb", "--skip-column-names", "--batch"], text=query, timeout=5 * MINUTE
    )
    return int(answer.strip())


def _discard(server: Server, record: Mapping[str, object]) -> None:
    """Throw away what an unfinished installation left."""
    if not record or record.get("finished"):
        return
    server.tell("an earlier installation did not end: beginning again")
    server.containers.stop()
    left = str(record["generation"])
    if server.layout.served() == left:
        server.layout.serve_nothing()
    folder = server.layout.generations / left
    if folder.exists():
        shutil.rmtree(folder)
    server.state.forget(RECORD)


def _begin(server: Server) -> str:
    """A new, empty generation, recorded before it is served: what is served without a record is never discarded."""
    name = make_empty(server)
    server.state.write(RECORD, {"generation": name, "finished": False})
    server.layout.serve(name)
    return name


def _finish(server: Server, generation: str) -> None:
    server.state.write(
        RECORD, {"generation": generation, "finished": True, "at": server.now().isoformat(timespec="seconds")}
    )


def _write(path: Path, text: str, mode: int) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
