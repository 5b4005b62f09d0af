"""Make the two files that EMR Serverless runs the job from: `python -m hostemr.analytics.bundle FOLDER`."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import hostemr

ENTRY_POINT = "visits.py"
ARCHIVE = "hostemr-analytics.zip"


def bundle(folder: Path) -> tuple[Path, Path]:
    """Write the entry point and the zip of what it imports; answers both. The same code makes the same bytes."""
    package = Path(hostemr.__file__).parent
    modules = [package / "__init__.py", package / "errors.py", *sorted((package / "analytics").glob("*.py"))]
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / ARCHIVE
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for module in modules:
            name = module.relative_to(package.parent).as_posix()
            zipped.writestr(zipfile.ZipInfo(name), module.read_bytes())
    entry = folder / ENTRY_POINT
    entry.write_bytes((package / "analytics" / ENTRY_POINT).read_bytes())
    return entry, archive


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m hostemr.analytics.bundle FOLDER")
    for made in bundle(Path(sys.argv[1])):
        print(made)  # noqa: T201
