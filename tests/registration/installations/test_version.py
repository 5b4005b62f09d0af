"""OpenEMR's versions: read as its version.php writes them, ordered by age."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostemr.registration.installations.version import Version, printable

OLDEST_FIRST = ["5.0.0", "5.0.2-dev", "5.0.2", "5.0.2 (1)", "7.0.3-dev", "7.0.3-dev (1)", "7.0.3", "7.0.10", "8.0.0"]


def test_ordered_by_age() -> None:
    versions = [Version.parse(text) for text in OLDEST_FIRST]
    assert all(version is not None for version in versions)
    for older, newer in itertools.pairwise(filter(None, versions)):
        assert older < newer
        assert older.order < newer.order


@pytest.mark.parametrize("text", ["", "7", "7.0", "seven", "7.0.3.1", "1234.0.0", "7.0.3 (99999)", "7.0.3;drop"])
def test_unknown(text: str) -> None:
    assert Version.parse(text) is None


_numbers = st.integers(0, 999)
_versions = st.builds(Version, _numbers, _numbers, _numbers, st.booleans(), st.integers(0, 9999))


@given(_versions, _versions)
def test_order_is_the_versions_own(one: Version, other: Version) -> None:
    assert (one < other) == (one.order < other.order)
    assert 0 <= one.order < 2**63


@given(st.text(), st.integers(1, 300))
def test_printable_keeps_only_what_can_be_shown(text: str, length: int) -> None:
    kept = printable(text, length)
    assert kept is None or (kept.isprintable() and len(kept) <= length and kept.encode())
