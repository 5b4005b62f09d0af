"""Plans that the tests of a run share: each command is run once, whichever process asks first."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.peers.server import clean_environment
from tests.stacks.shared import shared


@dataclass(frozen=True)
class Planned:
    """What a `hostemr plan` said, and the files that it wrote, by their paths below --out."""

    status: int
    said: str
    talk: str
    files: dict[str, str]

    def unfold(self, folder: Path) -> Path:
        """Write the files to a folder, as the plan had them."""
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return folder


def planned(*arguments: str) -> Planned:
    """What `hostemr plan ARGUMENTS` comes to."""
    return shared(f"plan {arguments}", lambda: _made(arguments))


def _made(arguments: tuple[str, ...]) -> Planned:
    with tempfile.TemporaryDirectory(prefix="hostemr-planned-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "hostemr", "plan", *arguments, "--out", folder],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        files = {
            str(path.relative_to(folder)): path.read_text(encoding="utf-8")
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file()
        }
    return Planned(done.returncode, done.stdout, done.stderr, files)
