"""Offer files are read as a stream, and what is none is refused."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import BinaryIO, cast

import pytest

from hostemr.operate.prices.offer_file import InvalidOffer, Offer, Product, Rate, read_offer
from tests.operate.prices.offers import OfferFile


def _read(text: str | bytes, usage: str = "") -> Offer:
    raw = text.encode() if isinstance(text, str) else text
    return read_offer(io.BytesIO(raw), lambda product: product.attributes["usagetype"].endswith(usage))


class _Trickle:
    """A stream that gives some bytes at a time, as a network does."""

    def __init__(self, raw: bytes, size: int) -> None:
        self._pieces: Iterator[bytes] = (raw[at : at + size] for at in range(0, len(raw), size))

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002, a stream's signature
        return next(self._pieces, b"")


class TestRead:
    def test_products_come_with_their_price_on_demand(self) -> None:
        made = OfferFile("AWSELB").add("LoadBalancerUsage", "Hrs", "0.0225000000", family="Load Balancer")
        offer = _read(made.add("Other", "Hrs", "1").text(), "LoadBalancerUsage")
        assert offer.published == date(2026, 11, 20)
        ((product, rates),) = offer.products
        assert product.attributes["productFamily"] == "Load Balancer"
        assert rates == (Rate("Hrs", Decimal("0.0225000000")),)

    def test_the_first_range_that_is_charged_counts(self) -> None:
        offer = _read(OfferFile("x").add("a", "GB", "0.0", "0.09", "0.085").text())
        assert offer.products[0][1] == (Rate("GB", Decimal("0.09")),)
        assert _read(OfferFile("x").add("a", "GB", "0.0").text()).products[0][1] == (Rate("GB", Decimal("0.0")),)

    @pytest.mark.parametrize("size", [1, 7, 64, 1000])
    def test_it_does_not_matter_how_the_bytes_come_in(self, size: int) -> None:
        text = OfferFile("x").add("ä", "GB", "0.1").add("b", "Hrs", "2.5").text()
        trickle = cast("BinaryIO", _Trickle(text.encode(), size))
        assert read_offer(trickle, lambda _: True) == _read(text)

    def test_a_number_that_comes_in_two_parts_is_one(self) -> None:
        raw = b'{"publicationDate": "2026-01-01", "n": 12345, "products": {}}'
        assert read_offer(cast("BinaryIO", _Trickle(raw, 42)), lambda _: True).products == ()

    def test_a_product_without_a_price_in_dollars_has_none(self) -> None:
        made = OfferFile("x").add("a", "GB", "0.1").data()
        (term,) = made["terms"]["OnDemand"].values()
        (dimensions,) = term.values()
        for one in dimensions["priceDimensions"].values():
            one["pricePerUnit"] = {"CNY": "1.0"}
        assert _read(json.dumps(made)).products[0][1] == ()

    def test_a_large_file_does_not_fill_the_memory(self) -> None:
        made = OfferFile("AmazonEC2")
        for number in range(1500):
            made.add(f"BoxUsage:x{number}", "Hrs", "0.1", note="x" * 5000)
        raw = made.text().encode()
        tracemalloc.start()
        offer = read_offer(io.BytesIO(raw), lambda product: product.attributes["usagetype"] == "BoxUsage:x1499")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(offer.products) == 1
        assert len(raw) > 9_000_000
        assert peak < 6_000_000


class TestRefused:
    @pytest.mark.parametrize(
        ("raw", "told"),
        [
            (b"", "it ends too early"),
            (b"<html>", "expected '{' and found '<'"),
            (b"{}", "no publicationDate"),
            (b'{"publicationDate": "soon"}', "'soon', which is no date"),
            (b'{"publicationDate": "2026-01-01", "products": {"A": {}}}', "product A has no attributes"),
            (b'{"products": {"A": {"attributes": {"usagetype": []}}}}', "product A has no attributes, or not as texts"),
            (b'{"publicationDate": "2026-01-01", "products": {"A": {"sku"', "no JSON, or not whole"),
            (b'{"publicationDate": "2026-01-01"', "it ends too early"),
            (b'{"publicationDate": ', "it ends too early"),
            (b'{"publicationDate" "2026-01-01"}', "expected ':'"),
            (b"{1: 2}", "a member has no name"),
            (b'{"a": ' + b"[" * 100_000, "nested too deeply|no JSON"),
            (b'{"a": "\xff"}', "not UTF-8"),
            (b'{"publicationDate": "2026-01-01", "products": []}', "expected '{'"),
        ],
    )
    def test_what_is_no_offer_file_is_told(self, raw: bytes, told: str) -> None:
        with pytest.raises(InvalidOffer, match=told):
            read_offer(io.BytesIO(raw), lambda _: True)

    def test_a_member_without_end_is_not_waited_for(self) -> None:
        class Endless:
            def read(self, size: int = -1) -> bytes:
                return b"x" * size

        stream = cast("BinaryIO", _Joined(b'{"a": "', Endless()))
        with pytest.raises(InvalidOffer, match="too large"):
            read_offer(stream, lambda _: True)

    def test_products_are_wanted_or_not_by_their_attributes(self) -> None:
        seen: list[str] = []

        def wanted(product: Product) -> bool:
            seen.append(product.attributes["usagetype"])
            return False

        text = OfferFile("x").add("a", "GB", "1").add("b", "GB", "1").text()
        assert read_offer(io.BytesIO(text.encode()), wanted).products == ()
        assert seen == ["a", "b"]


class _Joined:
    def __init__(self, first: bytes, rest: object) -> None:
        self._first = first
        self._rest = cast("BinaryIO", rest)

    def read(self, size: int = -1) -> bytes:
        first, self._first = self._first, b""
        return first or self._rest.read(size)
