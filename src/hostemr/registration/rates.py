"""A rate as people write it: `60/minute`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` events in any `window_seconds` seconds."""

    count: int
    window_seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `COUNT/second|minute|hour|day`. Raises ValueError for anything else."""
        match = re.fullmatch(r"\s*([1-9][0-9]{0,8})\s*/\s*(second|minute|hour|day)s?\s*", text)
        if match is None:
            message = "expected COUNT/second, /minute, /hour or /day, such as 60/minute"
            raise ValueError(message)
        return cls(int(match[1]), SECONDS[match[2]])

    def __str__(self) -> str:
        unit = next(name for name, seconds in SECONDS.items() if seconds == self.window_seconds)
        return f"{self.count}/{unit}"
