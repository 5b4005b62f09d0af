"""Where everything stands.

People and what comes before the network are in a row on top; below them the network, with a column for each zone and
a band for each kind of subnet, the most exposed first; beside it the keys and what the account holds. Arrows have
lanes of their own (from people at the network's right edge, within it at its left edge, to what is beside it in the
gap), so that none crosses a box.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from hostemr.operate.diagram.cards import BODY, card, legend
from hostemr.operate.diagram.connections import connect
from hostemr.operate.diagram.measure import fitted, width, wrapped
from hostemr.operate.diagram.model import Component, Kind, Picture, Place, Subnet, Tone
from hostemr.operate.diagram.sheet import Badge, Box, Sheet, Text

WIDTH, EDGE = 1200.0, 16.0
NETWORK, GAP = 776.0, 56.0
GUTTER, CORRIDOR = 136.0, 28.0
_BESIDE = EDGE + NETWORK + GAP
_ROOM_BESIDE = WIDTH - EDGE - _BESIDE
_BANDS = {
    Kind.PUBLIC: "Public subnets: a route from the internet",
    Kind.ROUTED: "Private subnets: a way out, none in",
    Kind.CLOSED: "Closed subnets: no way out, none in",
    Kind.OUTSIDE: "Subnets that these templates do not make",
}
_BETWEEN = 8.0


def arrange(picture: Picture) -> Sheet:
    """The sheet with everything of a picture in its place."""
    sheet = Sheet(WIDTH)
    top = _header(sheet, picture)
    low = _edge(sheet, picture, top)
    entries = [flow for flow in picture.flows if flow.source == "internet"]
    arrow = 26 + 14 * max((len(flow.says) for flow in entries[:1]), default=0)
    low = _network(sheet, picture, low + (arrow if entries else 20), several=len(entries) > 1)
    low = max(low, _beside(sheet, picture, top))
    connect(sheet, picture)
    sheet.height = _footer(sheet, picture, low + 14) + EDGE
    return sheet


def _header(sheet: Sheet, picture: Picture) -> float:
    sheet.texts.append(Text(EDGE, 34, fitted(picture.title, WIDTH - 2 * EDGE, 20, bold=True), 20, bold=True))
    y = 58.0
    for said in picture.summary:
        for number, line in enumerate(wrapped(said.text, WIDTH - 2 * EDGE - 16, 12.5, bold=said.tone is Tone.BAD)):
            if not number:
                sheet.dots.append((EDGE + 5, y - 4, said.tone))
            sheet.texts.append(Text(EDGE + 16, y, line, 12.5, said.tone, said.tone is Tone.BAD))
            y += 18
    return y + 2


def _edge(sheet: Sheet, picture: Picture, top: float) -> float:
    found = picture.at(Place.EDGE)
    gap = 24.0
    room = (NETWORK - gap * (len(found) - 1)) / len(found)
    cards = [card(one, room) for one in found]
    height = max(one.h for one in cards)
    sheet.boxes += [one.moved(EDGE + at * (room + gap), top, h=height) for at, one in enumerate(cards)]
    return top + height


def _beside(sheet: Sheet, picture: Picture, top: float) -> float:
    y = top
    cards = [legend(picture.keys, _ROOM_BESIDE)] if picture.keys else []
    for one in [*cards, *(card(one, _ROOM_BESIDE) for one in picture.at(Place.ACCOUNT))]:
        sheet.boxes.append(one.moved(_BESIDE, y))
        y += one.h + 10
    return y


def _network(sheet: Sheet, picture: Picture, top: float, *, several: bool) -> float:
    """The frame, its bands and what stands in them. Without a network and without anything in it, nothing."""
    inside = picture.at(Place.NETWORK)
    if not inside and not picture.subnets:
        return top
    if several:
        # One arrow's label has room before the network; with more, each card says its own ports.
        says = {flow.target: flow.says for flow in picture.flows if flow.source == "internet"}
        inside = tuple(replace(one, details=(*says.get(one.id, ()), *one.details)) for one in inside)
    frame_at = len(sheet.boxes)
    left, right = EDGE + GUTTER, EDGE + NETWORK - CORRIDOR
    texts = [Text(EDGE + 12, top + 20, fitted(picture.network, 420, 12.5, bold=True), 12.5, bold=True)]
    x = texts[0].span[1] + 14
    for note in picture.network_notes:
        texts.append(Text(x, top + 20, note.text, BODY, note.tone))
        x = texts[-1].span[1] + 14
    count = max(1, len(picture.zones))
    columns = _columns(left, right, count)
    y = top + 32
    if picture.zones:
        for (start, _), zone in zip(columns, picture.zones, strict=True):
            texts.append(Text(start + 10, y + 12, fitted(zone, columns[0][1] - 20, BODY, bold=True), BODY, bold=True))
        y += 20
    for kind in Kind:
        here = [one for one in inside if _home(one, picture) is kind]
        if here or any(one.kind is kind for one in picture.subnets):
            y = _band(sheet, picture, kind, here=here, columns=columns, top=y)
    frame = Box(x=EDGE, y=top, w=NETWORK, h=y + 4 - top, role="frame", texts=tuple(texts))
    sheet.boxes.insert(frame_at, frame)
    return frame.bottom


def _columns(left: float, right: float, count: int) -> list[tuple[float, float]]:
    gap = 10.0
    each = (right - left - gap * (count - 1)) / count
    return [(left + at * (each + gap), each) for at in range(count)]


def _home(component: Component, picture: Picture) -> Kind:
    """The kind of subnet that most of a component's are of; without any it stands outside of what is known."""
    kinds = Counter(one.kind for one in picture.subnets if one.node in component.subnets)
    return kinds.most_common(1)[0][0] if kinds else Kind.OUTSIDE


def _band(
    sheet: Sheet,
    picture: Picture,
    kind: Kind,
    *,
    here: Sequence[Component],
    columns: Sequence[tuple[float, float]],
    top: float,
) -> float:
    subnets = [one for one in picture.subnets if one.kind is kind]
    texts = (Text(columns[0][0], top + 13, _BANDS[kind], BODY, Tone.MUTED, bold=True),)
    rects_at = len(sheet.boxes)
    first = top + 22
    y = first + (20 if subnets else 8)
    for row in _rows(here, kind, picture):
        cards = []
        for one, (start, end) in row:
            x = columns[start][0] + _BETWEEN
            cards.append(card(one, columns[end][0] + columns[end][1] - _BETWEEN - x).moved(x, y))
        height = max(one.h for one in cards)
        sheet.boxes += [one.moved(0, 0, h=height) for one in cards]
        y += height + _BETWEEN
    y = max(y, first + 24)
    rects = [
        _subnet(kind, [one for one in subnets if one.zone == zone], columns[zone], first, y - first)
        for zone in sorted({one.zone for one in subnets})
    ]
    if not subnets:
        whole = (columns[0][0], columns[-1][0] + columns[-1][1] - columns[0][0])
        rects = [_subnet(kind, [], whole, first, y - first)]
    band = Box(x=EDGE + 8, y=top, w=NETWORK - 16, h=y + 6 - top, role=f"band-{kind}", texts=texts)
    sheet.boxes[rects_at:rects_at] = [band, *rects]
    return band.bottom + 6


def _subnet(kind: Kind, subnets: Sequence[Subnet], column: tuple[float, float], y: float, h: float) -> Box:
    ranges = ", ".join(one.cidr for one in subnets if one.cidr)
    texts = (Text(column[0] + 8, y + 14, fitted(ranges, column[1] - 16, 10), 10, Tone.MUTED),) if ranges else ()
    return Box(x=column[0], y=y, w=column[1], h=h, role=f"subnet-{kind}", texts=texts)


def _rows(here: Sequence[Component], kind: Kind, picture: Picture) -> list[list[tuple[Component, tuple[int, int]]]]:
    """Components from top to bottom; those that are in one zone each share a row, if their zones differ."""
    rows: list[list[tuple[Component, tuple[int, int]]]] = []
    last = max(0, len(picture.zones) - 1)
    for one in here:
        zones = [s.zone for s in picture.subnets if s.node in one.subnets and s.kind is kind]
        span = (min(zones), max(zones)) if zones else (0, last)
        fits = rows and span[0] == span[1] and span != (0, last) and rows[-1][0][0].icon == one.icon
        if fits and all(taken[0] == taken[1] and taken != span for _, taken in rows[-1]):
            rows[-1].append((one, span))
        else:
            rows.append([(one, span)])
    return rows


def _footer(sheet: Sheet, picture: Picture, top: float) -> float:
    """What the marks mean, and what is not drawn."""
    x, y = EDGE, top + 14
    if any(one.kept for one in picture.components):
        sheet.anchors.append((x + 8, y - 4))
        x = _explained(sheet, x + 20, y, "stays when the stack is deleted")
    if any(one.public for one in picture.components):
        sheet.pills.append((x, y - 4))
        x = _explained(sheet, x + 64, y, "reachable from the internet")
    if picture.keys:
        sheet.badges.append(Badge(x + 9, y - 4, picture.keys[0]))
        x = _explained(sheet, x + 22, y, "rests under that key")
    if any(flow.beside and not flow.says for flow in picture.flows):
        x = _explained(sheet, x, y, "dashed: copied by the backups")
    if any(flow.beside and flow.says for flow in picture.flows):
        _explained(sheet, x, y, "solid: used by its role, HTTPS")
    y += 20
    notes = [*picture.notes]
    if picture.left_out:
        counts = ", ".join(f"{number} {name}" for name, number in picture.left_out.items())
        notes.insert(0, f"Not drawn: {sum(picture.left_out.values())} resources ({counts}).")
    for note in notes:
        for line in wrapped(note, WIDTH - 2 * EDGE, BODY):
            sheet.texts.append(Text(EDGE, y, line, BODY, Tone.MUTED))
            y += 15
    return y - 8


def _explained(sheet: Sheet, x: float, y: float, text: str) -> float:
    sheet.texts.append(Text(x, y, text, BODY, Tone.MUTED))
    return x + width(text, BODY) + 26
