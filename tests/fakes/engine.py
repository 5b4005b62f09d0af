"""An engine that keeps its points as plain folders: what the verbs do with any engine is tested on it."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from hostemr.host.engines import Damaged, EngineFailed, Point


class FolderEngine:
    """Points are folders below `home`, named after their moment. `failing` names calls that fail from now on."""

    name = "folder"

    def __init__(self, home: Path) -> None:
        self.home = home
        self.failing: dict[str, EngineFailed] = {}
        self.calls: list[str] = []
        home.mkdir(parents=True, exist_ok=True)

    def add(self, *moments: datetime) -> None:
        """Points of earlier days, of which nothing but their moments matters."""
        for moment in moments:
            (self.home / f"{moment:%Y%m%dT%H%M%SZ}").mkdir()

    def store(self, folder: Path, taken: datetime) -> Point:
        self._called("store")
        point = Point(taken, f"{taken:%Y%m%dT%H%M%SZ}")
        beside = self.home / f".{point.id}"
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(folder, beside, symlinks=True)
        beside.rename(self.home / point.id)
        return point

    def points(self) -> list[Point]:
        self._called("points")
        names = sorted(path.name for path in self.home.iterdir() if not path.name.startswith("."))
        return [Point(datetime.strptime(name, "%Y%m%dT%H%M%S%z"), name) for name in names]

    def read(self, point: Point, path: str) -> bytes:
        self._called("read")
        try:
            return (self.home / point.id / path).read_bytes()
        except FileNotFoundError as error:
            raise Damaged(f"{path} is missing") from error

    def fetch(self, point: Point, into: Path) -> None:
        self._called("fetch")
        shutil.copytree(self.home / point.id, into, symlinks=True)

    def forget(self, points: Collection[Point]) -> list[Point]:
        self._called("forget")
        for point in points:
            shutil.rmtree(self.home / point.id)
        return sorted(points)

    def check(self) -> None:
        self._called("check")

    def begin_anew(self) -> None:
        self._called("begin_anew")

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.failing:
            raise self.failing[name]
