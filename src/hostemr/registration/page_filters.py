"""How pages show times, numbers and shares. Templates use these as filters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup


def as_time(at: datetime | None) -> str:
    """A moment in UTC, marked so that a script can show it in the reader's own zone; a dash where there is none."""
    if at is None:
        return "\N{EN DASH}"
    at = at.astimezone(UTC)
    shown = f"{at:%Y-%m-%d %H:%M} UTC"
    return Markup('<time datetime="{}" data-local>{}</time>').format(f"{at:%Y-%m-%dT%H:%M:%SZ}", shown)


def as_number(value: float) -> str:
    """With a comma between thousands."""
    return f"{value:,}"


def as_duration(seconds: float) -> str:
    """About how long something takes, in the two largest units that it has."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return "less than a minute"
    if minutes < 60:
        return f"{minutes} minute{_s(minutes)}"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} hour{_s(hours)}" + (f" {minutes} minute{_s(minutes)}" if minutes else "")
    days, hours = divmod(hours, 24)
    return f"{days} days" + (f" {hours} hour{_s(hours)}" if hours else "")


def as_percent(share: float) -> str:
    """A share of 1 in percent, with one decimal below ten. What is not the whole is never 100 %."""
    percent = share * 100
    if 99 < percent < 100:
        return "99 %"
    return f"{percent:.1f} %" if 0 < percent < 10 else f"{percent:.0f} %"


def _s(number: int) -> str:
    return "" if number == 1 else "s"


FILTERS: dict[str, Callable[..., Any]] = {
    "time": as_time,
    "number": as_number,
    "duration": as_duration,
    "percent": as_percent,
}
