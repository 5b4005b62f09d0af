"""One verb on a machine, in a process that a test can kill: `python -m tests.host.driver FOLDER VERB`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from hostemr.errors import HostemrError
from hostemr.host.backup import backup
from hostemr.host.drill import drill
from hostemr.host.engines import Engine
from hostemr.host.restore import restore, settle
from hostemr.host.server import Server, _tell
from tests.fakes.engine import FolderEngine
from tests.host.machine import Machine

VERBS: dict[str, Callable[[Server, Engine], object]] = {
    "backup": backup,
    "restore": restore,
    "drill": drill,
    "settle": lambda server, _: settle(server),
}


def main(folder: Path, verb: str, now: str) -> int:
    """Run the verb with the test's clock; errors are one line."""
    machine = Machine.again(folder)
    machine.now = datetime.fromisoformat(now)
    server: Server = replace(machine.server, tell=_tell)
    try:
        VERBS[verb](server, FolderEngine(machine.points))
    except HostemrError as error:
        print(json.dumps({"error": error.message}))
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
