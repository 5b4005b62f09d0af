"""Restic's repositories, numbered, of which the last one is written to.

Points of one repository share what they have in common, so one damaged object can be part of all of them, and of
every later one: restic does not store again what its index says is there. When something is found to be damaged, a
repository is begun that has nothing in common with those before it. They stay, as good as they are, until retention
has forgotten their points; what is left of them is removed then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

from hostemr.host.engines import Damaged, NothingStored, Point
from hostemr.host.engines.places import Place
from hostemr.host.engines.restic import Restic


class Repositories:
    """The repositories below one place, in folders named by their numbers. `open_one` makes the engine of one."""

    name = "restic"

    def __init__(self, place: Place, open_one: Callable[[Place, str], Restic]) -> None:
        self._place = place
        self._open = open_one
        self._found: list[str] | None = None
        self._known: dict[str, Restic] = {}
        self._holder: dict[str, str] = {}
        """Which repository a point is in, by their ids."""

    def store(self, folder: Path, taken: datetime) -> Point:
        """Upload a folder as one point of the last repository; see `Engine`."""
        last = (self._numbers() or ["1"])[-1]
        point = self._repository(last).store(folder, taken)
        self._found = self._found or [last]
        self._holder[point.id] = last
        return point

    def points(self) -> list[Point]:
        """Every point of every repository, oldest first; see `Engine`."""
        found: list[Point] = []
        for number in self._numbers():
            here = self._repository(number).points()
            self._holder |= {point.id: number for point in here}
            found += here
        return sorted(found)

    def read(self, point: Point, path: str) -> bytes:
        """One file of a point; see `Engine`."""
        return self._of(point).read(point, path)

    def fetch(self, point: Point, into: Path) -> None:
        """Everything of a point; see `Engine`."""
        self._of(point).fetch(point, into)

    def forget(self, points: Collection[Point]) -> list[Point]:
        """Remove points, and earlier repositories that have none any more; see `Engine`."""
        gone: list[Point] = []
        *earlier, last = self._numbers() or ["1"]
        self.points()
        wanted = {
            number: [point for point in points if self._holder.get(point.id) == number] for number in (*earlier, last)
        }
        if wanted[last]:
            gone += self._repository(last).forget(wanted[last])
        for number in earlier:
            repository = self._repository(number)
            # To prune it would mean to read what may be damaged; it goes as a whole in the end.
            gone += repository.drop(wanted[number]) if wanted[number] else []
            if not repository.points():
                place = self._place.below(number)
                place.remove(place.names())
                self._found = None
        return sorted(gone)

    def check(self) -> None:
        """Whether the repository that is written to hangs together; see `Engine`."""
        self._last().check()

    def begin_anew(self) -> None:
        """Begin a repository that has nothing in common with the earlier ones; none where the last one is empty."""
        numbers = self._numbers()
        if numbers and self._repository(numbers[-1]).points():
            self._repository(str(int(numbers[-1]) + 1)).begin()
            self._found = None

    def _numbers(self) -> list[str]:
        """The numbers of the repositories, ascending."""
        if self._found is None:
            self._found = sorted((each for each in self._place.folders() if each.isdecimal()), key=int)
        return self._found

    def _last(self) -> Restic:
        return self._repository((self._numbers() or ["1"])[-1])

    def _repository(self, number: str) -> Restic:
        if number not in self._known:
            self._known[number] = self._open(self._place.below(number), number)
        return self._known[number]

    def _of(self, point: Point) -> Restic:
        if point.id not in self._holder:
            self.points()
        try:
            return self._repository(self._holder[point.id])
        except KeyError as error:
            raise NothingStored(f"The point {point.id} is not stored in {self._place}.") from error


def opened(place: Place, open_one: Callable[[Place, str], Restic]) -> Repositories | Restic:
    """What a place holds: numbered repositories, or one that somebody made there with restic alone."""
    folders = place.folders()
    if "keys" in folders and "data" in folders:
        return open_one(place, "plain")
    if folders and not any(each.isdecimal() for each in folders):
        raise Damaged(f"{place} holds no repository of restic's.", hint="name the folder that has `config` in it")
    return Repositories(place, open_one)
