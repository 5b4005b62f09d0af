"""How pages show figures."""

from __future__ import annotations

import pytest

from hostemr.registration.page_filters import as_percent


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0, "0 %"),
        (0.018, "1.8 %"),
        (0.14, "14 %"),
        (0.989, "99 %"),
        (2637 / 2638, "99 %"),
        (0.9999999, "99 %"),
        (1, "100 %"),
    ],
)
def test_only_the_whole_is_a_hundred_percent(share: float, shown: str) -> None:
    assert as_percent(share) == shown
