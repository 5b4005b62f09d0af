"""A folder that looks to our scripts like the image of OpenMRS' backend, and the means to run and kill them there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hostemr.deployment.openmrs import OPENMRS
from hostemr.stacks.programs import program_parts, program_text
from tests.peers.loopback import free_port
from tests.peers.mariadb import PrivateMariaDB
from tests.peers.openemr_image import SCRIPTS, STOP_BEFORE_A_LINE, kill_session, kill_when_stopped, start_session
from tests.stacks.containers.authority import Authority

STAND_INS = Path(__file__).resolve().parents[1] / "stacks/containers/openmrs/stand_in"
DRIVER = Path("/usr/share/java/mariadb-java-client.jar")
DRIVER_IN_WAR = "WEB-INF/lib/mariadb-java-client-2.7.6.jar"
QUICK_JAVA = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""These runs are over before the second compiler pays."""
TOOLS = ("java", "javac", "curl", "mariadb")
STARTUP_INIT = """cat >"$OMRS_SERVER_PROPERTIES_FILE" <<EOF
connection.password=$OMRS_DB_PASSWORD
admin_user_password=${OMRS_ADMIN_USER_PASSWORD:-Admin123}
EOF
cat "$OMRS_SERVER_PROPERTIES_FILE"
if [ -f "$OMRS_RUNTIME_PROPERTIES_FILE" ]; then
    cat "$OMRS_RUNTIME_PROPERTIES_FILE"
fi
"""
"""Upstream's, as far as it matters here: before core 2.8.9 it prints what holds the passwords."""


def program(name: str) -> str:
    """The text of a program, as a container's command holds it."""
    return program_text(OPENMRS, name)


def stoppable(name: str) -> str:
    """The same, able to stop where STOP_AT says."""
    first, *others = program_parts(OPENMRS, name)
    return "\n".join([first, STOP_BEFORE_A_LINE, *others])


def client_source() -> str:
    """The database client's Java, as the script carries it."""
    script = (SCRIPTS / "openmrs/client.sh").read_text()
    return script.partition("<<'JAVA'\n")[2].partition("\nJAVA\n")[0] + "\n"


def client_jar(folder: Path, database: PrivateMariaDB, authority: Authority, user: str, password: str) -> Path:
    """An archive of the database client, and of what a test asks the database with, that starts in half the time.

    Beside it are the JVM's archive of the classes that a run loads, and in `bin` a `java` that knows it.
    """
    (folder / "Client.java").write_text(client_source())
    sources = (folder / "Client.java", STAND_INS / "Connect.java")
    # -Werror: what a newer JDK frowns upon shows here.
    compiler = ("javac", "-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-Xlint:all", "-Werror", "-proc:none")
    subprocess.run([*compiler, "--release", "11", "-d", folder / "classes", *sources], check=True)
    jar, archive, java = folder / "client.jar", folder / "client.jsa", folder / "bin/java"
    with zipfile.ZipFile(jar, "w") as made:
        for file in (folder / "classes").iterdir():
            made.write(file, file.name)
    with zipfile.ZipFile(folder / "openmrs.war", "w") as war:
        war.write(DRIVER, DRIVER_IN_WAR)
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    (folder / "options").write_text(
        f'user={user}\npassword="{quoted}"\nhost=127.0.0.1\nport={database.port}\nssl-ca={authority.file}\n'
    )
    (folder / "statements").write_text("SELECT 1")
    learning = ["-Xlog:disable", f"-XX:ArchiveClassesAtExit={archive}", "-cp", str(jar), "Client"]
    done = subprocess.run(
        ["java", *QUICK_JAVA, *learning, folder, folder / "openmrs.war", folder / "trust.p12", "certificates"],
        input=f"trust {authority.file}\nlock options learning 0\nrun options\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ready", "ok", "1", "ok"], done.stdout
    java.parent.mkdir()
    java.write_text(f'#!/bin/sh\nexec {shutil.which("java")} -Xlog:disable -XX:SharedArchiveFile={archive} "$@"\n')
    java.chmod(0o700)
    return jar


def missing() -> str | None:
    """What this machine lacks to run OpenMRS' scripts, or None."""
    lacking = [tool for tool in TOOLS if not shutil.which(tool)]
    if not DRIVER.exists():
        lacking.append("libmariadb-java")
    return ", ".join(lacking) or None


@dataclass
class Task:
    """One container of the image, with the share of all; `environment` is what it is given."""

    folder: Path
    shared: Path
    environment: dict[str, str]
    shell: Sequence[str] = ("dash",)
    path: str = field(default_factory=lambda: os.environ["PATH"])

    def __post_init__(self) -> None:
        self.openmrs = self.folder / "openmrs"
        self.data = self.openmrs / "data"
        self.properties = self.data / "openmrs-runtime.properties"
        self.handed_over = self.shared / "hostemr"
        self.log_file = self.folder / "log"
        self.stopped = self.folder / "stopped"
        self.port = free_port()
        (self.data / "complex_obs").mkdir(parents=True)
        (self.folder / "certificates").mkdir()
        self.shared.mkdir(parents=True, exist_ok=True)
        core = self.openmrs / "distribution/openmrs_core"
        core.mkdir(parents=True)
        with zipfile.ZipFile(core / "openmrs.war", "w") as war:
            war.write(DRIVER, DRIVER_IN_WAR)
            war.writestr("WEB-INF/web.xml", "<web-app/>")
        shutil.copy(STAND_INS / "startup.sh", self.openmrs / "startup.sh")
        (self.openmrs / "startup.sh").chmod(0o700)
        (self.openmrs / "startup-init.sh").write_text(STARTUP_INIT)
        self.demonstration = self.openmrs / "distribution/openmrs_modules/referencedemodata-2.6.1.omod"
        self.demonstration.parent.mkdir()
        for module in (self.demonstration, self.demonstration.with_name("idgen-5.0.4.omod")):
            module.touch()
        self.log_file.touch()
        self.set_version(1, "3.6.0")

    def set_version(self, number: int, tag: str) -> None:
        """Make it the image of another release."""
        (self.openmrs / "version").write_text(str(number))
        self.environment["IMAGE_REFERENCE"] = f"openmrs/openmrs-reference-application-3-backend:{tag}"

    def another(self, name: str) -> Task:
        """A further container of the same deployment: its own data directory, the same share."""
        number = (self.openmrs / "version").read_text()
        tag = self.environment["IMAGE_REFERENCE"].rpartition(":")[2]
        made = Task(self.folder.parent / name, self.shared, dict(self.environment), self.shell, self.path)
        made.set_version(int(number), tag)
        return made

    def variables(self, **more: str) -> dict[str, str]:
        """The whole environment of a run."""
        return {
            "PATH": self.path,
            "HOSTEMR_OPENMRS": str(self.openmrs),
            "HOSTEMR_WEB_PORT": str(self.port),
            "HOSTEMR_CERTIFICATES": str(self.folder / "certificates"),
            "HOSTEMR_WAITING": str(self.folder / "waiting"),
            "SHARED_DIRECTORY": str(self.shared),
            "STAND_IN_LOG": str(self.log_file),
            "STAND_IN_PYTHON": sys.executable,
            "STAND_IN_SERVER": str(STAND_INS / "server.py"),
            "STOPPED": str(self.stopped),
            "HEALTH_POLL_SECONDS": "0.1",
            "LOOK_SECONDS": "1",
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
            # As for a container: it ends with its first process, whatever that leaves behind. Until then the pipe
            # holds what it says.
            process.wait(timeout=60)
        finally:
            kill_session(process.pid)
            output, _ = process.communicate(timeout=10)
        return process.returncode, output

    def run_killed_at(self, name: str, point: str, **more: str) -> None:
        """Start a program and kill all its processes at once when it stops at that point."""
        self.stopped.unlink(missing_ok=True)
        kill_when_stopped(self.start(name, STOP_AT=point, **more), self.stopped, point)

    def log(self) -> list[str]:
        """What the stand-in did since the last call."""
        lines = self.log_file.read_text().splitlines()
        self.log_file.write_text("")
        return [line for line in lines if not line.startswith("java ")]
