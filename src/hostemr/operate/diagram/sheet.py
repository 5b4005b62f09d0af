"""The pieces that a drawing is put together from, with their places. Units are CSS pixels at full size."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hostemr.operate.diagram.measure import width
from hostemr.operate.diagram.model import Key, Tone

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text; `y` is its base line, `x` its start, or its end where `ends` is true."""

    x: float
    y: float
    text: str
    size: float = 11
    tone: Tone = Tone.PLAIN
    bold: bool = False
    ends: bool = False

    @property
    def span(self) -> tuple[float, float]:
        """From where to where it goes."""
        length = width(self.text, self.size, bold=self.bold)
        return (self.x - length, self.x) if self.ends else (self.x, self.x + length)

    def moved(self, x: float, y: float) -> Text:
        """The same text elsewhere."""
        return replace(self, x=self.x + x, y=self.y + y)


@dataclass(frozen=True, slots=True)
class Badge:
    """A key's mark, around a centre."""

    x: float
    y: float
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle with what stands in it.

    `role` is what it is: a card (a component), a frame (the network), a subnet, or a panel (the keys).
    """

    x: float
    y: float
    w: float
    h: float
    role: str
    id: str = ""
    icon: str = ""
    hover: str = ""
    texts: tuple[Text, ...] = ()
    badges: tuple[Badge, ...] = ()
    anchor: Point | None = None
    """Where the mark of what is kept stands."""
    pill: Point | None = None
    """Where the mark of what is public starts."""

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.w

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.h

    def moved(self, x: float, y: float, *, h: float | None = None) -> Box:
        """The same box elsewhere, perhaps higher."""
        return replace(
            self,
            x=self.x + x,
            y=self.y + y,
            h=self.h if h is None else h,
            texts=tuple(text.moved(x, y) for text in self.texts),
            badges=tuple(Badge(one.x + x, one.y + y, one.key) for one in self.badges),
            anchor=(self.anchor[0] + x, self.anchor[1] + y) if self.anchor else None,
            pill=(self.pill[0] + x, self.pill[1] + y) if self.pill else None,
        )


@dataclass(frozen=True, slots=True)
class Line:
    """An arrow along points, which ends at the last."""

    points: tuple[Point, ...]
    tone: Tone
    dashed: bool = False
    texts: tuple[Text, ...] = ()


@dataclass(slots=True)
class Sheet:
    """A drawing in the making: boxes from back to front, then lines, then texts outside of boxes."""

    width: float
    height: float = 0
    boxes: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    badges: list[Badge] = field(default_factory=list)
    dots: list[tuple[float, float, Tone]] = field(default_factory=list)
    anchors: list[Point] = field(default_factory=list)
    pills: list[Point] = field(default_factory=list)

    def box(self, id_: str) -> Box:
        """The card of a component."""
        return next(one for one in self.boxes if one.id == id_)
