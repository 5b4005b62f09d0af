"""Files of an export and of an output, on this machine or in S3: whatever Spark's own file systems reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Files(Protocol):
    """Folders and files by path or URL. Paths are joined with `/`."""

    def children(self, folder: str) -> list[str]:
        """Names of what lies directly in the folder, sorted; folders' end in `/`. Empty if it does not exist."""

    def below(self, folder: str) -> list[str]:
        """Paths of all files below the folder, relative to it, sorted. Empty if it does not exist."""

    def read(self, path: str) -> str:
        """The file's text, in UTF-8."""

    def write(self, path: str, text: str) -> None:
        """Make the file, or replace it."""

    def delete(self, path: str) -> None:
        """Remove the file; does nothing where there is none."""


class HadoopFiles:
    """The file systems that Spark has: `file:` without a scheme in the path, `s3:` on EMR.

    Spark's Python API has none for listing names that begin with `_`, so this goes to Hadoop's FileSystem, through the
    gateway that Spark 3.5 and 4 both have on a driver (https://hadoop.apache.org/docs/stable/api/, FileSystem).
    """

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    def _open(self, path: str) -> tuple[Any, Any]:
        context: Any = self._spark.sparkContext
        where = context._jvm.org.apache.hadoop.fs.Path(path)  # noqa: SLF001, there is no public way
        return where.getFileSystem(context._jsc.hadoopConfiguration()), where  # noqa: SLF001

    def children(self, folder: str) -> list[str]:
        """See `Files`."""
        system, where = self._open(folder)
        if not system.exists(where):
            return []
        return sorted(one.getPath().getName() + ("/" if one.isDirectory() else "") for one in system.listStatus(where))

    def below(self, folder: str) -> list[str]:
        """See `Files`."""
        system, where = self._open(folder)
        if not system.exists(where):
            return []
        root = system.makeQualified(where).toUri().getPath().rstrip("/") + "/"
        found, left = [], system.listFiles(where, True)
        while left.hasNext():
            path: str = left.next().getPath().toUri().getPath()
            found.append(path[len(root) :])
        return sorted(found)

    def read(self, path: str) -> str:
        """See `Files`."""
        rows = self._spark.read.text(path, wholetext=True).collect()
        return "".join(str(row[0]) for row in rows)

    def write(self, path: str, text: str) -> None:
        """See `Files`."""
        system, where = self._open(path)
        stream = system.create(where, True)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()

    def delete(self, path: str) -> None:
        """See `Files`."""
        system, where = self._open(path)
        system.delete(where, False)
