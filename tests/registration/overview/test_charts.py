"""Charts as a browser and a screen reader get them, with data that is hardly any, huge or hostile."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from hostemr.registration.overview.charts import NO_DATA_HEIGHT, Chart, Series, bars, columns, lines, stacked

SVG = "{http://www.w3.org/2000/svg}"
MONTHS = [f"{year}-{month:02}" for year in range(2016, 2027) for month in range(1, 13)]
HOSTILE = [
    "<script>alert(1)</script>",
    '"\' onload=alert(1) x="',
    "]]></svg><img src=x onerror=alert(1)>",
    "\u202egnisrever\u2066 evil \u200f",
    "😀" * 64,
    "&amp;&#x3c;b&gt;",
    "{{ 7 * 7 }} {% raw %}",
    "\x00\x1b\x7f\ufffe",
]


def parsed(chart: Chart) -> ET.Element:
    """The picture as XML, which is stricter than HTML."""
    return ET.fromstring(f'<x xmlns="http://www.w3.org/2000/svg">{chart.picture}</x>')[0]


def words(picture: ET.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}text")]


def numbers_in(picture: ET.Element, attribute: str) -> list[float]:
    found = [element.get(attribute, "") for element in picture.iter()]
    return [float(value.rstrip("%")) for value in found if value]


def every_kind(rows: list[tuple[str, int]]) -> list[Chart]:
    months = MONTHS[: len(rows)]
    values = [value for _, value in rows]
    name = rows[0][0] if rows else "a"
    return [
        lines("a", name, name, months, [Series(name, values), Series("b", values)]),
        columns("b", name, name, months, Series(name, values)),
        bars("c", name, name, name, rows),
        stacked("d", name, name, name, rows[:4]),
    ]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [("one", 0)],
        [("one", 7)],
        [("a", 5), ("b", 5), ("c", 5)],
        [("a", 0), ("b", 0)],
        [("a", 10**18), ("b", 1)],
        [(label, 3) for label in HOSTILE],
    ],
)
def test_every_chart_is_well_formed_and_within_its_bounds_whatever_the_data(rows: list[tuple[str, int]]) -> None:
    for chart in every_kind(rows):
        picture = parsed(chart)
        assert picture.get("role") == "img"
        height = float(picture.get("height", "0"))
        assert height >= NO_DATA_HEIGHT
        for y in numbers_in(picture, "y") + numbers_in(picture, "y1") + numbers_in(picture, "cy"):
            assert -1 <= y <= height
        for across in re.findall(r'(?:x|width)="(-?[\d.]+)%"', chart.picture):
            assert 0 <= float(across) <= 100.01
        assert "nan" not in chart.picture
        assert "inf" not in chart.picture


@pytest.mark.parametrize("label", HOSTILE)
def test_a_strangers_label_is_text_and_nothing_else(label: str) -> None:
    for chart in every_kind([(label, 3)]):
        allowed = {"svg", "title", "desc", "g", "text", "rect", "line", "path", "circle", "defs", "pattern", "clipPath"}
        for element in parsed(chart).iter():
            assert element.tag.removeprefix(SVG) in allowed
            assert not {name for name in element.attrib if name.startswith("on") or name in {"style", "href"}}
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f]", "".join(chart.table.rows[0]))


def test_a_chart_carries_no_style_that_the_policy_would_block() -> None:
    for chart in every_kind([("7.0.3", 4), ("8.0.0", 2)]):
        assert "style=" not in chart.picture
        assert "<style" not in chart.picture
        assert "<script" not in chart.picture


def test_the_finding_is_the_pictures_name_and_the_table_has_every_value() -> None:
    chart = lines("a", "It grew from 1 to 3.", "By month", ["2026-01", "2026-02"], [Series("Addresses", [1, 3])])
    picture = parsed(chart)
    title = picture.find(f"{SVG}title")
    assert title is not None
    assert title.text == "It grew from 1 to 3."
    assert picture.get("aria-labelledby") == title.get("id")
    assert chart.table.heads == ["Month", "Addresses"]
    assert chart.table.rows == [["Feb 2026", "3"], ["Jan 2026", "1"]], "the newest month is read first"


def test_two_lines_that_end_at_the_same_height_keep_their_names_apart() -> None:
    for values in ([0, 0], [5, 5], [1, 1_000_000]):
        chart = lines("a", "f", "c", ["2026-01", "2026-02"], [Series("One", values), Series("Two", values)])
        ys = [float(one.get("y", "")) for one in parsed(chart).iter(f"{SVG}text") if "label" in one.get("class", "")]
        assert abs(ys[0] - ys[1]) >= 14


def test_lines_differ_by_more_than_colour() -> None:
    chart = stacked("a", "f", "c", "h", [("sent", 1), ("bounced", 2), ("failed", 3), ("waiting", 4)])
    fills = [one.get("fill") for one in parsed(chart).iter(f"{SVG}rect")]
    assert {"url(#a-2)", "url(#a-3)", "url(#a-4)"} <= set(fills)


def test_a_single_month_is_shown_as_a_point() -> None:
    chart = lines("a", "f", "c", ["2026-01"], [Series("One", [4])])
    assert len(list(parsed(chart).iter(f"{SVG}circle"))) == 1
    assert "One 4" in words(parsed(chart))


def test_a_long_label_is_cut_and_told_whole_beside_it() -> None:
    label = "OpenEMR Cloud Standard Edition, hosted by somebody"
    chart = bars("a", "f", "c", "Distribution", [(label, 4)])
    assert any(text.endswith("…") and len(text) <= 36 for text in words(parsed(chart)))
    assert f"{label}: 4" in [one.text for one in parsed(chart).iter(f"{SVG}title")]
    assert chart.table.rows == [[label, "4", "100 %"]]


def test_the_parts_of_a_bar_fill_it() -> None:
    chart = stacked("a", "f", "c", "h", [("sent", 1), ("bounced", 1), ("failed", 2)])
    widths = [
        float(one.get("width", "").rstrip("%"))
        for one in parsed(chart).iter(f"{SVG}rect")
        if "bar" in one.get("class", "") and one.get("width", "").endswith("%")
    ]
    assert widths == [25.0, 25.0, 50.0]
    assert "2 (50 %)" in words(parsed(chart))
