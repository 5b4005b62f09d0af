"""A good OpenEMR and a good OpenMRS on the loopback, and somebody at the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operate.verification.issued import issued
from tests.peers.openemr_stand_in import OpenEmrStandIn
from tests.peers.openmrs_stand_in import OpenMrsStandIn


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return issued(tmp_path_factory.mktemp("certificates"), "localhost")


@pytest.fixture
def emr(certificate: Path) -> Iterator[OpenEmrStandIn]:
    with OpenEmrStandIn(certificate) as served:
        yield served


@pytest.fixture
def mrs(certificate: Path) -> Iterator[OpenMrsStandIn]:
    with OpenMrsStandIn(certificate) as served:
        yield served
