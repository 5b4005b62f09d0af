"""The generations on the data volume: the one that is served, and the one before a restore."""

from __future__ import annotations

import itertools
import shutil
from datetime import datetime, timedelta

from hostemr.host.layout import PARTS, sync
from hostemr.host.server import Server


def make_empty(server: Server) -> str:
    """Make a generation with empty parts, which is not served yet; answers its name."""
    name = new_name(server)
    for part in PARTS:
        (server.layout.generations / name / part).mkdir(parents=True)
    sync(server.layout.generations)
    return name


def new_name(server: Server) -> str:
    """A name for another generation: when it is made, and a number where there is one of that second."""
    stem = f"{server.now():%Y%m%dT%H%M%SZ}"
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    return next(name for name in names if not (server.layout.generations / name).exists())


def keep_previous(server: Server, name: str) -> None:
    """Remember which generation a restore replaced, and since when."""
    record = server.state.read("previous") or {"generations": {}}
    record["generations"][name] = server.now().isoformat()
    server.state.write("previous", record)


def previous(server: Server) -> dict[str, datetime]:
    """The generations that are there and not served, each with the moment of its replacement.

    One of which nothing is known, such as that of a restore that was killed before it wrote its journal, counts as
    replaced now. Those that an unfinished restore needs are left out.
    """
    record = server.state.read("previous") or {"generations": {}}
    journal = server.state.read("restore") or {"stage": "done"}
    needed = {server.layout.served()} | ({journal["from"], journal["to"]} if journal["stage"] != "done" else set())
    folders = sorted(server.layout.generations.iterdir()) if server.layout.generations.is_dir() else []
    now = server.now().isoformat()
    return {
        folder.name: datetime.fromisoformat(record["generations"].get(folder.name, now))
        for folder in folders
        if folder.is_dir() and folder.name not in needed
    }


def remove_previous(server: Server, *, at_once: bool = False) -> list[str]:
    """Remove what restores replaced long enough ago; `at_once` removes all of it. Answers the names.

    The caller has just stored a good backup of what is served, or a person has asked for it by name.
    """
    kept = timedelta(days=server.configuration.keep_previous_days)
    known = (server.state.read("previous") or {"generations": {}})["generations"]
    gone = []
    for name, since in previous(server).items():
        if name not in known:
            keep_previous(server, name)
        if at_once or server.now() - since >= kept:
            server.tell(f"removing the data from before the restore of {since:%Y-%m-%d %H:%M}")
            shutil.rmtree(server.layout.generations / name)
            gone.append(name)
    return gone
