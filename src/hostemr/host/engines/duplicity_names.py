"""What the names of Duplicity's files tell: sets of volumes, and the chains that they form.

The names are those of Duplicity 0.7 to 3 without `--short-filenames` and `--file-prefix` (duplicity(1), "file_naming").
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hostemr.host.engines import Point

_STAMP = r"\d{8}T\d{6}Z"
_NAME = re.compile(
    rf"duplicity-(?:(?:full|full-signatures)\.(?P<at>{_STAMP})"
    rf"|(?:inc|new-signatures)\.(?P<since>{_STAMP})\.to\.(?P<until>{_STAMP}))"
    r"\.(?:vol(?P<volume>\d+)\.difftar|(?P<manifest>manifest)|(?P<signature>sigtar))(?:\.gpg|\.gz)?"
)
_FORMAT = "%Y%m%dT%H%M%SZ"


@dataclass(slots=True)
class BackupSet:
    """What one run uploaded: a full backup, or the changes between `since` and `until`."""

    since: str | None
    until: str
    files: list[str] = field(default_factory=list)
    volumes: set[int] = field(default_factory=set)
    manifest: str | None = None
    signature: bool = False

    @property
    def finished(self) -> bool:
        """Duplicity uploads the manifest last. One without any volume is what a failed run can leave behind."""
        return self.manifest is not None and bool(self.volumes)

    @property
    def missing(self) -> list[int]:
        """Volumes that must have been there, since later ones are."""
        return sorted(set(range(1, max(self.volumes, default=0) + 1)) - self.volumes)

    @property
    def taken(self) -> datetime:
        """The moment that it restores."""
        return datetime.strptime(self.until, _FORMAT).replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Collection:
    """All that lies in a place, in order of time.

    `chains` begin with a full backup each; `adrift` are finished sets whose predecessor is missing; `unfinished` are
    sets without a manifest or without volumes.
    """

    chains: tuple[tuple[BackupSet, ...], ...]
    adrift: tuple[BackupSet, ...]
    unfinished: tuple[BackupSet, ...]

    def points(self) -> list[Point]:
        """A point for each set of each chain, oldest first."""
        found = []
        for chain in self.chains:
            for index, one in enumerate(chain):
                found.append(Point(one.taken, one.until, tuple(before.until for before in chain[:index])))
        return sorted(found)

    def set_of(self, point_id: str) -> BackupSet | None:
        """The set that ends at a point."""
        return next((one for chain in self.chains for one in chain if one.until == point_id), None)

    def leftovers(self) -> list[str]:
        """Files of runs that were interrupted: newer than every point, and nothing follows them.

        An older set without a manifest is no leftover but a loss, and stays for whoever repairs it.
        """
        newest = max((one.until for chain in self.chains for one in chain), default="")
        followed = {one.since for one in (*self.adrift, *self.unfinished)}
        left = [one for one in self.unfinished if one.until > newest and one.until not in followed]
        return [name for one in left for name in one.files]


def collection(names: Iterable[str]) -> Collection:
    """What a place holds, by its files' names; others than Duplicity's are passed over."""
    sets: dict[tuple[str | None, str], BackupSet] = {}
    for name in names:
        if (parts := _NAME.fullmatch(name)) is None:
            continue
        since, until = parts["since"], parts["at"] or parts["until"]
        one = sets.setdefault((since, until), BackupSet(since, until))
        one.files.append(name)
        if parts["volume"]:
            one.volumes.add(int(parts["volume"]))
        elif parts["manifest"]:
            one.manifest = name
        else:
            one.signature = True
    finished = sorted((one for one in sets.values() if one.finished), key=lambda one: one.until)
    chains = [[one] for one in finished if one.since is None]
    adrift = []
    for one in finished:
        if one.since is None:
            continue
        chain = next((chain for chain in chains if chain[-1].until == one.since), None)
        if chain is None:
            adrift.append(one)
        else:
            chain.append(one)
    unfinished = sorted((one for one in sets.values() if not one.finished), key=lambda one: one.until)
    return Collection(tuple(tuple(chain) for chain in chains), tuple(adrift), tuple(unfinished))


def stamp(moment: datetime) -> str:
    """A moment as it stands in Duplicity's names."""
    return moment.astimezone(UTC).strftime(_FORMAT)
