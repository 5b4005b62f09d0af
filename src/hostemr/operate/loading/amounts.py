"""Durations, rates and limits as an operator types them: `5m`, `50/s`, `5%`, `p95=5s`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = r"(\d+(?:\.\d+)?)"


@dataclass(frozen=True, slots=True)
class LatencyLimit:
    """At most (100 - `percent`) of a hundred requests may take longer than `seconds`."""

    percent: float
    seconds: float

    def __str__(self) -> str:
        return f"p{self.percent:g} of {spoken(self.seconds)}"


def duration(text: str) -> float | None:
    """`500ms`, `30s`, `5m`, `1h` or plain seconds, in seconds; None if it is none of these."""
    found = re.fullmatch(_NUMBER + r"\s*(ms|s|m|h|)", text.strip())
    return float(found[1]) * _UNITS[found[2]] if found else None


def rate(text: str) -> float | None:
    """`50/s`, `300/m` or a plain number for a second, per second; None if it is none of these or zero."""
    found = re.fullmatch(_NUMBER + r"(?:\s*/\s*(s|m|h))?", text.strip())
    if not found:
        return None
    return float(found[1]) / _UNITS[found[2] or "s"] or None


def share(text: str) -> float | None:
    """`5%` as 0.05; None if it is no percentage from 0 to 100."""
    found = re.fullmatch(_NUMBER + r"\s*%", text.strip())
    value = float(found[1]) / 100 if found else None
    return value if value is not None and value <= 1 else None


def latency_limit(text: str) -> LatencyLimit | None:
    """`p95=5s`; None if it is not of that form."""
    found = re.fullmatch(r"p(\d+(?:\.\d+)?)=(.+)", text.strip())
    if not found:
        return None
    percent, seconds = float(found[1]), duration(found[2])
    return LatencyLimit(percent, seconds) if seconds and 0 < percent < 100 else None


def spoken(seconds: float) -> str:
    """A duration for people, with about three digits: `12 ms`, `1.25 s`, `5 min`, `1 h 30 min`."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs" if seconds else "0 s"
    if seconds < 0.01:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + " s" if seconds < 10 else f"{seconds:.3g} s"
    whole = round(seconds)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "min"), (whole % 60, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
