"""A good OpenEMR and a good OpenMRS on the loopback, and somebody at the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.certificates import self_signed
from tests.peers.openemr_stand_in import OpenEmrStandIn
from tests.peers.openmrs_stand_in import OpenMrsStandIn


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("certificates"), "localhost", days=90)


@pytest.fixture
def emr(certificate: Path) -> Iterator[OpenEmrStandIn]:
    with OpenEmrStandIn(certificate) as served:
        yield served


@pytest.fixture
def mrs(certificate: Path) -> Iterator[OpenMrsStandIn]:
    with OpenMrsStandIn(certificate) as served:
        yield served
