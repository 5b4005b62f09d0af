"""A sheet as SVG: one file without scripts, fonts or references, for light and dark screens."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from html import escape

from hostemr.operate.diagram.icons import ANCHOR, ICONS
from hostemr.operate.diagram.model import Key, KeyKind, Tone
from hostemr.operate.diagram.sheet import Badge, Box, Line, Point, Sheet, Text

_LIGHT = (
    "--paper:#fff;--ink:#16202b;--soft:#55636f;--card:#fff;--edge:#93a1ae;--store:#1d4f91;--frame:#6a55b5;"
    "--network:#faf9fe;--public:#fff1dc;--routed:#e8f1fb;--closed:#e9edf1;--good:#17703a;--warn:#8a5300;--bad:#c0102c;"
    "--pill:#b04a00;--ka:#5b6873;--on:#fff;"
    "--k1:#0b5cad;--k2:#7b3aa0;--k3:#00706f;--k4:#95400c;--k5:#99266b;--k6:#4a6112"
)
_DARK = (
    "--paper:#10161d;--ink:#e8edf2;--soft:#a5b2be;--card:#1b242e;--edge:#5d6c7a;--store:#7db3f5;--frame:#a493ea;"
    "--network:#151b25;--public:#33270f;--routed:#15273b;--closed:#222b34;--good:#5fd38a;--warn:#f0b450;"
    "--bad:#ff7480;--pill:#ffa657;--ka:#a5b2be;--on:#10161d;"
    "--k1:#7db3f5;--k2:#cf9df0;--k3:#5fd0cb;--k4:#f2a26b;--k5:#f08cc4;--k6:#b7d169"
)
_RULES = """
{s}{{{light};font-family:system-ui,-apple-system,"Segoe UI",Roboto,Arial,"DejaVu Sans",sans-serif}}
@media (prefers-color-scheme:dark){{{s}{{{dark}}}}}
{s} text{{fill:var(--ink)}}
{s} .muted,{s} .plain{{fill:var(--soft)}}
{s} .good{{fill:var(--good)}} {s} .warn{{fill:var(--warn)}} {s} .bad{{fill:var(--bad)}}
{s} .b{{font-weight:700}}
{s} .paper{{fill:var(--paper)}}
{s} .frame{{fill:var(--network);stroke:var(--frame);stroke-width:1.5}}
{s} .band{{fill:none}}
{s} .subnet-public{{fill:var(--public)}} {s} .subnet-routed{{fill:var(--routed)}}
{s} .subnet-closed,{s} .subnet-outside{{fill:var(--closed)}}
{s} .card,{s} .panel{{fill:var(--card);stroke:var(--edge)}}
{s} .store{{fill:var(--card);stroke:var(--store);stroke-width:1.6}}
{s} .open{{stroke:var(--bad);stroke-width:2.5}}
{s} .icon{{fill:none;stroke:var(--soft);stroke-width:1.7;stroke-linecap:round;stroke-linejoin:round}}
{s} .anchor{{fill:none;stroke:var(--good);stroke-width:1.7;stroke-linecap:round}}
{s} .pill{{fill:none;stroke:var(--pill);stroke-width:1.4}} {s} .pilltext{{fill:var(--pill)}}
{s} .on{{fill:var(--on)}}
{s} .line{{fill:none;stroke:var(--soft);stroke-width:1.6}} {s} .head{{fill:var(--soft)}}
{s} .head.good{{fill:var(--good)}} {s} .head.warn{{fill:var(--warn)}} {s} .head.bad{{fill:var(--bad)}}
{s} .line.good{{fill:none;stroke:var(--good)}} {s} .line.warn{{fill:none;stroke:var(--warn)}}
{s} .line.bad{{fill:none;stroke:var(--bad);stroke-width:2.6}} {s} .line.muted,{s} .line.plain{{fill:none}}
{s} .dashed{{stroke-dasharray:5 4}}
"""
_COLOURS = 6
_CONTROL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")
"""What XML 1.0 does not allow, not even escaped ("Characters", production 2), and what turns a text's direction."""


def render(sheet: Sheet, *, title: str, description: str) -> str:
    """The sheet as an SVG document. Ids and styles begin with a digest, so that many can stand in one page."""
    body = "\n".join(_body(sheet))
    name = "hd-" + hashlib.sha256(f"{title}\n{description}\n{body}".encode()).hexdigest()[:10]
    style = _RULES.format(s=f"#{name}", light=_LIGHT, dark=_DARK).strip()
    width, height = _number(sheet.width), _number(sheet.height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-t {name}-d">\n'
        f'<title id="{name}-t">{_safe(title)}</title>\n<desc id="{name}-d">{_safe(description)}</desc>\n'
        f"<style>\n{style}\n</style>\n{body}\n</svg>\n"
    )


def _body(sheet: Sheet) -> Iterator[str]:
    yield f'<rect class="paper" width="{_number(sheet.width)}" height="{_number(sheet.height)}"/>'
    for box in sheet.boxes:
        yield from _box(box)
    for line in sheet.lines:
        yield from _line(line)
    for x, y, tone in sheet.dots:
        yield f'<circle class="{tone}" cx="{_number(x)}" cy="{_number(y)}" r="5"/>'
    for text in sheet.texts:
        yield _text(text)
    for badge in sheet.badges:
        yield _badge(badge)
    for point in sheet.anchors:
        yield _anchor(point)
    for point in sheet.pills:
        yield _pill(point)


def _box(box: Box) -> Iterator[str]:
    role = "band" if box.role.startswith("band") else box.role
    alarming = any(badge.key.kind is KeyKind.NONE for badge in box.badges) and box.role == "store"
    radius = 0 if role == "band" else 8 if role == "frame" else 5
    yield "<g>"
    if box.hover:
        yield f"<title>{_safe(box.hover)}</title>"
    yield (
        f'<rect class="{role}{" open" if alarming else ""}" x="{_number(box.x)}" y="{_number(box.y)}" '
        f'width="{_number(box.w)}" height="{_number(box.h)}" rx="{radius}"/>'
    )
    if box.icon:
        yield (
            f'<path class="icon" transform="translate({_number(box.x + 8)} {_number(box.y + 6)}) scale(0.9)" '
            f'd="{ICONS[box.icon]}"/>'
        )
    yield from (_text(text) for text in box.texts)
    yield from (_badge(badge) for badge in box.badges)
    if box.anchor:
        yield _anchor(box.anchor)
    if box.pill:
        yield _pill(box.pill)
    yield "</g>"


def _line(line: Line) -> Iterator[str]:
    """The line ends where its head begins, so that the point is sharp."""
    (x, y), (before, above) = line.points[-1], line.points[-2]
    back = 8 if x > before else -8
    dashed = " dashed" if line.dashed else ""
    if y != above:
        raise ValueError("an arrow ends in a horizontal piece")
    points = [*line.points[:-1], (x - back + (2 if back > 0 else -2), y)]
    path = "M" + "L".join(f"{_number(a)} {_number(b)}" for a, b in points)
    yield f'<path class="line {line.tone}{dashed}" d="{path}"/>'
    head = f"M{_number(x)} {_number(y)}l{-back} -4.500v9z"
    yield f'<path class="head {line.tone}" d="{head}"/>'
    yield from (_text(text) for text in line.texts)


def _text(text: Text) -> str:
    classes = [name for name, on in ((text.tone, text.tone is not Tone.PLAIN), ("b", text.bold)) if on]
    class_ = f' class="{" ".join(classes)}"' if classes else ""
    anchor = ' text-anchor="end"' if text.ends else ""
    return (
        f'<text{class_} x="{_number(text.x)}" y="{_number(text.y)}" font-size="{_number(text.size)}"{anchor}>'
        f"{_safe(text.text)}</text>"
    )


def _badge(badge: Badge) -> str:
    x, y, middle = _number(badge.x), _number(badge.y), _number(badge.y + 3.8)
    colour = _colour(badge.key)
    return (
        f'<circle cx="{x}" cy="{y}" r="8.5" style="fill:var({colour})"/>'
        f'<text class="on b" x="{x}" y="{middle}" font-size="10.5" text-anchor="middle">{_safe(badge.key.mark)}</text>'
    )


def _colour(key: Key) -> str:
    if key.kind is KeyKind.NONE:
        return "--bad"
    if key.mark.isdigit():
        return f"--k{(int(key.mark) - 1) % _COLOURS + 1}"
    return "--ka"


def _anchor(point: Point) -> str:
    place = f"{_number(point[0])} {_number(point[1])}"
    return f'<path class="anchor" transform="translate({place})" d="{ANCHOR}"/>'


def _pill(point: Point) -> str:
    x, y = point
    return (
        f'<rect class="pill" x="{_number(x)}" y="{_number(y - 8)}" width="56" height="16" rx="8"/>'
        f'<text class="pilltext b" x="{_number(x + 28)}" y="{_number(y + 3.5)}" font-size="9.5" '
        f'text-anchor="middle">PUBLIC</text>'
    )


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _safe(text: str) -> str:
    return escape(_CONTROL.sub("�", text))
