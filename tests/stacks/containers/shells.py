"""The shells that the scripts must run on: Debian's dash, and busybox with its own sed, awk and find."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.peers.openemr_image import Image

SHELLS = ("dash", "busybox")


def use_shell(image: Image, shell: str) -> None:
    """Let the image's programs run on this shell, or skip the test by name."""
    found = shutil.which(shell)
    if not found:
        pytest.skip(f"needs {shell}")
    if shell == "busybox":
        applets = Path(image.folder / "busybox")
        applets.mkdir()
        listed = subprocess.run([found, "--list"], capture_output=True, text=True, check=True)
        for name in listed.stdout.split():
            (applets / name).symlink_to(found)
        image.path = f"{applets}{os.pathsep}{image.path}"
        image.shell = (str(applets / "sh"),)
