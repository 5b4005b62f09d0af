"""The agent as one file that Python runs: what the stack's template carries."""

from __future__ import annotations

import io
import zipfile
from importlib import resources
from importlib.resources.abc import Traversable

_MAIN = b'import runpy\nrunpy.run_module("hostemr.host", run_name="__main__", alter_sys=True)\n'
_MOMENT = (1980, 1, 1, 0, 0, 0)


def host_program() -> bytes:
    """A zip application of `hostemr.host` and `hostemr.errors`, for `python3 -I`.

    The same sources make the same bytes with the same zlib: order, times and modes are fixed. Comments and docstrings
    come along: without them it would be a quarter smaller, and a template has room for ten of it.
    """
    package = resources.files("hostemr")
    entries = {"__main__.py": _MAIN}
    for name in ("__init__.py", "errors.py"):
        entries[f"hostemr/{name}"] = package.joinpath(name).read_bytes()
    entries.update(_below(package.joinpath("host"), "hostemr/host"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in sorted(entries.items()):
            about = zipfile.ZipInfo(path, _MOMENT)
            # As on the systems that it runs on, wherever it is made.
            about.create_system = 3
            about.external_attr = 0o644 << 16
            archive.writestr(about, content, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


def _below(folder: Traversable, name: str) -> dict[str, bytes]:
    found = {}
    for entry in folder.iterdir():
        path = f"{name}/{entry.name}"
        if entry.is_dir() and entry.name != "__pycache__":
            found.update(_below(entry, path))
        elif entry.is_file() and not entry.name.startswith("."):
            found[path] = entry.read_bytes()
    return found
