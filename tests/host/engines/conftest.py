"""Both engines on an S3 of their own buckets."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.host.engines.stores import PROGRAMS, Store
from tests.peers.s3 import PrivateS3, missing_programs

_numbers = itertools.count(1)


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder with a short path (GnuPG's sockets have limits) that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="engines-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def bucket(s3: PrivateS3) -> str:
    """A bucket with Object Lock, so that whatever the engines do is seen to work with it."""
    name = f"clinic-{next(_numbers)}"
    s3.make_bucket(name, retain_days=30)
    return name


@pytest.fixture
def new_store(s3: PrivateS3, bucket: str, room: Path) -> Iterator[Callable[..., Store]]:
    """Makes engines, each with a place and a folder to store."""
    stores: list[Store] = []

    def make(kind: str, s3: PrivateS3 = s3, bucket: str = bucket) -> Store:
        if missing := missing_programs("aws", *PROGRAMS[kind]):
            pytest.skip(f"needs {', '.join(missing)}")
        stores.append(Store(kind, s3, bucket, room))
        return stores[-1]

    yield make
    for store in stores:
        store.aws.close()


@pytest.fixture(params=["restic", "duplicity"])
def store(request: pytest.FixtureRequest, new_store: Callable[..., Store]) -> Store:
    """Each engine with an empty bucket."""
    return new_store(str(request.param))


@pytest.fixture
def restic(new_store: Callable[..., Store]) -> Store:
    return new_store("restic")


@pytest.fixture
def duplicity(new_store: Callable[..., Store]) -> Store:
    return new_store("duplicity")
