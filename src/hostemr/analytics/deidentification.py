"""What may leave: years, bands of ages, three words for sex, and no small cell.

The rule is HIPAA's Safe Harbor, 45 CFR 164.514(b)(2)(i): of dates only the year, ages over 89 as one category, no
names, numbers or places. https://www.ecfr.gov/current/title-45/section-164.514
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from pyspark.sql import functions as F  # noqa: N812

if TYPE_CHECKING:
    from pyspark.sql import Column

BANDS = (
    *((5, "00-04"), (15, "05-14"), (25, "15-24"), (35, "25-34"), (45, "35-44"), (55, "45-54"), (65, "55-64")),
    *((75, "65-74"), (90, "75-89"), (121, "90+")),
)
"""Age below which a band ends, in years, and its name. Older than the last is an error of typing, so unknown."""
UNKNOWN_AGE = "unknown"
OTHER_SEX = "other or unknown"
SEXES = {"F": "female", "FEMALE": "female", "M": "male", "MALE": "male"}
MINIMUM_CELL = 11
"""CMS's rule: no cell of 1 to 10 people. https://www.hhs.gov/guidance/document/cms-cell-suppression-policy"""
# No zero year, month or day: MySQL keeps such dates, and nobody was born on one.
_DATE = "^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"


@dataclass(frozen=True)
class Cell:
    """Visits of a year by patients of one band of ages and sex, and how many patients these were."""

    year: int
    age_band: str
    sex: str
    patients: int
    visits: int


@dataclass(frozen=True)
class Suppressed:
    """Cells that may be published, and those that may not."""

    published: tuple[Cell, ...]
    withheld: tuple[Cell, ...]


def year(text: Column) -> Column:
    """The year of a date as text; NULL for none, a zero date, or what is no date."""
    return F.floor(_digits(text) / 10000).cast("int")


def age_band(birth: Column, on: Column) -> Column:
    """The band of the age in whole years that somebody born on `birth` has on the day `on`, both text.

    `unknown` where a date is missing or zero, the birth is after the day, or the age is over 120.
    """
    # Dates as numbers such as 20240229: their difference passes 10000 on each birthday.
    age = F.floor((_digits(on) - _digits(birth)) / 10000).cast("int")
    names: list[str] = []
    for end, name in BANDS:
        names += [name] * (end - len(names))
    # One look-up rather than a WHEN for each band: Spark would write the age out in each of them.
    return F.coalesce(F.get(F.array(*(F.lit(name) for name in names)), age), F.lit(UNKNOWN_AGE))


def sex(text: Column) -> Column:
    """`female`, `male`, or `other or unknown` for all else: what is written rarely would point at people."""
    word = F.upper(F.trim(text))
    result = F.when(F.lit(False), OTHER_SEX)
    for written, name in SEXES.items():
        result = result.when(word == written, name)
    return result.otherwise(OTHER_SEX)


def _digits(text: Column) -> Column:
    digits = F.translate(F.regexp_extract(text, _DATE, 0), "-", "")
    # An empty text must not reach the cast: Spark 4 raises an error for it, with the value in it.
    return F.when(digits != "", digits).cast("int")


def suppress(cells: Iterable[Cell], minimum: int) -> Suppressed:
    """Withhold cells of fewer than `minimum` patients, and more so that none can be computed from a year's total.

    Totals are not published, but a year's may be known from elsewhere, such as an annual report. Therefore a year that
    has a small cell withholds at least two, of together at least `minimum` patients, the next smallest ones first.
    A year with nothing but one small cell cannot be helped: its total is that cell.
    """
    published: list[Cell] = []
    withheld: list[Cell] = []
    for _, group in groupby(sorted(cells, key=lambda cell: cell.year), key=lambda cell: cell.year):
        hidden: list[Cell] = []
        for cell in sorted(group, key=lambda cell: (cell.patients, cell.visits, cell.age_band, cell.sex)):
            together = sum(one.patients for one in hidden)
            if cell.patients < minimum or (hidden and (len(hidden) == 1 or together < minimum)):
                hidden.append(cell)
            else:
                published.append(cell)
        withheld.extend(hidden)
    published.sort(key=lambda cell: (cell.year, cell.age_band, cell.sex))
    return Suppressed(tuple(published), tuple(withheld))
