"""Bring a bucket's objects back to what they were at a moment.

The server may delete objects, and whoever takes the server may too. In a versioned bucket a deletion only hides:
every version stays until the lifecycle rule removes it, and the server's role may not remove versions. So copying the
versions of an earlier moment over the newest ones brings the backups back.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/RestoringPreviousVersions.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from hostemr.errors import RefusedError
from hostemr.host.aws import Aws

LARGEST_COPY = 5 * 1024**3
"""Bytes that one CopyObject copies (its documentation). The engines' files are far smaller."""
_AT_ONCE = 4
"""Each call starts the AWS command line, which takes a second and some 60 MB of memory."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or a delete marker, which has no size and no tag."""

    key: str
    id: str
    modified: datetime
    newest: bool
    size: int | None = None
    tag: str | None = None

    @property
    def deleted(self) -> bool:
        """Whether it is a delete marker."""
        return self.size is None


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to do: copy a version over, or hide an object behind a delete marker."""

    action: Literal["copy", "hide"]
    key: str
    reason: str
    version: str = ""
    size: int = 0

    def __str__(self) -> str:
        what = f"{self.size} bytes, version {self.version}" if self.action == "copy" else "its versions stay"
        return f"{self.action} {self.key} ({self.reason}; {what})"


@dataclass(frozen=True, slots=True)
class Report:
    """What was to be done; `done` says whether it was. `later` are objects added since that are left as they are."""

    as_of: datetime
    changes: tuple[Change, ...]
    unchanged: int
    later: int
    done: bool

    def __str__(self) -> str:
        lines = [str(change) for change in self.changes]
        verb = "changed" if self.done else "would be changed"
        moment = self.as_of.isoformat(timespec="seconds")
        lines.append(
            f"{len(self.changes)} objects {verb} to what they were at {moment}; {self.unchanged} already are; "
            f"{self.later} were added later and stay."
        )
        return "\n".join(lines)


def undelete(
    aws: Aws,
    bucket: str,
    prefix: str,
    as_of: datetime,
    *,
    confirm: bool = False,
    hide_later: bool = False,
    say: Callable[[str], None] | None = None,
) -> Report:
    """Bring every object below a prefix back to the version that it had at a moment.

    Does nothing but report unless `confirm`. Objects that were added later stay, unless `hide_later`, or unless they
    belong to another restic repository that was made in the place of the one that comes back, which could not be
    opened with them. Nothing is lost by it: whatever is newest now stays as a version. S3's times are whole seconds.
    Interrupted, it can be run again. Raises RefusedError where an object is too large to copy at once, before anything
    is changed, and ProgramFailed where AWS does not let us; needs ListBucketVersions, GetObjectVersion, PutObject and
    DeleteObject.
    """
    folder = f"{prefix.rstrip('/')}/" if prefix else ""
    report = plan(_versions(aws, bucket, folder), as_of, hide_later=hide_later)
    if not confirm:
        return report
    # Restic's `config` last: until then nobody takes what an interrupted run left for a whole repository.
    last = [change for change in report.changes if change.key.endswith("/config")]
    for wave in ([change for change in report.changes if change not in last], last):
        workers = ThreadPoolExecutor(_AT_ONCE)
        try:
            for change, _ in zip(wave, workers.map(partial(_do, aws, bucket), wave), strict=True):
                if say is not None:
                    say(str(change))
        finally:
            # After a failure nothing more is begun.
            workers.shutdown(cancel_futures=True)
    return Report(report.as_of, report.changes, report.unchanged, report.later, done=True)


def plan(versions: Iterable[Version], as_of: datetime, *, hide_later: bool = False) -> Report:
    """What is to be done. The versions of one key come newest first. Raises RefusedError as `undelete` does."""
    moment = as_of.astimezone(UTC)
    by_key: dict[str, list[Version]] = defaultdict(list)
    for version in versions:
        # A lock is of the moment in which it was made; nobody wants it back.
        if "/locks/" not in f"/{version.key}":
            by_key[version.key].append(version)
    replaced = _replaced_repositories(by_key, moment)
    changes: list[Change] = []
    unchanged = later = 0
    for key in sorted(by_key):
        now = next((version for version in by_key[key] if version.newest), by_key[key][0])
        then = _at(by_key[key], moment)
        if then is None:
            if now.deleted:
                continue
            elsewhere = next((root for root in replaced if key.startswith(root)), None)
            if hide_later or elsewhere is not None:
                reason = "added later" if elsewhere is None else "of the repository that was made later"
                changes.append(Change("hide", key, reason))
            else:
                later += 1
        elif now.id == then.id or (now.size, now.tag) == (then.size, then.tag):
            unchanged += 1
        else:
            reason = "deleted since" if now.deleted else "overwritten since"
            changes.append(Change("copy", key, reason, then.id, then.size or 0))
    large = [change.key for change in changes if change.size > LARGEST_COPY]
    if large:
        message = f"{len(large)} objects are over 5 GiB, which S3 does not copy at once: {', '.join(large[:3])}."
        raise RefusedError(message, hint="bring them back in the S3 console, then run this again")
    return Report(moment, tuple(changes), unchanged, later, done=False)


def _do(aws: Aws, bucket: str, change: Change) -> None:
    if change.action == "hide":
        aws.call("s3api", "delete-object", {"Bucket": bucket, "Key": change.key})
        return
    # The header has to be quoted (CopyObject); the command line does that.
    source = f"{bucket}/{change.key}?versionId={change.version}"
    aws.call("s3api", "copy-object", {"Bucket": bucket, "Key": change.key, "CopySource": source})


def _at(versions: list[Version], moment: datetime) -> Version | None:
    """What a key held at a moment. None where it held nothing."""
    before = [version for version in versions if version.modified <= moment]
    if not before:
        return None
    newest = max(version.modified for version in before)
    # Times are whole seconds: where a version and a marker have the same, the data is what is wanted.
    last = sorted((version for version in before if version.modified == newest), key=lambda each: each.deleted)
    return None if last[0].deleted else last[0]


def _replaced_repositories(by_key: Mapping[str, list[Version]], moment: datetime) -> list[str]:
    """Folders with a restic repository to which another one's key was added: what came later does not belong to it."""
    folders = []
    for key, versions in by_key.items():
        if key.endswith("/config") and _at(versions, moment) is not None:
            root = key.removesuffix("config")
            keys = [each for name, each in by_key.items() if name.startswith(f"{root}keys/")]
            if any(_at(each, moment) is None and any(not version.deleted for version in each) for each in keys):
                folders.append(root)
    return folders


def _versions(aws: Aws, bucket: str, folder: str) -> list[Version]:
    # The command line fetches page after page and answers them as one.
    answer = aws.call("s3api", "list-object-versions", {"Bucket": bucket, "Prefix": folder})
    found = [_version(entry, deleted=False) for entry in answer.get("Versions") or []]
    return found + [_version(entry, deleted=True) for entry in answer.get("DeleteMarkers") or []]


def _version(entry: Mapping[str, Any], *, deleted: bool) -> Version:
    modified = datetime.fromisoformat(entry["LastModified"]).astimezone(UTC)
    size = None if deleted else int(entry["Size"])
    return Version(entry["Key"], entry["VersionId"], modified, bool(entry["IsLatest"]), size, entry.get("ETag"))
