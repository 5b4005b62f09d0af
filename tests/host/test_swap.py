"""The swap file of small instances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hostemr.host.programs import ProgramFailed, Programs
from hostemr.host.swap import make_swap, memory

MEBIBYTE = 1024 * 1024


class Recorded(Programs):
    def __init__(self, failing: str = "") -> None:
        super().__init__({})
        self.failing = failing
        self.asked: list[list[str]] = []

    def run(self, argv: Sequence[str | Path], **_: Any) -> str:
        words = [str(word) for word in argv]
        self.asked.append(words)
        if words[0] == self.failing:
            raise ProgramFailed("failed", status=1, output="")
        return ""


class Machine:
    def __init__(self, folder: Path, *, kibibytes: int) -> None:
        self.meminfo = folder / "meminfo"
        self.meminfo.write_text(f"MemTotal:       {kibibytes} kB\nMemFree:        1 kB\n")
        self.swaps = folder / "swaps"
        self.swaps.write_text("Filename Type Size Used Priority\n")
        self.file = folder / "swapfile"
        self.told: list[str] = []

    def make(self, programs: Programs) -> bool:
        return make_swap(
            programs, file=self.file, size=MEBIBYTE, meminfo=self.meminfo, swaps=self.swaps, say=self.told.append
        )


@pytest.fixture
def small(tmp_path: Path) -> Machine:
    return Machine(tmp_path, kibibytes=1_950_000)


def test_a_small_machine_gets_one_that_only_root_reads(small: Machine) -> None:
    programs = Recorded()
    assert small.make(programs)
    assert [words[0] for words in programs.asked] == ["mkswap", "swapon"]
    assert small.file.stat().st_mode & 0o777 == 0o600
    # Blocks and no hole, or swapon refuses it.
    assert small.file.stat().st_blocks * 512 >= MEBIBYTE


def test_after_a_restart_it_is_used_again_and_not_made(small: Machine) -> None:
    small.make(Recorded())
    programs = Recorded()
    assert small.make(programs)
    assert programs.asked == [["swapon", str(small.file)]]


def test_one_in_use_is_left_alone(small: Machine) -> None:
    small.swaps.write_text(f"Filename Type Size Used Priority\n{small.file} file 2097148 0 -2\n")
    programs = Recorded()
    assert small.make(programs)
    assert programs.asked == []


def test_one_that_was_cut_off_is_made_again(small: Machine) -> None:
    with pytest.raises(ProgramFailed):
        small.make(Recorded("mkswap"))
    assert not small.file.exists()
    assert small.make(Recorded())


def test_four_gibibytes_need_none(tmp_path: Path) -> None:
    machine = Machine(tmp_path, kibibytes=4 * 1024 * 1024)
    programs = Recorded()
    assert not machine.make(programs)
    assert programs.asked == []
    assert memory(machine.meminfo) == 4 * 1024**3


def test_a_full_root_volume_is_not_filled_further(small: Machine) -> None:
    programs = Recorded()
    huge = 2**60
    assert not make_swap(
        programs, file=small.file, size=huge, meminfo=small.meminfo, swaps=small.swaps, say=small.told.append
    )
    assert "less than" in small.told[0]
    assert not small.file.exists()
