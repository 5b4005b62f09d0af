"""Response times in little memory: logarithmic buckets, so that a percentile is right to one percent at any length."""

from __future__ import annotations

import math
from collections.abc import Mapping

GROWTH = 1.01
"""Each bucket is 1 % wider than the one before, so a percentile is off by at most half of that."""
SHORTEST = 1e-5
LONGEST = 3600.0
"""Beyond these (10 microseconds, one hour) all is one bucket; about 2000 buckets lie between them."""
_LOG_GROWTH = math.log(GROWTH)


class Histogram:
    """Counts of durations in seconds. `smallest`, `largest`, `count` and `total` are exact."""

    __slots__ = ("_counts", "count", "largest", "smallest", "total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.smallest = math.inf
        self.largest = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        bucket = round(math.log(min(max(seconds, SHORTEST), LONGEST) / SHORTEST) / _LOG_GROWTH)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.count += 1
        self.total += seconds
        self.smallest = min(self.smallest, seconds)
        self.largest = max(self.largest, seconds)

    def merge(self, other: Histogram) -> None:
        """Count everything that `other` counted."""
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.count += other.count
        self.total += other.total
        self.smallest = min(self.smallest, other.smallest)
        self.largest = max(self.largest, other.largest)

    def percentile(self, percent: float) -> float:
        """The duration that `percent` of all do not exceed, in seconds; 0 if nothing was counted.

        Nearest rank, so percentile(100) is the largest. The answer never leaves what was really seen.
        """
        if not self.count:
            return 0.0
        rank = max(1, math.ceil(self.count * percent / 100))
        if rank >= self.count:
            return self.largest
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                middle = SHORTEST * GROWTH**bucket
                return min(max(middle, self.smallest), self.largest)
        return self.largest

    @property
    def mean(self) -> float:
        """The mean in seconds; 0 if nothing was counted."""
        return self.total / self.count if self.count else 0.0

    @property
    def buckets(self) -> Mapping[int, int]:
        """How many durations fell in each bucket; bucket b is around SHORTEST * GROWTH**b seconds."""
        return self._counts
