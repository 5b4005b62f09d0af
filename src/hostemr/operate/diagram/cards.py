"""A component as a card, and the panel that explains the keys."""

from __future__ import annotations

from collections.abc import Sequence

from hostemr.operate.diagram.measure import width, wrapped
from hostemr.operate.diagram.model import Component, Key, Said, Tone
from hostemr.operate.diagram.sheet import Badge, Box, Text
from hostemr.operate.diagram.words import shortened

TITLE, BODY = 12.5, 11.0
_PAD, _STEP = 9.0, 15.0
_MARK, _PILL = 21.0, 58.0
_BETWEEN = " · "


def card(component: Component, room: float) -> Box:
    """The card of a component at (0, 0), as wide as the room and as high as it must be."""
    left = 36.0
    marks = len(component.keys) * _MARK + (_MARK if component.kept else 0) + (_PILL + 6 if component.public else 0)
    # A narrow card has its marks below its texts, where they take no room from the title.
    below = room - left - marks < 110 and marks > 0
    titles = wrapped(shortened(component.title, 64), room - left - _PAD - (0 if below else marks), TITLE, bold=True)
    y = 19.0
    texts = []
    for title in titles:
        texts.append(Text(left, y, title, TITLE, bold=True))
        y += _STEP
    y += 1
    for row in flowed(component.details, room - left - _PAD):
        texts += [Text(left + x, y, said.text, BODY, said.tone, said.tone is Tone.BAD) for x, said in row]
        y += _STEP
    middle = y - 2 if below else 15.0
    height = y + (_MARK - 8 if below else -4)
    x = (left + marks - 3) if below else room - _PAD
    badges = []
    for key in reversed(component.keys):
        badges.append(Badge(x - 9, middle, key))
        x -= _MARK
    anchor = (x - 9, middle) if component.kept else None
    x -= _MARK if component.kept else 0
    return Box(
        x=0,
        y=0,
        w=room,
        h=max(height, 34),
        role="store" if component.keys else "card",
        id=component.id,
        icon=component.icon,
        hover=_hover(component),
        texts=tuple(texts),
        badges=tuple(badges),
        anchor=anchor,
        pill=(x - _PILL, middle) if component.public else None,
    )


def flowed(said: Sequence[Said], room: float) -> list[list[tuple[float, Said]]]:
    """Statements one after the other, in rows that fit; each with its offset. A long one is broken into parts."""
    rows: list[list[tuple[float, Said]]] = []
    x = room
    for one in said:
        bold = one.tone is Tone.BAD
        gap = width(_BETWEEN, BODY)
        length = width(one.text, BODY, bold=bold)
        if rows and x + gap + length <= room:
            rows[-1].append((x + width(" ", BODY), Said("·", Tone.MUTED)))
            rows[-1].append((x + gap, one))
            x += gap + length
            continue
        for line in wrapped(one.text, room, BODY, bold=bold):
            rows.append([(0.0, Said(line, one.tone))])
            x = width(line, BODY, bold=bold)
    return rows


def legend(keys: Sequence[Key], room: float) -> Box:
    """The panel of keys: which mark is which key, and what is known of it."""
    texts = [Text(12, 20, "Who holds the keys to what rests", TITLE, bold=True)]
    badges = []
    y = 40.0
    for key in keys:
        badges.append(Badge(20, y - 4, key))
        for line in wrapped(key.name, room - 48, BODY, bold=True):
            tone = Tone.BAD if key.kind == "none" else Tone.PLAIN
            texts.append(Text(38, y, line, BODY, tone, bold=True))
            y += _STEP - 1
        for row in flowed(key.notes, room - 48):
            texts += [Text(38 + x, y, one.text, BODY, _quiet(one.tone), one.tone is Tone.BAD) for x, one in row]
            y += _STEP - 1
        y += 6
    return Box(x=0, y=0, w=room, h=y - 8, role="panel", texts=tuple(texts), badges=tuple(badges))


def _quiet(tone: Tone) -> Tone:
    return Tone.MUTED if tone is Tone.PLAIN else tone


def _hover(component: Component) -> str:
    names = [node.logical_id for node in component.members]
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return f"{component.title}: {shown}" if names else component.title
