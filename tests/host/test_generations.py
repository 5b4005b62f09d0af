"""Generations come and go by name, and none is forgotten on the disk."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hostemr.host.generations import keep_previous, new_name, previous, remove_previous
from hostemr.host.layout import PARTS
from tests.host.machine import START, Machine, first


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    """A server without a database."""
    return Machine(tmp_path)


def made(machine: Machine, name: str) -> str:
    (machine.layout.generations / name / "sites").mkdir(parents=True)
    (machine.layout.generations / name / "sites" / "file").write_text(name)
    return name


def test_the_first_generation_is_made_once(bare: Machine) -> None:
    name = first(bare.server)
    assert name == "20261101T030000Z"
    assert {path.name for path in (bare.layout.generations / name).iterdir()} == set(PARTS)
    bare.days(1)
    assert first(bare.server) == name == bare.layout.served()


def test_a_first_generation_that_was_cut_off_is_made_again(bare: Machine) -> None:
    (bare.layout.generations / "20261101T030000Z" / "database").mkdir(parents=True)
    assert first(bare.server) == "20261101T030000Z-2"
    assert bare.layout.served() == "20261101T030000Z-2"


def test_two_of_one_second_have_two_names(bare: Machine) -> None:
    names = [made(bare, new_name(bare.server)) for _ in range(3)]
    assert names == ["20261101T030000Z", "20261101T030000Z-2", "20261101T030000Z-3"]


def test_what_a_restore_replaced_stays_for_its_days_and_then_goes(bare: Machine) -> None:
    old, new = made(bare, "old"), made(bare, "new")
    bare.layout.serve(new)
    keep_previous(bare.server, old)
    assert previous(bare.server) == {"old": START}
    bare.days(6.99)
    assert remove_previous(bare.server) == []
    bare.days(0.01)
    assert remove_previous(bare.server) == ["old"]
    assert [path.name for path in bare.layout.generations.iterdir()] == ["new"]
    assert remove_previous(bare.server) == []


def test_all_of_it_can_go_at_once_but_never_what_is_served(bare: Machine) -> None:
    for name in ("one", "two", "three"):
        keep_previous(bare.server, made(bare, name))
    bare.layout.serve("two")
    assert remove_previous(bare.server, at_once=True) == ["one", "three"]
    assert (bare.layout.current / "sites" / "file").read_text() == "two"


def test_a_generation_that_is_served_again_and_replaced_again_has_its_days_anew(bare: Machine) -> None:
    old, new = made(bare, "old"), made(bare, "new")
    bare.layout.serve(new)
    keep_previous(bare.server, old)
    bare.days(6)
    bare.layout.serve(old)
    keep_previous(bare.server, new)
    bare.days(3)
    bare.layout.serve(new)
    keep_previous(bare.server, old)
    assert previous(bare.server) == {"old": START + timedelta(days=9)}
    assert remove_previous(bare.server) == []


def test_one_of_which_nothing_is_known_stays_for_the_days_and_then_goes(bare: Machine) -> None:
    made(bare, "new")
    made(bare, "orphan")
    bare.layout.serve("new")
    assert previous(bare.server) == {"orphan": START}
    assert remove_previous(bare.server) == []
    bare.days(7)
    assert previous(bare.server) == {"orphan": START}, "its days began when it was first seen"
    assert remove_previous(bare.server) == ["orphan"]


def test_a_lost_record_removes_nothing_at_once(bare: Machine) -> None:
    made(bare, "new")
    keep_previous(bare.server, made(bare, "old"))
    bare.layout.serve("new")
    (bare.layout.state / "previous.json").write_text("")
    bare.days(30)
    assert remove_previous(bare.server) == []
    bare.days(7)
    assert remove_previous(bare.server) == ["old"]


def test_what_an_unfinished_restore_needs_is_not_touched(bare: Machine) -> None:
    for name in ("old", "new"):
        made(bare, name)
    bare.layout.serve("new")
    journal = {"stage": "switching", "from": "old", "to": "new", "point": "x"}
    bare.server.state.write("restore", journal)
    bare.days(100)
    assert remove_previous(bare.server, at_once=True) == []
    bare.server.state.write("restore", {**journal, "stage": "done"})
    assert remove_previous(bare.server, at_once=True) == ["old"]


def test_a_removal_that_was_cut_off_is_taken_up_again(bare: Machine) -> None:
    made(bare, "new")
    keep_previous(bare.server, made(bare, "old"))
    bare.layout.serve("new")
    (bare.layout.generations / "old" / "sites" / "file").unlink()
    bare.days(8)
    assert remove_previous(bare.server) == ["old"]


def test_a_clock_that_went_back_keeps_what_there_is(bare: Machine) -> None:
    made(bare, "new")
    keep_previous(bare.server, made(bare, "old"))
    bare.layout.serve("new")
    bare.days(-400)
    assert remove_previous(bare.server) == []


def test_a_server_without_data_has_nothing_from_before(bare: Machine) -> None:
    assert previous(bare.server) == {}
    assert remove_previous(bare.server, at_once=True) == []
