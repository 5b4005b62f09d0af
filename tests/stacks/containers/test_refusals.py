"""States in which going on could harm data: the set-up task says so, and leaves everything as it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.peers.mariadb import PrivateMariaDB
from tests.peers.openemr_image import Image
from tests.stacks.containers.logins import contents

REFUSED = 4


def lose_files(image: Image, database: PrivateMariaDB) -> None:
    image.sqlconf.unlink()


def unconfigure_files(image: Image, database: PrivateMariaDB) -> None:
    image.sqlconf.chmod(0o600)
    image.sqlconf.write_text(image.sqlconf.read_text().replace("$config = 1", "$config = 0"))


def lose_database(image: Image, database: PrivateMariaDB) -> None:
    name = image.environment["MYSQL_DATABASE"]
    database.execute(f"DROP DATABASE {name}", f"CREATE DATABASE {name}")


def lose_both_after_an_installation(image: Image, database: PrivateMariaDB) -> None:
    lose_files(image, database)
    lose_database(image, database)


def doubt_an_installation_with_patients(image: Image, database: PrivateMariaDB) -> None:
    name = image.environment["MYSQL_DATABASE"]
    database.execute(
        f"INSERT INTO {name}.patient_data VALUES (1), (2)",
        f"UPDATE hostemr.setup SET state = 'installing' WHERE application = '{name}'",
    )


def doubt_an_installation_with_patients_files(image: Image, database: PrivateMariaDB) -> None:
    name = image.environment["MYSQL_DATABASE"]
    (image.sites / "default/documents/12").mkdir()
    (image.sites / "default/documents/12/letter.pdf").write_text("a letter")
    database.execute(f"UPDATE hostemr.setup SET state = 'installing' WHERE application = '{name}'")


def lose_database_with_its_state(image: Image, database: PrivateMariaDB) -> None:
    lose_database(image, database)
    name = image.environment["MYSQL_DATABASE"]
    database.execute(f"DELETE FROM hostemr.setup WHERE application = '{name}'")


def lose_files_of_a_restored_database(image: Image, database: PrivateMariaDB) -> None:
    lose_files(image, database)
    name = image.environment["MYSQL_DATABASE"]
    database.execute(f"DELETE FROM hostemr.setup WHERE application = '{name}'")


def spoil_sqlconf(image: Image, database: PrivateMariaDB) -> None:
    image.sqlconf.chmod(0o600)
    image.sqlconf.write_text("<?php $config = ")


@pytest.mark.parametrize(
    "damage",
    [
        lose_files,
        unconfigure_files,
        lose_database,
        lose_both_after_an_installation,
        doubt_an_installation_with_patients,
        doubt_an_installation_with_patients_files,
        lose_database_with_its_state,
        lose_files_of_a_restored_database,
        spoil_sqlconf,
    ],
)
def test_what_could_harm_data_is_refused_and_nothing_is_touched(
    damage: Callable[[Image, PrivateMariaDB], None], installed: Image, database: PrivateMariaDB
) -> None:
    damage(installed, database)
    installed.log()
    before = contents(database, installed), installed.fingerprints()
    status, output = installed.run("setup", OPENEMR_SETTING_rest_api="1")
    assert (status, output.count("Z error:")) == (REFUSED, 1), output
    assert "restore both" in output
    assert installed.log() == []
    assert (contents(database, installed), installed.fingerprints()) == before
