"""Images that are older than the data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hostemr.errors import RefusedError
from hostemr.host.versions import keep_versions, refuse_older, version
from tests.host.machine import Machine, first


@pytest.mark.parametrize(
    ("image", "numbers"),
    [
        ("openemr/openemr:8.1.0", (8, 1, 0)),
        ("mariadb:11.8.9@sha256:" + "0" * 64, (11, 8, 9)),
        ("registry.example:5000/openemr:7.0.3", (7, 0, 3)),
        ("openemr/openemr:v8", (8,)),
        ("openemr/openemr:latest", ()),
        ("openemr/openemr", ()),
    ],
)
def test_a_tags_numbers_are_its_version(image: str, numbers: tuple[int, ...]) -> None:
    assert version(image) == numbers


def test_an_older_image_is_refused_on_data_that_a_newer_one_served(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    generation = first(machine.server)
    keep_versions(machine.server)
    refuse_older(machine.server)
    for told in (
        replace(machine.configuration, openemr_image="openemr/openemr:7.0.2"),
        replace(machine.configuration, database_image="mariadb:10.11.6"),
    ):
        older = replace(machine.server, configuration=told)
        with pytest.raises(RefusedError, match="is older") as caught:
            refuse_older(older)
        assert "restore from before the update" in caught.value.hint
    newer = replace(machine.server, configuration=replace(machine.configuration, database_image="mariadb:12.0.1"))
    refuse_older(newer)
    # Restored data was served by nobody yet.
    (machine.layout.generations / "restored").mkdir()
    machine.layout.serve("restored")
    refuse_older(older)
    assert generation != "restored"
    assert json.loads((machine.layout.state / "served-by.json").read_text())["database"] == "mariadb:11.8.3"
