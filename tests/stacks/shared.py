"""Results that the processes of one test run share: what one has made, the other need not make again."""

from __future__ import annotations

import fcntl
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
    # What another process is making now is not made twice. The locks are freed by the end of a process too.
    with file.with_suffix(".lock").open("w") as lock:
        if not file.exists():
            fcntl.flock(lock, fcntl.LOCK_EX)
        if file.exists():
            found: Result = pickle.loads(file.read_bytes())
            return found
        return _kept(file, make())


def _kept(file: Path, made: Result) -> Result:
    with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as whole:
        whole.write(pickle.dumps(made))
    Path(whole.name).replace(file)
    return made
