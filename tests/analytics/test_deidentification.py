from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyspark", reason="needs pyspark")

from hostemr.analytics.deidentification import BANDS, Cell, suppress

SMALL = st.builds(
    Cell,
    year=st.integers(2020, 2022),
    age_band=st.sampled_from([name for _, name in BANDS]),
    sex=st.sampled_from(["female", "male"]),
    patients=st.integers(1, 30),
    visits=st.integers(1, 90),
)
TABLES = st.lists(SMALL, unique_by=lambda cell: (cell.year, cell.age_band, cell.sex), max_size=30)


@given(cells=TABLES, minimum=st.integers(2, 15))
def test_nothing_small_is_published_nor_can_be_computed_from_a_years_total(cells: list[Cell], minimum: int) -> None:
    done = suppress(cells, minimum)
    assert sorted([*done.published, *done.withheld], key=repr) == sorted(cells, key=repr)
    assert all(cell.patients >= minimum for cell in done.published)
    for year in {cell.year for cell in done.withheld}:
        hidden = [cell.patients for cell in done.withheld if cell.year == year]
        shown = [cell for cell in done.published if cell.year == year]
        assert min(hidden) < minimum, "a year without a small cell withholds nothing"
        assert not shown or (len(hidden) >= 2 and sum(hidden) >= minimum)


@given(cells=TABLES, minimum=st.integers(2, 15))
def test_no_more_is_withheld_than_needed(cells: list[Cell], minimum: int) -> None:
    done = suppress(cells, minimum)
    for year in {cell.year for cell in done.withheld}:
        hidden = sorted(cell.patients for cell in done.withheld if cell.year == year)
        without_last = hidden[:-1]
        spared = hidden[-1] >= minimum and len(without_last) >= 2 and sum(without_last) >= minimum
        assert not spared


def test_the_order_of_the_rows_does_not_matter() -> None:
    cells = [Cell(2020, "05-14", sex, patients, patients) for sex, patients in [("female", 12), ("male", 3)]]
    cells.append(Cell(2020, "15-24", "male", 40, 41))
    assert suppress(cells, 11) == suppress(reversed(cells), 11)
    assert [cell.patients for cell in suppress(cells, 11).published] == [40]
