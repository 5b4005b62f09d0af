"""One emulator for all tests of a process: it takes a second to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hostemr.operate.rehearsal.emulator import Emulator


@pytest.fixture(scope="session")
def running() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    """With nothing in it."""
    running.reset()
    return running
