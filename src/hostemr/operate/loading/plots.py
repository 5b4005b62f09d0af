"""Plots along time as plain SVG: no script, no external resource; colours come from the page's stylesheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from hostemr.operate.loading.amounts import spoken

_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 12, 28


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `style` is a class of the stylesheet. None is a stretch without any value, and leaves a gap."""

    name: str
    style: str
    values: Sequence[float | None]
    filled: bool = False


def chart(
    lines: Sequence[Line],
    *,
    step_seconds: float,
    width: int,
    height: int,
    say: Callable[[float], str],
    label: str,
    limit: float | None = None,
    whole: bool = False,
) -> str:
    """An SVG element. `say` writes a value of the vertical axis; `limit` is drawn across if it lies in sight.

    `whole` is for things that come one by one: the axis then has no halves of them.
    """
    values = [value for line in lines for value in line.values if value is not None]
    highest = max(values, default=0.0)
    if limit is not None and highest > limit * 0.5:
        highest = max(highest, limit)
    ticks = scale(highest, whole=whole)
    top = ticks[-1]
    count = max((len(line.values) for line in lines), default=1)
    seconds = count * step_seconds

    def x(at: float) -> float:
        return _LEFT + (width - _LEFT - _RIGHT) * at / seconds

    def y(value: float) -> float:
        return height - _BOTTOM - (height - _TOP - _BOTTOM) * value / top

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">']
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{escape(say(tick))}</text>')
    for at in time_ticks(seconds, most=8 if width > 600 else 4):
        anchor = "start" if at == 0 else "middle" if x(at) < width - 45 else "end"
        parts.append(f'<text x="{x(at):.1f}" y="{height - 8}" text-anchor="{anchor}">{escape(spoken(at))}</text>')
    for line in lines:
        parts += _drawn(line, step_seconds, x, y)
    if limit is not None and limit <= top:
        height_of_limit = f"{y(limit):.1f}"
        parts.append(
            f'<line class="limit" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{height_of_limit}" y2="{height_of_limit}"/>'
        )
        parts.append(f'<text class="limit" x="{_LEFT + 6}" y="{y(limit) - 5:.1f}">limit {escape(say(limit))}</text>')
    return "".join([*parts, "</svg>"])


def scale(highest: float, *, whole: bool = False) -> list[float]:
    """Some round values from 0 to at least `highest`; only integers if `whole`."""
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    factors = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
    step = next(power * factor for factor in factors if power * factor >= rough * 0.999)
    if whole:
        step = max(1.0, step)
    return [step * number for number in range(math.ceil(highest / step - 1e-9) + 1)]


def time_ticks(seconds: float, most: int) -> list[int]:
    """Round times from 0 on, at most `most` of them."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
    step = next((one for one in steps if seconds / one <= most - 1), steps[-1])
    return list(range(0, int(seconds) + 1, step))


def _drawn(line: Line, step_seconds: float, x: Callable[[float], float], y: Callable[[float], float]) -> list[str]:
    """The line in pieces, since there may be gaps; a lonely value is a dot."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for index, value in enumerate(line.values):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((x((index + 0.5) * step_seconds), y(value)))
    parts = []
    for piece in pieces:
        if len(piece) == 1:
            parts.append(f'<circle class="{line.style} dot" cx="{piece[0][0]:.1f}" cy="{piece[0][1]:.1f}" r="2.5"/>')
        elif piece:
            points = " ".join(f"{across:.1f},{down:.1f}" for across, down in piece)
            if line.filled:
                ground = f"{piece[-1][0]:.1f},{y(0):.1f} {piece[0][0]:.1f},{y(0):.1f}"
                parts.append(f'<polygon class="{line.style} area" points="{points} {ground}"/>')
            parts.append(f'<polyline class="{line.style}" points="{points}"/>')
    return parts
