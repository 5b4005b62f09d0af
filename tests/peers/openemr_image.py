"""A folder that looks to our scripts like OpenEMR's image, and the means to run and to kill them there."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hostemr.deployment.openemr import OPENEMR
from hostemr.stacks.programs import program_parts, program_text

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "src/hostemr/stacks/containers"
STAND_IN = ROOT / "tests/stacks/containers/stand_in/openemr.sh"
SKELETON_SQLCONF = """<?php
$host\t= 'localhost';
$port\t= '3306';
$login\t= 'openemr';
$pass\t= 'openemr';
$dbase\t= 'openemr';
$sqlconf = array();
$sqlconf["host"]= $host;
$config = 0; /////////////
?>
"""
GLOBALS_PHP = """<?php
namespace {
    if (($_GET['site'] ?? '') !== 'default' || empty($ignoreAuth)) {
        exit('a login page');
    }
    echo 'what globals.php prints';
}
namespace OpenEMR\\Common\\Crypto {
    class CryptoGen
    {
        public function encryptStandard($value)
        {
            return '007' . base64_encode(strrev($value));
        }
    }
}
"""
"""Upstream's bootstrap, as far as it matters: it wants a site and, without a login, to be told so."""
STOP_BEFORE_A_LINE = """
say() {
    printf '%s %s\\n' "$(date -u +%H:%M:%SZ)" "$*"
    case "$*" in
        "${STOP_AT:-nowhere}"*) : >"$STOPPED"; kill -STOP $$ ;;
    esac
}
"""
"""What the tests put after ground.sh: every step is announced by `say`, so there a run can be stopped and killed."""


def program(name: str) -> str:
    """The text of a program, as a container's command holds it."""
    return program_text(OPENEMR, name)


def stoppable(name: str) -> str:
    """The same, able to stop where STOP_AT says."""
    first, *others = program_parts(OPENEMR, name)
    return "\n".join([first, STOP_BEFORE_A_LINE, *others])


@dataclass
class Image:
    """One copy of the image with its volume; `environment` is what a task of it is given."""

    folder: Path
    environment: dict[str, str]
    shell: Sequence[str] = ("dash",)
    path: str = field(default_factory=lambda: os.environ["PATH"])

    def __post_init__(self) -> None:
        self.openemr = self.folder / "openemr"
        self.sites = self.openemr / "sites"
        self.sqlconf = self.sites / "default/sqlconf.php"
        self.certificates = self.sites / "default/documents/certificates"
        self.etc = self.folder / "etc"
        self.log_file = self.folder / "log"
        self.stopped = self.folder / "stopped"
        skeleton = self.folder / "pieces/sites/default"
        for folder in (
            self.sites,
            skeleton / "documents/certificates",
            self.folder / "root",
            self.etc / "php84/conf.d",
        ):
            folder.mkdir(parents=True)
        (self.folder / "pieces/ssl/certs").mkdir(parents=True)
        (self.folder / "pieces/ssl/openssl.cnf").write_text("[req]\ndistinguished_name = name\n[name]\n")
        (self.etc / "apache2/conf.d").mkdir(parents=True)
        (self.etc / "apache2/conf.d/openemr.conf").write_text('CustomLog "|/usr/sbin/rotatelogs access" combined\n')
        (skeleton / "sqlconf.php").write_text(SKELETON_SQLCONF)
        (self.folder / "root/devtoolsLibrary.source").write_text("mariadb --skip-ssl -u x\n")
        shutil.copy(STAND_IN, self.openemr / "openemr.sh")
        (self.openemr / "openemr.sh").chmod(0o700)
        (self.openemr / "interface").mkdir()
        (self.openemr / "interface/globals.php").write_text(GLOBALS_PHP)
        self.log_file.touch()
        self.set_version(6)

    def set_version(self, number: int) -> None:
        """Make it the image of another version of OpenEMR."""
        for place in (self.folder / "root", self.openemr, self.folder / "pieces/sites/default"):
            (place / "docker-version").write_text(str(number))
        (self.openemr / "version.php").write_text(f"<?php\n$v_database = {number}00;\n")

    def variables(self, **more: str) -> dict[str, str]:
        """The whole environment of a run."""
        return {
            "PATH": self.path,
            "HOSTEMR_OPENEMR": str(self.openemr),
            "HOSTEMR_ROOT_HOME": str(self.folder / "root"),
            "HOSTEMR_PIECES": str(self.folder / "pieces"),
            "HOSTEMR_ETC": str(self.etc),
            "HOSTEMR_APACHE": getpass.getuser(),
            "STAND_IN_LOG": str(self.log_file),
            "STOPPED": str(self.stopped),
            **self.environment,
            **more,
        }

    def start(self, name: str, **more: str) -> subprocess.Popen[str]:
        """Start a program in a session of its own."""
        return start_session([*self.shell, "-c", stoppable(name)], self.variables(**more), self.folder)

    def run(self, name: str, **more: str) -> tuple[int, str]:
        """Run a program to its end; status and output."""
        process = self.start(name, **more)
        try:
            output, _ = process.communicate(timeout=60)
        finally:
            kill_session(process.pid)
        return process.returncode, output

    def run_killed_at(self, name: str, point: str, **more: str) -> None:
        """Start a program and kill all its processes at once when it stops at that point."""
        self.stopped.unlink(missing_ok=True)
        kill_when_stopped(self.start(name, STOP_AT=point, **more), self.stopped, point)

    def log(self) -> list[str]:
        """What the stand-in did since the last call."""
        lines = self.log_file.read_text().splitlines()
        self.log_file.write_text("")
        return lines

    def credential(self) -> tuple[str, str]:
        """User and password that sqlconf.php names."""
        text = self.sqlconf.read_text()
        login = re.search(r"^\$login\s*= '(.*)';", text, re.MULTILINE)
        password = re.search(r"^\$pass\s*= '(.*)';", text, re.MULTILINE)
        assert login is not None
        assert password is not None
        return login[1], password[1]

    def fingerprints(self) -> Mapping[str, str]:
        """What each file under sites/ holds."""
        return {
            str(file.relative_to(self.sites)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(self.sites.rglob("*"))
            if file.is_file()
        }


def session_processes(session: int) -> Iterator[int]:
    """Ids of all processes of a session, stopped ones included."""
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208, paths for all would cost more than the rest
        with contextlib.suppress(OSError):
            # Asked of the system, as reading the state of every process on the machine takes ten times as long.
            if os.getsid(int(name)) == session and _state(name) != "Z":
                yield int(name)


def _state(process: str) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def kill_session(session: int) -> None:
    """SIGKILL to every process that the leader of this session has started; nothing else is touched."""
    while processes := list(session_processes(session)):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)


def start_session(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> subprocess.Popen[str]:
    """Start a command in a session of its own; its output is one stream."""
    return subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kill_when_stopped(process: subprocess.Popen[str], stopped: Path, point: str) -> None:
    """Wait until a program has said that it stopped at a point, and kill all its processes."""
    deadline = time.monotonic() + 30
    try:
        while not stopped.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                kill_session(process.pid)
                message = f"it never came to {point!r}:\n{process.communicate()[0]}"
                raise AssertionError(message)
            time.sleep(0.02)
    finally:
        kill_session(process.pid)
    process.communicate(timeout=10)
