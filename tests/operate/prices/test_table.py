"""The table of prices: that it can be trusted as far as it says."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from hostemr.operate.prices.rows.all import TABLE
from hostemr.operate.prices.rules import RULES
from hostemr.operate.prices.rules.free import FREE
from hostemr.operate.prices.table import Table, rows, span


def test_every_price_has_a_date_a_page_of_aws_and_an_amount() -> None:
    for price in TABLE.prices:
        assert price.source.startswith("https://aws.amazon.com/"), price.key
        assert date(2024, 6, 1) < price.as_of <= date(2026, 11, 22), price.key
        assert price.dollars > 0
        assert price.unit
        assert price.per > 0


def test_the_shipped_table_has_every_price_in_each_of_its_regions() -> None:
    assert TABLE.regions == ("us-east-1", "us-west-2")
    missing = [(key, region) for key in TABLE.keys for region in TABLE.regions if TABLE.price(key, region) is None]
    assert not missing


def test_no_type_is_both_charged_and_free() -> None:
    assert not RULES.keys() & FREE.keys()


def test_a_price_twice_is_refused() -> None:
    one = rows("https://aws.amazon.com/kms/pricing/", date(2026, 1, 1), "looked up", {"kms.key": "1"}, unit="month")
    with pytest.raises(ValueError, match=r"kms\.key is priced twice in us-east-1"):
        Table((*one, *one))


def test_a_price_is_for_its_number_of_units() -> None:
    found = TABLE.price("kms.requests", "us-west-2")
    assert found is not None
    assert found.cost(Decimal(25_000)) == Decimal("0.075")
    assert TABLE.price("kms.requests", "eu-west-1") is None
    assert span([found]) == (found.as_of, found.as_of)
