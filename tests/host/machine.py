"""An Express Plus server in a folder: real MariaDB, real files, stand-ins for Docker's and AWS's command lines."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hostemr.host.aws import Aws
from hostemr.host.configuration import Configuration, parse
from hostemr.host.containers import Containers
from hostemr.host.generations import make_empty
from hostemr.host.inventory import Table, inventory
from hostemr.host.layout import Layout
from hostemr.host.programs import Programs
from hostemr.host.server import Server
from hostemr.host.state import State
from tests.peers import aws_stand_in, docker_stand_in, quick_start

START = datetime(2026, 11, 1, 3, 0, tzinfo=UTC)
PASSPHRASE = "correct horse battery staple 4711"


class Machine:
    """One server. `server` is what the verbs take; `now` is its clock, which only the test moves."""

    def __init__(self, folder: Path, *, root: Path | None = None, **settings: Any) -> None:
        self.folder = folder
        self.root = root or folder / "data"
        self.root.mkdir(parents=True, exist_ok=True)
        self.home = folder / "stand-in"
        self.home.mkdir(exist_ok=True)
        (self.home / "root").unlink(missing_ok=True)
        (self.home / "root").symlink_to(self.root)
        self.now = START
        self.told: list[str] = []
        document = {
            "name": "clinic",
            "region": "us-east-1",
            "bucket": "clinic-backups",
            "passphrase_secret": "arn:passphrase",
            "administrator_secret": "arn:administrator",
            "database_secret": "arn:database",
            "root": str(self.root),
            "address": "203.0.113.7",
            "openemr_image": "openemr/openemr:7.0.3",
            "database_image": "mariadb:11.8.3",
            "web_image": "caddy:2.10.2",
            **settings,
        }
        self.configuration_file = folder / "host.json"
        self.configuration_file.write_text(json.dumps(document))
        self.configuration: Configuration = parse(document)
        (self.home / "secrets.json").write_text(
            json.dumps({"arn:passphrase": PASSPHRASE, "arn:administrator": "a-b-c", "arn:database": "d-e-f"})
        )
        bin_folder = folder / "bin"
        bin_folder.mkdir(exist_ok=True)
        for name, module in (("docker", docker_stand_in), ("aws", aws_stand_in)):
            script = bin_folder / name
            script.write_text(quick_start.script(module))
            script.chmod(0o755)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RESTIC_"))},
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "STAND_IN": str(self.home),
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
        programs = Programs(self.environment)
        layout = Layout(self.root)
        self.server = Server(
            configuration=self.configuration,
            programs=programs,
            aws=Aws(programs, region="us-east-1", endpoint_url=self.configuration.endpoint_url),
            containers=Containers(programs),
            layout=layout,
            state=State(layout.state),
            now=lambda: self.now,
            tell=self.told.append,
        )

    @classmethod
    def again(cls, folder: Path) -> Machine:
        """The machine of this folder, in another process."""
        settings = json.loads((folder / "host.json").read_text())
        return cls(folder, root=Path(settings.pop("root")), **settings)

    def install(self, template: Path) -> None:
        """A first generation with an empty MariaDB, copied from `template`, and OpenEMR's own files; started."""
        generation = first(self.server)
        shutil.copytree(template, self.layout.generations / generation / "database", dirs_exist_ok=True)
        self.server.containers.up("mysql")
        self.sql(SCHEMA)
        sites = self.sites
        (sites / "default/documents/1").mkdir(parents=True)
        (sites / "default/sqlconf.php").write_text("<?php $host = 'mysql'; $pass = 'secret';\n")
        (sites / "default/documents/1/Ünïcode name\n.txt").write_text("odd")
        (sites / "default/link").symlink_to("sqlconf.php")
        (sites / "default/empty").mkdir()
        certificate = self.layout.current / "certificates/caddy/certificates/clinic.example.org.crt"
        certificate.parent.mkdir(parents=True)
        certificate.write_text("-----BEGIN CERTIFICATE-----")
        self.visits(20)
        self.server.containers.up()

    def install_from(self, data: Path) -> None:
        """The generations of another machine's data volume; started."""
        shutil.copytree(data / "generations", self.layout.generations, symlinks=True)
        self.layout.serve(next(self.layout.generations.iterdir()).name)
        self.server.containers.up()

    @property
    def points(self) -> Path:
        """Where a FolderEngine of this machine keeps its points."""
        return self.folder.parent / f"{self.folder.name}-points"

    @property
    def layout(self) -> Layout:
        return self.server.layout

    @property
    def sites(self) -> Path:
        return self.layout.current / "sites"

    def visits(self, count: int, *, seed: int = 0) -> None:
        """Patients who come: rows, and a document for each tenth."""
        source = random.Random(f"{seed}{self.now}")
        values = ", ".join(f"('{source.randbytes(40).hex()}', '{self.now:%Y-%m-%d}')" for _ in range(count))
        self.sql(f"INSERT INTO openemr.patient_data (fname, regdate) VALUES {values}")
        names = []
        for _ in range(max(1, count // 10)):
            body = source.randbytes(20_000)
            names.append(f"{hashlib.sha256(body).hexdigest()}.pdf")
            (self.sites / "default/documents/1" / names[-1]).write_bytes(body)
        urls = ", ".join(f"('{name}')" for name in names)
        self.sql(f"INSERT INTO openemr.documents (url) VALUES {urls}")

    def sql(self, text: str) -> str:
        command = ["mariadb", "--no-defaults", f"--socket={self.home / 'mysql.sock'}", "--batch", "--skip-column-names"]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout

    def query(self, sql: str) -> list[list[str]]:
        return [line.split("\t") for line in self.sql(sql).splitlines()]

    def contents(self) -> tuple[dict[str, Table], dict[str, str]]:
        """Every table's rows and checksum, and every file's hash, mode and target: what has to be equal."""
        tables = {name: table for name, table in inventory(self).items() if not name.startswith("mysql.")}
        return tables, tree(self.sites)

    def days(self, count: float) -> None:
        self.now += timedelta(days=count)

    def metrics(self) -> list[tuple[str, float]]:
        """Every metric that was put, in order."""
        path = self.home / "metrics.jsonl"
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []

    def calls(self) -> list[list[str]]:
        """Every command that Docker was given."""
        return [json.loads(line) for line in (self.home / "calls.jsonl").read_text().splitlines()]

    @property
    def database_pid(self) -> int:
        return int((self.home / "mysql.running").read_text())

    def verb(self, name: str) -> subprocess.Popen[str]:
        """A verb on the folder of points beside the machine's own, in a process of its own."""
        command = [sys.executable, "-m", "tests.host.driver", str(self.folder), name, self.now.isoformat()]
        return subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def killed(self, name: str, line: str) -> bool:
        """Run a verb and kill it, and all it started, when it tells a line; False where it ended before."""
        process = self.verb(name)
        assert process.stderr is not None
        reached = False
        for told in process.stderr:
            if line in told:
                reached = True
                os.killpg(process.pid, signal.SIGKILL)
                break
        process.communicate()
        return reached

    def agent(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """The agent's command line in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "hostemr.host", "--config", str(self.configuration_file), *arguments],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @contextmanager
    def gate(self, word: str) -> Iterator[Path]:
        """Hold the next Docker command that has `word` among its arguments until the block ends."""
        path = self.home / f"gate-{word}"
        path.touch()
        try:
            yield self.home / f"reached-{word}"
        finally:
            path.unlink(missing_ok=True)
            (self.home / f"reached-{word}").unlink(missing_ok=True)

    def close(self) -> None:
        """Stop what still runs."""
        for path in (*self.home.glob("*.running"), *self.home.glob("container-*")):
            pid = int(path.read_text())
            if pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                while docker_stand_in.alive(pid):
                    time.sleep(0.01)


def first(server: Server) -> str:
    """Serve a first, empty generation, where none is served yet; answers the name of the served one."""
    served = server.layout.served()
    if served is None:
        served = make_empty(server)
        server.layout.serve(served)
    return served


def tree(folder: Path) -> dict[str, str]:
    """Every entry below a folder: its mode, and its content's hash or its target."""
    found = {}
    for path in sorted(folder.resolve().rglob("*")):
        name = str(path.relative_to(folder.resolve()))
        mode = path.lstat().st_mode
        if path.is_symlink():
            found[name] = f"{mode:o} -> {path.readlink()}"
        elif path.is_dir():
            found[name] = f"{mode:o}"
        else:
            found[name] = f"{mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return found


SCHEMA = """
CREATE DATABASE openemr CHARACTER SET utf8mb4;
CREATE TABLE openemr.patient_data (
    id BIGINT AUTO_INCREMENT PRIMARY KEY, fname VARCHAR(255) NOT NULL, regdate DATE, KEY (fname)
) ENGINE=InnoDB;
CREATE TABLE openemr.documents (id INT AUTO_INCREMENT PRIMARY KEY, url VARCHAR(255) UNIQUE) ENGINE=InnoDB;
CREATE TABLE openemr.`odd name-ü` (a INT) ENGINE=MyISAM;
CREATE TABLE openemr.log (id BIGINT AUTO_INCREMENT PRIMARY KEY, comments LONGTEXT) ENGINE=InnoDB;
CREATE VIEW openemr.people AS SELECT fname FROM openemr.patient_data;
INSERT INTO openemr.`odd name-ü` VALUES (1), (2);
"""
