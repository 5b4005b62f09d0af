"""The live service moves as the guide says, under load: no registration that was answered with 201 is lost."""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.peers.mariadb import PrivateMariaDB
from tests.peers.original_service import OriginalService
from tests.peers.server import ServerProcess, clean_environment, hostemr
from tests.registration.legacy.conftest import INSTALLATIONS, identity, run_sql

pytestmark = pytest.mark.real

EARLIER = 4_000
CLIENTS = 6
CACHED_SECONDS = 1.5
"""How long the slowest resolver goes on to answer with the old address."""


class Name:
    """The service's name in DNS, with resolvers that learn of a change at different times."""

    def __init__(self, url: str) -> None:
        self._old = self._new = url
        self._changed = 0.0

    def point_at(self, url: str) -> None:
        self._old, self._new, self._changed = self._new, url, time.monotonic()

    def resolve(self, cached: float) -> str:
        return self._new if time.monotonic() - self._changed > cached else self._old


class Clients:
    """Installations that register all the time, each with the answer that it got."""

    def __init__(self, name: Name) -> None:
        self.given: list[tuple[str, str]] = []
        self.known: list[str] = []
        self.other: list[tuple[str, str]] = []
        self._name = name
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._register, args=(number,)) for number in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _register(self, number: int) -> None:
        chance = random.Random(number)
        cached = CACHED_SECONDS * number / (CLIENTS - 1)
        mine: list[str] = []
        while not self._ended.is_set():
            # One in six is an installation made anew, whose address is known.
            again = bool(mine) and chance.random() < 1 / 6
            email = chance.choice(mine) if again else f"it{len(mine)}@clinic{number}.example.org"
            if not again:
                mine.append(email)
            version = "" if chance.random() < 0.5 else "&version=8.1.0"
            try:
                status, body = post(self._name.resolve(cached), f"email={email}{version}")
            except OSError as error:
                self.other.append((email, repr(error)))
                continue
            if status == 201:
                self.given.append((email, json.loads(body)["productId"]))
            elif status == 409:
                self.known.append(email)
            else:
                self.other.append((email, body))
            self._ended.wait(0.02)


def post(url: str, form: str) -> tuple[int, str]:
    """Over a connection of its own, as PHP makes it."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    try:
        connection.request(
            "POST", "/api/registration", form, {"Content-Type": "application/x-www-form-urlencoded", "Accept": "*/*"}
        )
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def import_command(old: str, new: str) -> list[str]:
    return ["registration", "import", old, "--database", new, "--json"]


def take_over(old: str, new: str, folder: Path) -> dict[str, int]:
    done = hostemr(*import_command(old, new), folder=folder)
    assert done.returncode == 0, done.stderr
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


def take_over_and_be_killed(old: str, new: str, folder: Path) -> None:
    """kill -9 when some of the rows are there and some are not."""
    command = [sys.executable, "-m", "hostemr", *import_command(old, new)]
    with subprocess.Popen(command, cwd=folder, env=clean_environment(), stdout=subprocess.PIPE) as process:
        while run_sql(new, "SELECT COUNT(*) FROM installation WHERE version IS NULL")[0][0] == 0:
            assert process.poll() is None
        process.kill()
    assert run_sql(new, "SELECT COUNT(*) FROM subscriber WHERE source = 'import'")[0][0] < EARLIER


@pytest.fixture
def original(mariadb_server: PrivateMariaDB) -> Iterator[OriginalService]:
    with OriginalService(mariadb_server, "original_that_moves") as service:
        rows = [(identity(number), f"admin{number}@earlier.example.org") for number in range(EARLIER)]
        service.execute("INSERT INTO product VALUES (%s, %s)", *rows)
        yield service
        service.execute("DROP DATABASE original_that_moves")


def test_the_live_service_moves_and_loses_no_registration(
    original: OriginalService, mariadb_server: PrivateMariaDB, tmp_path: Path
) -> None:
    old, new = original.database_url, mariadb_server.create_database("moved_to")
    name = Name(original.url)
    clients = Clients(name)
    clients.start()
    try:
        with ServerProcess(new, tmp_path / "server") as server:
            # Dual run: the new one answers whom the board sends there, and takes over what the old one has.
            take_over_and_be_killed(old, new, tmp_path)
            first = take_over(old, new, tmp_path)
            name.point_at(server.url)
            # Resolvers still send some to the old one.
            second = take_over(old, new, tmp_path)
            time.sleep(CACHED_SECONDS)
            last = take_over(old, new, tmp_path)
            # The old one is silent now: nothing more comes from it.
            assert take_over(old, new, tmp_path)["new_installations"] == 0
            clients.end()
            count = httpx.get(f"{server.url}/api/registration/unique").json()["count"]
    finally:
        clients.end()
    assert clients.other == []
    kept = {(email, product_id) for product_id, email, _ in run_sql(new, INSTALLATIONS)}
    earlier = {(f"admin{number}@earlier.example.org", identity(number)) for number in range(EARLIER)}
    assert earlier <= kept
    assert set(clients.given) <= kept
    assert {email for email, _ in kept} >= set(clients.known)
    assert count == len({email for email, _ in kept})
    # It was a move under load: each stage had something to take over, and nothing was refused.
    assert first["new_installations"] > 0
    assert second["new_installations"] + last["new_installations"] > 0
    assert first["rejected"] + second["rejected"] + last["rejected"] == 0
