"""Assumptions about usage, given and by default."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hostemr.operate.prices.usage import usage


def test_one_resource_can_use_another_amount_than_the_rest() -> None:
    problems: list[str] = []
    used = usage({"bucket_storage_gb": "20", "Backups.bucket_storage_gb": "300.5"}, {"Backups"}, problems)
    assert not problems
    assert used.amount("bucket_storage_gb", "Backups") == Decimal("300.5")
    assert used.amount("bucket_storage_gb", "Other") == 20
    assert used.amount("kms_requests", "Key") == 5000


@pytest.mark.parametrize(
    ("key", "text", "told"),
    [
        ("bucket_storage", "1", "did you mean bucket_storage_gb?"),
        ("zzz", "1", "is no assumption"),
        ("Nothing.bucket_storage_gb", "1", "no template has a resource Nothing"),
        ("bucket_storage_gb", "much", "'much'; expected a number of 0 or more"),
        ("bucket_storage_gb", "-1", "expected a number of 0 or more"),
        ("bucket_storage_gb", "1e400", "at most 1e15"),
        ("bucket_storage_gb", "inf", "expected a number of 0 or more"),
        ("bucket_storage_gb", "", "expected a number of 0 or more"),
    ],
)
def test_what_cannot_be_is_told(key: str, text: str, told: str) -> None:
    problems: list[str] = []
    usage({key: text}, {"Backups"}, problems)
    assert len(problems) == 1
    assert told in problems[0]
