"""What OpenMRS' scripts make of an image's name."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.peers.openemr_image import SCRIPTS


@pytest.mark.parametrize(
    ("first", "second", "older"),
    [
        ("r/backend:3.2.0-rc.3", "r/backend:3.2.0-rc.10", True),
        ("r/backend:3.2.0-rc.10", "r/backend:3.2.0", True),
        ("r/backend:3.9.0", "r:5000/backend:3.10.0@sha256:0123", True),
        ("r/backend:3.7.0", "r/backend:3.7.0", False),
        ("r/backend:3.7.0", "r/backend:3.6.0", False),
        # Where a tag tells nothing, nothing is older.
        ("r/backend:nightly", "r/backend:3.6.0", False),
        ("r:5000/backend@sha256:0123", "r/backend:3.6.0", False),
        ("", "r/backend:3.6.0", False),
    ],
)
@pytest.mark.parametrize("awk", ["awk", "mawk", "busybox awk"])
def test_images_are_compared_by_their_tags(awk: str, first: str, second: str, older: bool) -> None:
    """By the awk of every image: mawk's and BusyBox's whole numbers have 32 bits."""
    if shutil.which(awk.partition(" ")[0]) is None:
        pytest.skip(f"needs {awk}")
    text = (SCRIPTS / "openmrs/places.sh").read_text() + f"\nolder '{first}' '{second}'"
    with_awk = f'awk() {{ command {awk} "$@"; }}\n{text}'
    assert (subprocess.run(["dash", "-c", with_awk], check=False).returncode == 0) == older
