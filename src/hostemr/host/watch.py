"""What CloudWatch hears every few minutes: ages, disk, and whether OpenEMR answers. Silence is an alarm there."""

from __future__ import annotations

from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException

from hostemr.errors import HostemrError
from hostemr.host.backup import age
from hostemr.host.drill import UNPROVEN
from hostemr.host.programs import HOUR
from hostemr.host.server import Server
from hostemr.host.space import free, size
from hostemr.host.volume import grow

_SERVICES = frozenset({"mysql", "openemr", "web"})
_ANSWERS_WITHIN_SECONDS = 10
_CLOCKS_DIFFER = timedelta(minutes=5)


def watch(server: Server, *, host: str = "127.0.0.1", port: int = 80) -> dict[str, tuple[float, str]]:
    """Measure the server and put the figures to CloudWatch; answers them.

    A server that never had a backup or a good drill counts their ages from its own set-up, so that a clinic that
    was launched and forgotten hears of it too.
    """
    _grow(server)
    now = server.now()
    born = (server.state.read("setup") or {}).get("first_at")
    backup, drilled = server.state.read("backup"), server.state.read("drill") or {}
    values: dict[str, tuple[float, str]] = {}
    old = age(backup, now)
    if old is None and backup is None and born is not None:
        old = now - datetime.fromisoformat(born)
    if old is not None and old >= -_CLOCKS_DIFFER:
        values["BackupAgeHours"] = (round(old.total_seconds() / HOUR, 2), "None")
    since = drilled.get("good_at") or born
    if drilled.get("ok") is False:
        values["DrillAgeDays"] = (UNPROVEN, "None")
    elif since is not None:
        undrilled = now - datetime.fromisoformat(since)
        # A drill of the future was held by a wrong clock; silence, which is an alarm, says more than a negative age.
        if undrilled >= -_CLOCKS_DIFFER:
            values["DrillAgeDays"] = (round(undrilled.total_seconds() / (24 * HOUR), 2), "None")
    used = 100 * (1 - free(server.layout.root) / size(server.layout.root))
    values["DiskUsedPercent"] = (round(used, 1), "Percent")
    values["Unhealthy"] = (0 if _answers(host, port) and _all_run(server) else 1, "Count")
    server.measure(values)
    return values


def _grow(server: Server) -> None:
    """A larger PracticeStorage makes the device larger, and nobody else would tell the file system."""
    if server.configuration.volume_id is None:
        return
    try:
        grow(server.programs, server.layout.root)
    except HostemrError as error:
        server.tell(f"warning: the file system could not be grown: {error.message}")


def _answers(host: str, port: int) -> bool:
    """Whether anything but a server's error comes back from the web server's front page."""
    connection = HTTPConnection(host, port, timeout=_ANSWERS_WITHIN_SECONDS)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _all_run(server: Server) -> bool:
    try:
        return server.containers.healthy() >= _SERVICES
    except HostemrError as error:
        server.tell(f"warning: Docker does not answer: {error.message}")
        return False
