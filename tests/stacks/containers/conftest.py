"""A database and a cache that speak TLS only, by an authority of our own, and images to run beside them."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.peers import mariadb, redis
from tests.peers.mariadb import PrivateMariaDB
from tests.peers.openemr_image import Image
from tests.peers.redis import PrivateRedis
from tests.stacks.containers.authority import Authority

MASTER_PASSWORD = "m'#;=\\*$% ~`!"
"""Of the kinds of characters that RDS puts into the passwords that it makes."""
CACHE_PASSWORD = "cache%+&#secret"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="session")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "other")


@pytest.fixture(scope="session")
def database(authority: Authority) -> Iterator[PrivateMariaDB]:
    for name in ("mariadb", "php", "rsync", "openssl"):
        if not shutil.which(name):
            pytest.skip(f"needs {name}")
    if not mariadb.installed():
        pytest.skip("needs mariadb-server-core")
    certificate, key = authority.issue()
    # The server itself is never killed here, so it need not wait for the disk.
    quick = ("--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0", "--sync-frm=0")
    options = (f"--ssl-cert={certificate}", f"--ssl-key={key}", "--require-secure-transport=ON", *quick)
    with PrivateMariaDB(*options) as server:
        quoted = MASTER_PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
        server.execute(
            f"CREATE USER 'master'@'%' IDENTIFIED BY '{quoted}'",
            "GRANT ALL PRIVILEGES ON *.* TO 'master'@'%' WITH GRANT OPTION",
        )
        yield server


@pytest.fixture(scope="session")
def cache(authority: Authority) -> Iterator[PrivateRedis]:
    if not redis.installed():
        pytest.skip("needs redis-tools")
    certificate, key = authority.issue()
    with PrivateRedis(
        certificate=certificate, key=key, authority=authority.file, user="openemr", password=CACHE_PASSWORD
    ) as server:
        yield server


def make_image(database: PrivateMariaDB, authority: Authority, folder: Path) -> Image:
    """An image with a database name and users of its own, and nothing installed."""
    name = f"emr{next(_numbers)}"
    return Image(
        folder / name,
        {
            "MYSQL_HOST": "127.0.0.1",
            "MYSQL_PORT": str(database.port),
            "MYSQL_ROOT_USER": "master",
            "MYSQL_ROOT_PASS": MASTER_PASSWORD,
            "MYSQL_DATABASE": name,
            "MYSQL_USER": f"{name}_a",
            "MYSQL_PASS": "firstPassword0123456789abcdefghi",
            "OE_USER": "admin",
            "OE_PASS": "adminPassword!1",
            "DATABASE_CA": authority.pem,
            "HOSTEMR_TRUST_STORE": str(authority.file),
            "IMAGE_REFERENCE": "openemr/openemr:7.0.4@sha256:0123",
            "CREDENTIAL_GRACE_SECONDS": "0.3",
            "SETUP_TIMEOUT_SECONDS": "20",
            "DATABASE_WAIT_SECONDS": "10",
        },
    )


@pytest.fixture
def new_image(database: PrivateMariaDB, authority: Authority, tmp_path: Path) -> Callable[[], Image]:
    return lambda: make_image(database, authority, tmp_path)


@pytest.fixture
def image(new_image: Callable[[], Image]) -> Image:
    return new_image()


@pytest.fixture(scope="session")
def original(database: PrivateMariaDB, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """What the set-up task has installed; for copying only."""
    image = make_image(database, authority, tmp_path_factory.mktemp("original"))
    status, output = image.run("setup")
    assert status == 0, output
    return image


@pytest.fixture
def installed(original: Image, image: Image, database: PrivateMariaDB) -> Image:
    """A copy of what the set-up task has installed: files, tables, state and the user that is in use."""
    old, new = original.environment["MYSQL_DATABASE"], image.environment["MYSQL_DATABASE"]
    shutil.copytree(original.sites, image.sites, dirs_exist_ok=True)
    shutil.copytree(original.etc / "ssl", image.etc / "ssl")
    image.sqlconf.chmod(0o600)
    image.sqlconf.write_text(image.sqlconf.read_text().replace(f"'{old}", f"'{new}"))
    image.sqlconf.chmod(0o400)
    database.execute(
        f"CREATE DATABASE {new} CHARACTER SET utf8mb4",
        *(
            statement
            for table in ("version", "globals", "patient_data", "users")
            for statement in (
                f"CREATE TABLE {new}.{table} LIKE {old}.{table}",
                f"INSERT INTO {new}.{table} SELECT * FROM {old}.{table}",
            )
        ),
        f"CREATE USER '{new}_a'@'%' IDENTIFIED BY '{image.environment['MYSQL_PASS']}' REQUIRE SSL",
        f"GRANT ALL PRIVILEGES ON {new}.* TO '{new}_a'@'%'",
        "INSERT INTO hostemr.setup (application, state, image, from_version, changed_at)"
        f" SELECT '{new}', state, image, from_version, changed_at FROM hostemr.setup WHERE application = '{old}'",
    )
    return image
