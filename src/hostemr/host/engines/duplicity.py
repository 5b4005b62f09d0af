"""The seed's engine: Duplicity, a full backup every seven days and increments between.

The same command lines were seen to work with Duplicity 0.8.22 (Debian 12), 2.1.4 (Ubuntu 24.04) and 3.2.1. It is told
the time and whether to make a full backup, so that its own clock and memory decide nothing, and it never goes on with
an interrupted upload: the folder is another one by then, and the archive would be half of each.

How long it tries: three times for each file, ten seconds apart, each time what the S3 client takes (two attempts of at
most a minute to connect): about seven minutes where nothing answers, seconds where the connection is refused.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Collection as AnyOf
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hostemr.host.engines import Damaged, EngineFailed, NothingStored, Point, WrongPassphrase
from hostemr.host.engines.duplicity_names import BackupSet, Collection, collection, stamp
from hostemr.host.engines.failures import local, outside
from hostemr.host.engines.places import Bucket, Place
from hostemr.host.layout import sync
from hostemr.host.programs import HOUR, ProgramFailed, Programs

_NAME = "openemr"
# Exit statuses (duplicity/log.py, ErrorCode), the same in all versions.
_DIFFERENT_MANIFESTS = 5
_USER_ERROR = 23
_EXCEPTION = 30
_GPG_FAILED = 31
_DAMAGE = {4, 6, 17, 18, 19, 20, 21, 22, 44, 45}
_NOT_FOUND = 52
# A daily backup that begins some minutes earlier than a week ago is still a week later.
_TOLERANCE = timedelta(hours=6)
_ENDS_WITHIN = 10.0
"""Seconds that Duplicity may take to end after a fatal error."""
_ENVIRONMENT = {"TZ": "UTC", "AWS_MAX_ATTEMPTS": "2", "AWS_RETRY_MODE": "standard"}


class Duplicity:
    """One archive in a place. `archive` holds what Duplicity remembers of it, unencrypted, and can be deleted.

    `full_every_days` is how old a full backup may be, by the points' times, before the next one is made. `read_only`
    does not write: for another stack's archive, also one that the original Express Plus made. `gpg_options` are added
    to those of every call of GnuPG.
    """

    name = "duplicity"

    def __init__(
        self,
        programs: Programs,
        place: Place,
        *,
        passphrase: str,
        archive: Path,
        full_every_days: int = 7,
        read_only: bool = False,
        volume_megabytes: int = 100,
        retry_delay_seconds: int = 10,
        gpg_options: str = "",
        patience: float = 12 * HOUR,
        ends_within: float = _ENDS_WITHIN,
    ) -> None:
        self._programs = programs
        self._place = place
        self._archive = archive
        self._full_every = timedelta(days=full_every_days)
        self._most_increments = 4 * full_every_days
        self._read_only = read_only
        self._volume_megabytes = volume_megabytes
        # An agent that kept the passphrase would let a wrong one go unnoticed.
        self._gpg_options = f"--cipher-algo=AES256 --compress-level=1 --no-symkey-cache {gpg_options}".rstrip()
        self._retry_delay_seconds = retry_delay_seconds
        self._patience = patience
        self._ends_within = ends_within
        self._secrets = {"PASSPHRASE": passphrase}

    def store(self, folder: Path, taken: datetime) -> Point:
        """Upload a folder as one point; see `Engine`.

        The point's time is `taken` to the second, or, where the clock went back, a second after the newest point:
        Duplicity's chains only go forward. Files with the same size and time (in seconds) as in the newest point are
        taken as unchanged: give every file that was written anew a new time.
        """
        self._writes()
        self._end_forgetting()
        held = self._held()
        if leftovers := held.leftovers():
            self._place.remove(leftovers)
            held = self._held()
        everything = [*(one for chain in held.chains for one in chain), *held.adrift, *held.unfinished]
        moment = taken.astimezone(UTC).replace(microsecond=0)
        if everything:
            moment = max(moment, max(one.taken for one in everything) + timedelta(seconds=1))
        self._ask_for_the_newest_manifest(held)
        kind = "full" if self._full_is_due(held, moment) else "incremental"
        words: list[str | Path] = [kind, *self._backup_options(moment), folder, self._url]
        try:
            self._run(*words, doing="The upload")
        except EngineFailed as error:
            if not self._remembers_wrongly(error):
                raise
            shutil.rmtree(self._archive / _NAME, ignore_errors=True)
            self._run(*words, doing="The upload")
        held = self._held()
        stored = held.set_of(stamp(moment))
        if stored is None or self._lost_volumes(stored):
            raise EngineFailed(f"Duplicity ended well, and {self._place} does not hold all of it.", hint="try again")
        self._renewal.unlink(missing_ok=True)
        return next(point for point in held.points() if point.id == stored.until)

    def begin_anew(self) -> None:
        """Make the next point a full backup: where the newest chain was found to be damaged."""
        self._prepare()
        self._renewal.touch()

    def points(self) -> list[Point]:
        """Every point, oldest first; see `Engine`."""
        return self._held().points()

    def read(self, point: Point, path: str) -> bytes:
        """One file of a point; see `Engine`."""
        with local(f"Reading {path}"), tempfile.TemporaryDirectory(prefix="hostemr-") as folder:
            target = Path(folder) / "file"
            self._restore(point, target, "-r", path, doing=f"Reading {path}")
            if not target.is_file():
                raise EngineFailed(f"The point {point.id} has no file {path}.")
            return target.read_bytes()

    def fetch(self, point: Point, into: Path) -> None:
        """Everything of a point, into a new folder; see `Engine`. `into` appears only when all is there.

        Duplicity keeps times of change to the second only.
        """
        beside = into.with_name(f"{into.name}.part")
        shutil.rmtree(beside, ignore_errors=True)
        try:
            with local("The download"):
                beside.parent.mkdir(parents=True, exist_ok=True)
                self._restore(point, beside, doing="The download")
                beside.rename(into)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def forget(self, points: AnyOf[Point]) -> list[Point]:
        """Remove whole chains, all of whose points are given; see `Engine`. The newest chain stays in any case."""
        self._writes()
        self._end_forgetting()
        given = {point.id for point in points}
        chains = self._held().chains
        newest = max(chains, key=lambda chain: chain[-1].until, default=None)
        gone = [chain for chain in chains if chain is not newest and {one.until for one in chain} <= given]
        # Manifests first, the last set's before its predecessors': what was begun is no longer listed as a point.
        sets = [one for chain in gone for one in reversed(chain)]
        names = [one.manifest for one in sets if one.manifest]
        names += [name for one in sets for name in one.files if name != one.manifest]
        if names:
            with local("Forgetting points"):
                self._prepare()
                beside = self._forgetting.with_suffix(".new")
                beside.write_text(json.dumps(names), encoding="utf-8")
                beside.rename(self._forgetting)
                sync(self._archive)
            self._end_forgetting()
        removed = {one.until for one in sets}
        return sorted(point for point in points if point.id in removed)

    def check(self) -> None:
        """Whether every chain has all its files, and every manifest can be read; see `Engine`.

        Volumes are not downloaded: a flipped bit in them is found by fetching. Raises NothingStored where nothing is.
        """
        held = self._held()
        if not held.chains:
            if not held.adrift and not held.unfinished:
                raise NothingStored(f"There is no archive at {self._place}.")
            message = f"{self._place} holds files of an archive, but no whole full backup."
            raise Damaged(message, hint="`hostemr-host undelete` brings back what was deleted")
        for manifest in self._manifests():
            manifest.unlink()
        self._run("cleanup", "--metadata-sync-mode", "full", self._url, doing="The check")
        problems = [f"{one.until} follows {one.since}, which is missing" for one in held.adrift]
        for one in (one for chain in held.chains for one in chain):
            if lost := self._lost_volumes(one):
                problems.append(f"{one.until} lacks the volumes {', '.join(map(str, lost))}")
            if not one.signature:
                problems.append(f"{one.until} lacks its signatures")
        leftovers = set(held.leftovers())
        problems += [f"{one.until} lacks its manifest" for one in held.unfinished if not leftovers >= set(one.files)]
        if problems:
            hint = "the next backup has to be a full one; `hostemr-host undelete` brings back what was deleted"
            raise Damaged(f"The archive {self._place} is damaged: {'; '.join(sorted(problems))}.", hint=hint)

    def _held(self) -> Collection:
        return collection(self._place.names())

    def _writes(self) -> None:
        if self._read_only:
            raise EngineFailed(f"{self._place} is another server's and is only read here.")

    def _full_is_due(self, held: Collection, moment: datetime) -> bool:
        if not held.chains or self._renewal.exists():
            return True
        chain = max(held.chains, key=lambda chain: chain[-1].until)
        newest = chain[-1]
        # An increment on top of a loss could not be restored.
        if any(self._lost_volumes(one) for one in chain) or not all(one.signature for one in chain):
            return True
        if any(one.until > newest.until for one in held.adrift):
            return True
        # While a clock that went back catches up, the points' times hardly move: then the number counts.
        return moment - chain[0].taken >= self._full_every - _TOLERANCE or len(chain) > self._most_increments

    def _lost_volumes(self, one: BackupSet) -> list[int]:
        """Volumes that are missing, by their numbers and by the manifest that Duplicity remembers, if it does."""
        expected: set[int] = set()
        for manifest in self._manifests():
            if one.manifest and one.manifest.startswith(manifest.name):
                found = re.findall(rb"^Volume (\d+):", manifest.read_bytes(), re.MULTILINE)
                expected = {int(number) for number in found}
        return sorted((expected | set(one.missing)) - one.volumes)

    def _ask_for_the_newest_manifest(self, held: Collection) -> None:
        """Have Duplicity download it again, which it cannot with another passphrase than the one before.

        Otherwise it would write an increment that cannot be restored together with what it is based on.
        """
        newest = max((one for chain in held.chains for one in chain), key=lambda one: one.until, default=None)
        for manifest in self._manifests():
            if newest and newest.manifest and newest.manifest.startswith(manifest.name):
                manifest.unlink()

    def _remembers_wrongly(self, error: EngineFailed) -> bool:
        """Whether what it remembers may be at fault, as after a loss of power; it is made anew from the archive."""
        cause = error.__cause__
        return isinstance(cause, ProgramFailed) and cause.status in {_DIFFERENT_MANIFESTS, _EXCEPTION}

    def _restore(self, point: Point, target: Path, *words: str, doing: str) -> None:
        held = self._held()
        if not held.chains:
            raise NothingStored(f"There is no archive at {self._place}.")
        for needed in (*point.needs, point.id):
            one = held.set_of(needed)
            if one is None or one.missing:
                message = f"{doing} of {point.id} failed: {needed} is not whole in {self._place}."
                raise Damaged(message, hint="restore an earlier point, or `hostemr-host undelete` what was deleted")
        # The id is Duplicity's own time; the point's may have been set right where the clock was wrong.
        moment = str(int(datetime.strptime(point.id, "%Y%m%dT%H%M%S%z").timestamp()))
        self._run("restore", "--time", moment, *words, self._url, target, doing=doing)

    @property
    def _url(self) -> str:
        if isinstance(self._place, Bucket):
            # 0.8 knows boto3 only under this name, later versions too.
            return f"boto3+s3://{self._place.name}/{self._place.prefix}"
        return f"file://{self._place.path}"

    @property
    def _renewal(self) -> Path:
        return self._archive / "next-is-full"

    @property
    def _forgetting(self) -> Path:
        return self._archive / "forgetting.json"

    def _end_forgetting(self) -> None:
        """Remove what an interrupted `forget` had begun to."""
        try:
            names = json.loads(self._forgetting.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        self._place.remove(names)
        self._forgetting.unlink()

    def _manifests(self) -> Iterator[Path]:
        yield from sorted((self._archive / _NAME).glob("duplicity-*.manifest"))

    def _prepare(self) -> None:
        self._archive.mkdir(parents=True, exist_ok=True)
        self._archive.chmod(0o700)
        if isinstance(self._place, Bucket) or self._read_only:
            return
        self._place.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _backup_options(self, moment: datetime) -> list[str]:
        # A server that replaced another has another name (and Duplicity refuses other servers' archives).
        options = ["--current-time", str(int(moment.timestamp())), "--allow-source-mismatch"]
        options += ["--volsize", str(self._volume_megabytes), "--no-print-statistics"]
        if isinstance(self._place, Bucket) and self._place.key_arn:
            options += ["--s3-use-server-side-kms-encryption", "--s3-kms-key-id", self._place.key_arn]
        return options

    @contextmanager
    def _folders(self) -> Iterator[tuple[Path, Path]]:
        """A folder for volumes in the making, and one for GnuPG, whose agent ends with it.

        GnuPG's is not below `archive`: its sockets' paths may have 107 characters only, and would hold the volume.
        """
        temporary = self._archive / "temporary"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(mode=0o700)
        with tempfile.TemporaryDirectory(prefix="hostemr-gnupg-", ignore_cleanup_errors=True) as gnupg:
            yield temporary, Path(gnupg)
        shutil.rmtree(temporary, ignore_errors=True)

    def _run(self, *words: str | Path, doing: str) -> None:
        with local(doing):
            self._prepare()
            self._call(*words, doing=doing)

    def _call(self, *words: str | Path, doing: str) -> None:
        # Otherwise Duplicity would go on with the upload that they are from.
        for partial in (self._archive / _NAME).glob("*.part*"):
            partial.unlink()
        options = ["--gpg-options", self._gpg_options]
        options += ["--num-retries", "3", "--backend-retry-delay", str(self._retry_delay_seconds)]
        if isinstance(self._place, Bucket):
            options += ["--s3-region-name", self._place.region]
            if self._place.endpoint_url:
                options += ["--s3-endpoint-url", self._place.endpoint_url]
        with self._folders() as (temporary, gnupg):
            ended = _Ended(temporary / "log", self._ends_within)
            try:
                self._programs.run(
                    [
                        *("duplicity", words[0], "--archive-dir", self._archive, "--name", _NAME),
                        *("--tempdir", temporary, "--log-file", ended.log, *options, *words[1:]),
                    ],
                    secrets=self._secrets,
                    environment={**_ENVIRONMENT, "GNUPGHOME": str(gnupg)},
                    timeout=self._patience,
                    hung=ended.long_ago,
                )
            except ProgramFailed as error:
                if error.status is not None and error.status < 0:
                    error.status = ended.status() or error.status
                if error.status == _USER_ERROR and ended.locked_out():
                    message = f"{doing} did not begin: another Duplicity works on this archive still."
                    hint = "it ends by itself, or with `pkill duplicity`; then run this again"
                    raise EngineFailed(message, hint=hint) from error
                raise self._told(error, doing) from error

    def _told(self, error: ProgramFailed, doing: str) -> EngineFailed:
        if error.status == _GPG_FAILED and ("Bad session key" in error.output or "Bad passphrase" in error.output):
            message = f"The passphrase does not open the archive {self._place}."
            return WrongPassphrase(message, hint="give the passphrase with which it was made")
        if error.status in {*_DAMAGE, _GPG_FAILED, _NOT_FOUND}:
            message = f"{doing} failed: the archive {self._place} is damaged: {error.message}"
            return Damaged(message, hint="restore an earlier point, and `hostemr-host undelete` what was changed")
        return outside(error, doing)


class _Ended:
    """Whether Duplicity has told of its end and does not end.

    After a fatal error while it restores it joins the thread that waits for gpg, which writes into a pipe that nobody
    reads any more (seen with 0.8.22 on a volume whose hash is wrong).
    """

    def __init__(self, log: Path, within: float) -> None:
        self.log = log
        self._within = within
        self._since: float | None = None

    def status(self) -> int | None:
        """The status of the fatal error in its log, whose lines begin with `ERROR` and a number."""
        try:
            found = re.search(rb"^ERROR (\d+)", self.log.read_bytes(), re.MULTILINE)
        except FileNotFoundError:
            return None
        return int(found[1]) if found else None

    def locked_out(self) -> bool:
        """Whether it found its lock taken: by one whose agent was killed, and which goes on alone."""
        return b"Another duplicity instance" in self.log.read_bytes()

    def long_ago(self) -> bool:
        """Whether that was long enough ago for an orderly end."""
        if self.status() is None:
            return False
        self._since = self._since or time.monotonic()
        return time.monotonic() - self._since > self._within
