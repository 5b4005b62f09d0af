"""The arrows between boxes that have their places."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hostemr.operate.diagram.measure import fitted
from hostemr.operate.diagram.model import Flow, Picture, Place, Said, Tone
from hostemr.operate.diagram.sheet import Box, Line, Sheet, Text

_SMALL = 10.5
_WORST = (Tone.BAD, Tone.WARN, Tone.GOOD, Tone.MUTED, Tone.PLAIN)
_LANE = 13.0
_HEAD = 8.0
"""How long an arrow's head is."""


def connect(sheet: Sheet, picture: Picture) -> None:
    """Adds every arrow of a picture whose boxes are placed."""
    _chain(sheet, picture)
    _entries(sheet, [flow for flow in picture.flows if flow.source == "internet"], picture)
    _inside(sheet, [flow for flow in picture.flows if flow.source != "internet" and not flow.beside])
    _beside(sheet, [flow for flow in picture.flows if flow.beside], picture)


def _chain(sheet: Sheet, picture: Picture) -> None:
    boxes = [sheet.box(one.id) for one in picture.at(Place.EDGE)]
    tone = _worst([said for flow in picture.flows if flow.source == "internet" for said in flow.says])
    for one, following in pairwise(boxes):
        middle = one.y + one.h / 2
        sheet.lines.append(Line(((one.right, middle), (following.x, middle)), tone))


def _entries(sheet: Sheet, flows: list[Flow], picture: Picture) -> None:
    """From the last box before the network, down the network's right edge."""
    frame = next((one for one in sheet.boxes if one.role == "frame"), None)
    if not flows or frame is None:
        return
    last = sheet.box(picture.at(Place.EDGE)[-1].id)
    for number, flow in enumerate(flows):
        target = sheet.box(flow.target)
        x = frame.right - 13 - 4 * min(number, 2)
        y = target.y + target.h / 2
        texts: tuple[Text, ...] = ()
        if len(flows) == 1:
            texts = tuple(
                Text(x - 9, last.bottom + 17 + 14 * at, said.text, 11.5, said.tone, said.tone is Tone.BAD, ends=True)
                for at, said in enumerate(flow.says)
            )
        points = ((x, last.bottom), (x, y), (target.right, y))
        sheet.lines.append(Line(points, _worst(flow.says), texts=texts))


def _inside(sheet: Sheet, flows: list[Flow]) -> None:
    """Down the network's left edge, a lane for each box that connections start from."""
    frame = next((one for one in sheet.boxes if one.role == "frame"), None)
    if frame is None:
        return
    sources = list(dict.fromkeys(flow.source for flow in flows))
    arriving = Counter(flow.target for flow in flows)
    arrived: Counter[str] = Counter()
    labelled: set[tuple[str, tuple[Said, ...]]] = set()
    for flow in flows:
        source, target = sheet.box(flow.source), sheet.box(flow.target)
        lane = frame.x + 22 + _LANE * (sources.index(flow.source) % 3)
        arrived[flow.target] += 1
        y = target.y + target.h * arrived[flow.target] / (arriving[flow.target] + 1)
        points = ((source.x, source.bottom - 9), (lane, source.bottom - 9), (lane, y), (target.x, y))
        # Two that say the same are labelled once, for their labels would be on top of each other.
        texts = () if (flow.target, flow.says) in labelled else _label(flow, lane, target, y)
        labelled.add((flow.target, flow.says))
        sheet.lines.append(Line(points, _worst(flow.says), texts=texts))


def _label(flow: Flow, lane: float, target: Box, y: float) -> tuple[Text, ...]:
    """Above the arrow, and what follows a comma below it."""
    texts: list[Text] = []
    room = target.x - _HEAD - lane - 6
    for said in flow.says[:1]:
        bold = said.tone is Tone.BAD
        for at, part in enumerate(said.text.split(", ")[:2]):
            height = y - 5 if at == 0 else y + 13
            shown = fitted(part, room, _SMALL, bold=bold)
            texts.append(Text(target.x - _HEAD - 2, height, shown, _SMALL, said.tone, bold, ends=True))
    return tuple(texts)


def _beside(sheet: Sheet, flows: list[Flow], picture: Picture) -> None:
    """In the gap between the network and what is beside it, a lane for each box that arrows lead to."""
    targets = list(dict.fromkeys(flow.target for flow in flows))
    leaving = Counter(flow.source for flow in flows)
    left: Counter[str] = Counter()
    for flow in flows:
        source, target = sheet.box(flow.source), sheet.box(flow.target)
        component = picture.component(flow.source)
        lane = target.x - 16 - 9 * (targets.index(flow.target) % 4)
        left[flow.source] += 1
        start = source.x if component and component.place is Place.ACCOUNT else source.right
        end = target.y + min(target.h / 2, 22.0)
        y = source.bottom - 10 - 9 * (leaving[flow.source] - left[flow.source])
        clear = not (component and component.public) or abs(end - source.y - source.h / 2) > _HEAD + 2
        if source.y + 8 < end < source.bottom - 8 and leaving[flow.source] == 1 and clear:
            y = end  # a straight line, but not on top of the arrow from the internet
        elif target.y + 8 < y < target.bottom - 8 and abs(y - end) < _HEAD:
            end = y
        points = ((start, y), (lane, y), (lane, end), (target.x, end))
        sheet.lines.append(Line(points, _worst(flow.says), dashed=not flow.says))


def _worst(said: tuple[Said, ...] | list[Said]) -> Tone:
    """The most alarming tone of some statements."""
    return min((one.tone for one in said), key=_WORST.index, default=Tone.MUTED)
