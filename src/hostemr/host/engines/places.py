"""Where an engine keeps what it stores: below a prefix of a bucket, or in a folder."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from hostemr.errors import OutsideWorldError
from hostemr.host.aws import Aws
from hostemr.host.engines import EngineFailed
from hostemr.host.layout import sync


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Objects below `prefix` of one S3 bucket. `endpoint_url` is another endpoint than AWS's own, None for AWS's."""

    aws: Aws
    name: str
    prefix: str
    region: str
    endpoint_url: str | None = None
    key_arn: str | None = None
    """KMS key that Duplicity asks for; restic asks for none, and the bucket's default encryption holds."""

    def names(self) -> list[str]:
        """The objects' names without the prefix. Raises EngineFailed."""
        try:
            # The command line fetches page after page and answers them as one.
            answer = self.aws.call("s3api", "list-objects-v2", {"Bucket": self.name, "Prefix": f"{self.prefix}/"})
        except OutsideWorldError as error:
            raise self._failed("listed", error) from error
        return sorted(entry["Key"].removeprefix(f"{self.prefix}/") for entry in answer.get("Contents") or [])

    def folders(self) -> list[str]:
        """The names up to their first slash, of those that have one. Raises EngineFailed."""
        wanted = {"Bucket": self.name, "Prefix": f"{self.prefix}/", "Delimiter": "/"}
        try:
            answer = self.aws.call("s3api", "list-objects-v2", wanted)
        except OutsideWorldError as error:
            raise self._failed("listed", error) from error
        found = [entry["Prefix"] for entry in answer.get("CommonPrefixes") or []]
        return sorted(each.removeprefix(f"{self.prefix}/").rstrip("/") for each in found)

    def below(self, folder: str) -> Bucket:
        """The place one folder deeper."""
        return replace(self, prefix=f"{self.prefix}/{folder}")

    def remove(self, names: Collection[str]) -> None:
        """Remove objects; those that are gone already count as removed. Raises EngineFailed.

        In a versioned bucket that adds delete markers: `hostemr.host.undelete` brings the objects back.
        """
        # DeleteObjects takes 1000 at once, but Linux no argument over 128 KiB (MAX_ARG_STRLEN).
        for batch in batches(list(names), 200):
            keys = [{"Key": f"{self.prefix}/{name}"} for name in batch]
            try:
                answer = self.aws.call(
                    "s3api", "delete-objects", {"Bucket": self.name, "Delete": {"Objects": keys, "Quiet": True}}
                )
            except OutsideWorldError as error:
                raise self._failed("cleared", error) from error
            if problems := answer.get("Errors"):
                message = f"{len(problems)} objects of s3://{self.name}/{self.prefix} could not be removed"
                raise EngineFailed(f"{message}: {problems[0].get('Code')} {problems[0].get('Message', '')}".rstrip())

    def _failed(self, done: str, error: OutsideWorldError) -> EngineFailed:
        message = f"s3://{self.name}/{self.prefix} could not be {done}: {error.message}"
        return EngineFailed(
            message, hint=error.hint or "see whether the network and the server's role are as they were"
        )

    def __str__(self) -> str:
        return f"s3://{self.name}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class Folder:
    """Files below one folder, as on a disk that was carried over."""

    path: Path

    def names(self) -> list[str]:
        """The files' paths relative to the folder; none where there is no folder."""
        return sorted(str(file.relative_to(self.path)) for file in self.path.rglob("*") if file.is_file())

    def folders(self) -> list[str]:
        """The names of the folders in it; none where there is no folder."""
        return sorted(each.name for each in self.path.iterdir() if each.is_dir()) if self.path.is_dir() else []

    def below(self, folder: str) -> Folder:
        """The place one folder deeper."""
        return Folder(self.path / folder)

    def remove(self, names: Collection[str]) -> None:
        """Remove files; those that are gone already count as removed. Raises EngineFailed."""
        try:
            for name in names:
                (self.path / name).unlink(missing_ok=True)
            if self.path.is_dir():
                sync(self.path)
        except OSError as error:
            raise EngineFailed(f"{self.path} could not be cleared: {error.strerror or error}.") from error

    def __str__(self) -> str:
        return str(self.path)


Place = Bucket | Folder


def batches(names: list[str], size: int) -> list[list[str]]:
    """The names in lists of at most `size`."""
    return [names[start : start + size] for start in range(0, len(names), size)]
