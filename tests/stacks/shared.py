"""Results that the processes of one test run share: what one has made, the other need not make again."""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

FOLDER = "SHARED_BY_TEST_PROCESSES"
"""The environment's name for the run's own folder, which tests/conftest.py makes and removes. hostemr refuses unknown
names that begin with its own."""
Result = TypeVar("Result")


def shared(name: str, make: Callable[[], Result]) -> Result:
    """What `make` answers, from the folder if some process of this run has put it there already."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        return make()
    file = Path(folder) / hashlib.sha256(name.encode()).hexdigest()
    if file.exists():
        found: Result = pickle.loads(file.read_bytes())
        return found
    made = make()
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as whole:
        whole.write(pickle.dumps(made))
    Path(whole.name).replace(file)
    return made
