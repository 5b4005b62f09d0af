"""What is kept of the counts, and that a flood of invented labels does not fill the memory."""

from __future__ import annotations

from hostemr.registration.overview.figures import (
    KEPT,
    LEFT_PER_COUNT,
    Figures,
    Month,
    Tally,
    TallyCount,
    consecutive,
)
from hostemr.registration.overview.findings import arrivals, growth, shares


def test_figures_are_read_as_they_were_written() -> None:
    figures = Figures(
        addresses=3,
        months=(Month("2026-11", 3, 4),),
        versions=Tally((("]]>'\"\u202e😀", 2), ("7.0.3", 1)), others=5, kinds=9, untold=1),
    )
    assert Figures.from_json(figures.to_json()) == figures


def test_months_without_a_registration_are_there_too() -> None:
    months = consecutive({"2025-11": 2}, {"2025-11": 2, "2026-01": 1}, "2026-02")
    assert [(one.name, one.addresses, one.installations) for one in months] == [
        ("2025-11", 2, 2),
        ("2025-12", 0, 0),
        ("2026-01", 0, 1),
        ("2026-02", 0, 0),
    ]


def test_a_clock_that_went_back_loses_no_month() -> None:
    assert [one.name for one in consecutive({"2026-03": 1}, {}, "2026-01")] == ["2026-03"]


def test_stretches_add_up_whatever_is_left_out() -> None:
    count = TallyCount()
    for stretch in range(3):
        invented = [(f"{stretch}-{index}", 1) for index in range(LEFT_PER_COUNT + 500)]
        count.add([("7.0.3", 40), ("7.0.3", 2), (None, 7), *invented])
    tally = count.tally
    assert tally.top[0] == ("7.0.3", 126)
    assert len(tally.top) == KEPT
    assert tally.untold == 21
    assert tally.told == 126 + 3 * (LEFT_PER_COUNT + 500)


def test_the_rest_is_one_bar_that_tells_how_many_it_stands_for() -> None:
    tally = Tally.of({f"7.0.{index}": 20 - index for index in range(15)}, 0, 4)
    rows = shares("v", "c", "Version", tally, "not told").table.rows
    assert rows[0][:2] == ["7.0.0", "20"]
    assert [row[0] for row in rows[8:]] == ["others (7)", "not told"]
    assert sum(int(row[1]) for row in rows) == tally.told + tally.untold


def test_a_single_further_label_is_named() -> None:
    tally = Tally.of({f"7.0.{index}": 20 - index for index in range(9)}, 0, 0)
    assert [row[0] for row in shares("v", "c", "Version", tally, "not told").table.rows][-1] == "7.0.8"


def test_the_finding_says_how_much_it_grew() -> None:
    figures = Figures(months=(Month("2016-01", 120, 120), Month("2016-02", 8881, 9000)))
    assert growth(figures).finding == "Registered addresses grew from 120 in Jan 2016 to 9,001 in Feb 2016."
    assert arrivals(figures).finding == "8,881 new in Feb 2016 so far; the most were 8,881, in Feb 2016."
    assert growth(Figures()).finding == "No address has been registered yet."
    assert (
        growth(Figures(months=(Month("2026-11", 1, 1),))).finding
        == "Registered addresses: 1 in Nov 2026, the first month."
    )
