"""One repository of restic's, the engine that is the default; `repositories.py` says which.

Works with restic 0.14 (Debian 12), 0.16 (Ubuntu 24.04) and later ones; facts from restic.readthedocs.io. How long it
tries: restic asks for each object up to ten times within about a minute (0.17 and later: fifteen minutes) before it
gives up; a question is stopped after ten minutes, an upload or a download after `patience` seconds.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hostemr.host.engines import Damaged, EngineFailed, NothingStored, Point, WrongPassphrase
from hostemr.host.engines.failures import damaged_words, local, outside
from hostemr.host.engines.places import Bucket, Place
from hostemr.host.programs import HOUR, MINUTE, ProgramFailed, Programs

TAG = "hostemr"
"""Marks our snapshots, so that somebody's own ones in the same repository are neither restored nor forgotten."""

_INCOMPLETE = 3
_NO_REPOSITORY = 10
_LOCKED = 11
_WRONG_PASSWORD = 12
_DAMAGE = (
    "repository contains errors",
    "ciphertext verification failed",
    "invalid data returned",
    "does not match",
    "not found in repository",
    "not found in index",
    "unable to load tree",
    "key does not exist",
    "no such file or directory",
    "there were",
    "load <",
    "decoding",
    "invalid character",
)


class Restic:
    """One repository in a place. `server` is the name under which the points are stored.

    `read_only` neither writes nor locks: for another stack's repository. `cache` can be deleted at any time.
    """

    name = "restic"

    def __init__(
        self,
        programs: Programs,
        place: Place,
        *,
        passphrase: str,
        cache: Path,
        server: str,
        read_only: bool = False,
        patience: float = 12 * HOUR,
    ) -> None:
        self._programs = programs
        self._place = place
        self._server = server
        self._read_only = read_only
        self._patience = patience
        self._repository = repository(place)
        self._folders: dict[str, str] = {}
        self._options: list[str | Path] = ["--cache-dir", cache, "--quiet"]
        if read_only:
            self._options.append("--no-lock")
        self._secrets = {"RESTIC_PASSWORD": passphrase}
        # `--time` is read, and times are shown, in the time zone of the process.
        self._environment = {"TZ": "UTC", "RESTIC_REPOSITORY": self._repository}
        # It would tell its progress sixty times a second.
        self._environment["RESTIC_PROGRESS_FPS"] = "0.01"
        if isinstance(place, Bucket):
            # Otherwise restic asks for the bucket's location, which the server's role need not be allowed to.
            self._environment["AWS_DEFAULT_REGION"] = place.region

    def store(self, folder: Path, taken: datetime) -> Point:
        """Upload a folder as one point; see `Engine`. Makes the repository when there is none.

        Files whose size and time of change (in nanoseconds) are those of the newest point are taken as unchanged
        and not read: give every file that was written anew a new time.
        """
        self._writes()
        moment = taken.astimezone(UTC).replace(microsecond=0)
        # The files are copies, made anew each day: inode and ctime always differ and say nothing.
        unchanged = ["--ignore-inode", "--ignore-ctime"]
        what = ["--host", self._server, "--tag", TAG, "--time", moment.strftime("%Y-%m-%d %H:%M:%S")]
        words: list[str | Path] = ["backup", "--json", *unchanged, *what, folder]
        try:
            try:
                answer = self._run(*words, doing="The upload", long=True)
            except NothingStored:
                self._nothing_there()
                self._run("init", doing="Making the repository")
                answer = self._run(*words, doing="The upload", long=True)
        except EngineFailed as error:
            self._forget_incomplete(error, moment)
            raise
        stored = _summary(answer)
        for point in self.points():
            if point.id.startswith(stored):
                return point
        raise EngineFailed(f"restic stored {stored} and does not list it.", hint="try again; look at `restic check`")

    def points(self) -> list[Point]:
        """Every point, oldest first; see `Engine`."""
        try:
            answer = self._run("snapshots", "--json", "--tag", TAG, doing="Listing the points")
        except NothingStored:
            self._nothing_there()
            return []
        found = json.loads(answer) or []
        self._folders = {each["id"]: _only(each["paths"], each["id"]) for each in found}
        return sorted(Point(taken=_time(each["time"]), id=each["id"]) for each in found)

    def read(self, point: Point, path: str) -> bytes:
        """One file of a point; see `Engine`."""
        with local(f"Reading {path}"), tempfile.TemporaryFile() as file:
            whole = f"{self._folder_of(point)}/{path}"
            self._run("dump", point.id, whole, doing=f"Reading {path}", output=file)
            file.seek(0)
            return file.read()

    def fetch(self, point: Point, into: Path) -> None:
        """Everything of a point, into a new folder; see `Engine`. `into` appears only when all is there."""
        # Restic restores whole paths from `/`; naming a subfolder of a snapshot needs restic 0.17.
        beside = into.with_name(f"{into.name}.part")
        shutil.rmtree(beside, ignore_errors=True)
        try:
            with local("The download"):
                inside = beside / self._folder_of(point).lstrip("/")
                beside.mkdir(mode=0o700, parents=True)
                self._run("restore", point.id, "--target", beside, doing="The download", long=True)
                if not inside.is_dir():
                    raise Damaged(f"The point {point.id} does not hold its folder.")
                inside.rename(into)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def forget(self, points: Collection[Point]) -> list[Point]:
        """Remove points; see `Engine`. Interrupted, the next call that forgets something also ends this one."""
        self._writes()
        there = {point.id for point in self.points()}
        ids = [point.id for point in points if point.id in there]
        if ids:
            self._run("forget", *ids, doing="Forgetting points")
        if points:
            self._run("prune", doing="Removing what no point needs", long=True)
        left = {point.id for point in self.points()}
        return sorted(point for point in points if point.id not in left)

    def drop(self, points: Collection[Point]) -> list[Point]:
        """Forget points and leave what only they needed where it is: nothing of it is read, so it may be damaged."""
        self._writes()
        there = {point.id for point in self.points()}
        ids = [point.id for point in points if point.id in there]
        if ids:
            self._run("forget", *ids, doing="Forgetting points")
        return sorted(points)

    def begin_anew(self) -> None:
        """Not to be had of one repository, in which all points share what is equal: `Repositories` begins another."""
        raise EngineFailed(f"{self._place} is one repository, and no point of it can do without the others.")

    def begin(self) -> None:
        """Make the repository, which has no points then. Raises EngineFailed where there is one."""
        self._writes()
        self._run("init", doing="Making the repository")

    def check(self) -> None:
        """Whether every point's parts are listed and there; see `Engine`. Raises NothingStored where nothing is.

        The files' contents are not downloaded: a flipped bit in them is found by fetching.
        """
        self._run("check", doing="The check", long=True)

    def _writes(self) -> None:
        if self._read_only:
            raise EngineFailed(f"{self._place} is another server's and is only read here.")

    def _nothing_there(self) -> None:
        """Restic takes a repository whose `config` is gone for none, and would make another one over its remains."""
        remains = [name for name in self._place.names() if not name.startswith("locks/")]
        if remains:
            message = f"{self._place} has {len(remains)} files of a repository, but not the one named config."
            raise Damaged(message, hint="`hostemr-host undelete` brings back what was deleted")

    def _forget_incomplete(self, error: EngineFailed, moment: datetime) -> None:
        cause = error.__cause__
        if isinstance(cause, ProgramFailed) and cause.status == _INCOMPLETE:
            # Restic made a snapshot without the files that it could not read.
            bad = [point.id for point in self.points() if point.taken == moment]
            if bad:
                self._run("forget", *bad, doing="Removing the incomplete point")

    def _folder_of(self, point: Point) -> str:
        """The path from which a point was stored, which another server may have had elsewhere."""
        if point.id not in self._folders:
            answer = self._run("cat", "snapshot", point.id, doing=f"Reading the point {point.id[:8]}")
            self._folders[point.id] = _only(json.loads(answer).get("paths"), point.id)
        return self._folders[point.id]

    def _run(self, *words: str | Path, doing: str, long: bool = False, output: Any = None) -> str:
        try:
            return self._call(*words, long=long, output=output)
        except ProgramFailed as error:
            if not _locked(error) or self._read_only:
                raise self._told(error, doing) from error
        # Only this server writes here, and one process of it at a time: every lock is one that was left behind.
        try:
            self._call("unlock", "--remove-all")
            return self._call(*words, long=long, output=output)
        except ProgramFailed as error:
            raise self._told(error, doing) from error

    def _call(self, *words: str | Path, long: bool = False, output: Any = None) -> str:
        return self._programs.run(
            ["restic", *self._options, *words],
            secrets=self._secrets,
            environment=self._environment,
            timeout=self._patience if long else 10 * MINUTE,
            output=output,
        )

    def _told(self, error: ProgramFailed, doing: str) -> EngineFailed:
        said = error.output.lower()
        if error.status == _WRONG_PASSWORD or "wrong password" in said:
            message = f"The passphrase does not open the repository {self._place}."
            return WrongPassphrase(message, hint="give the passphrase with which it was made")
        failed = outside(error, doing)
        gone = "unable to open config file" in said and ("does not exist" in said or "no such file" in said)
        if error.status == _NO_REPOSITORY or gone:
            return NothingStored(f"There is no repository at {self._place}.")
        if not failed.hint and damaged_words(error, _DAMAGE):
            hint = "restore an earlier point, and `hostemr-host undelete` what was changed"
            return Damaged(f"{doing} failed: what {self._place} holds is damaged: {_first(error.output)}", hint=hint)
        return failed


def repository(place: Place) -> str:
    """The repository's name for restic: `s3:https://s3.<region>.amazonaws.com/<bucket>/<prefix>`, or a folder."""
    if not isinstance(place, Bucket):
        return str(place.path)
    domain = "amazonaws.com.cn" if place.region.startswith("cn-") else "amazonaws.com"
    endpoint = place.endpoint_url or f"https://s3.{place.region}.{domain}"
    return f"s3:{endpoint.rstrip('/')}/{place.name}/{place.prefix}"


def _summary(answer: str) -> str:
    for line in reversed(answer.splitlines()):
        found = json.loads(line)
        if found.get("message_type") == "summary" and found.get("snapshot_id"):
            return str(found["snapshot_id"])
    raise EngineFailed("restic did not say what it stored.", hint="try again")


def _only(paths: object, point_id: str) -> str:
    if not isinstance(paths, list) or len(paths) != 1 or not isinstance(paths[0], str):
        raise Damaged(f"The point {point_id} should hold one folder, but holds {paths}.")
    return paths[0].rstrip("/")


def _locked(error: ProgramFailed) -> bool:
    return error.status == _LOCKED or "already locked" in error.output


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _first(output: str) -> str:
    lines: Sequence[str] = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[0][:300] if lines else "no more is known"
