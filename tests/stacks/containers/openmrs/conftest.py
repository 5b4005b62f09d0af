"""Containers of OpenMRS' backend, beside the database of the folder above."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers import openmrs_image
from tests.peers.mariadb import PrivateMariaDB
from tests.peers.openmrs_image import Task, client_jar
from tests.stacks.containers.authority import Authority
from tests.stacks.containers.conftest import MASTER_PASSWORD
from tests.stacks.shared import FOLDER, shared

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def classes(database: PrivateMariaDB, authority: Authority) -> Path:
    """The database client, compiled once by all processes: a second or two less for each run."""
    if lacking := openmrs_image.missing():
        pytest.skip(f"needs {lacking}")
    return shared(
        "OpenMRS' database client",
        lambda: client_jar(
            Path(tempfile.mkdtemp(dir=os.environ[FOLDER])), database, authority, "master", MASTER_PASSWORD
        ),
    )


def make_task(database: PrivateMariaDB, authority: Authority, folder: Path, classes: Path) -> Task:
    """A container with a database name and users of its own, and nothing installed."""
    name = f"mrs_{next(_numbers)}"
    return Task(
        folder / name,
        folder / f"{name}-shared",
        {
            "OMRS_DB_HOSTNAME": "127.0.0.1",
            "OMRS_DB_PORT": str(database.port),
            "OMRS_DB_NAME": name,
            "MASTER_USERNAME": "master",
            "MASTER_PASSWORD": MASTER_PASSWORD,
            "OMRS_DB_USERNAME": f"{name}_a",
            "OMRS_DB_PASSWORD": "firstPassword0123456789abcdefghi",
            "ADMINISTRATOR_USERNAME": "admin",
            "OMRS_ADMIN_USER_PASSWORD": "adminPassword!1",
            "DATABASE_CA": authority.pem,
            "HEAP_MEGABYTES": "512",
            "SETUP_TIMEOUT_SECONDS": "20",
            "DATABASE_WAIT_SECONDS": "10",
            "LIQUIBASE_LOCK_SECONDS": "0",
            "STOP_SECONDS": "5",
            "HOSTEMR_CLIENT_CLASSES": str(classes),
        },
        path=f"{classes.parent / 'bin'}{os.pathsep}{os.environ['PATH']}",
    )


@pytest.fixture
def new_task(database: PrivateMariaDB, authority: Authority, tmp_path: Path, classes: Path) -> Callable[[], Task]:
    return lambda: make_task(database, authority, tmp_path, classes)


@pytest.fixture
def task(new_task: Callable[[], Task]) -> Task:
    return new_task()


@pytest.fixture(scope="session")
def original(
    database: PrivateMariaDB, authority: Authority, tmp_path_factory: pytest.TempPathFactory, classes: Path
) -> Task:
    """What the set-up task has installed; for copying only."""
    task = make_task(database, authority, tmp_path_factory.mktemp("original"), classes)
    status, output = task.run("setup")
    assert status == 0, output
    return task


@pytest.fixture
def installed(original: Task, task: Task, database: PrivateMariaDB) -> Task:
    """A copy of what the set-up task has installed: tables, state, share, and the user that is in use."""
    old, new = original.environment["OMRS_DB_NAME"], task.environment["OMRS_DB_NAME"]
    shutil.copytree(original.shared, task.shared, dirs_exist_ok=True)
    database.execute(
        f"CREATE DATABASE {new} CHARACTER SET utf8mb4",
        *(
            statement
            for table in ("users", "global_property", "liquibasechangelog", "liquibasechangeloglock", "patient")
            for statement in (
                f"CREATE TABLE {new}.{table} LIKE {old}.{table}",
                f"INSERT INTO {new}.{table} SELECT * FROM {old}.{table}",
            )
        ),
        f"CREATE USER '{new}_a'@'%' IDENTIFIED BY '{task.environment['OMRS_DB_PASSWORD']}' REQUIRE SSL",
        f"GRANT ALL PRIVILEGES ON {new}.* TO '{new}_a'@'%'",
        "INSERT INTO hostemr.setup (application, state, image, from_version, changed_at)"
        f" SELECT '{new}', state, image, from_version, changed_at FROM hostemr.setup WHERE application = '{old}'",
    )
    return task
