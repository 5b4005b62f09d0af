"""Reads AWS's bulk price list, one offer file at a time, without holding one in memory.

The form is that of "Reading the service price list files" (AWS Billing User Guide, bulk API): `products` by SKU with
their attributes, then `terms`, of which `OnDemand` has the prices by SKU. EC2's file of one region has some hundreds of
megabytes, so that it is read as a stream: an object of one SKU at a time.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO

_CHUNK = 1 << 20
_LARGEST_CHARACTERS = 4 << 20
"""The longest object of one SKU that is waited for; real ones have some thousands of characters."""
_SPACE = " \t\r\n"


class InvalidOffer(ValueError):
    """A file that is no offer file, or not a whole one; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Product:
    """What is sold under one SKU. `attributes` have the product family as `productFamily`."""

    sku: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit costs on demand, in US dollars: that of the first range of amounts that is not free."""

    unit: str
    dollars: Decimal


@dataclass(frozen=True, slots=True)
class Offer:
    """What was wanted of an offer file: products with their rates, and of when it is."""

    published: date
    products: tuple[tuple[Product, tuple[Rate, ...]], ...]


def read_offer(stream: BinaryIO, wanted: Callable[[Product], bool]) -> Offer:
    """An offer file's wanted products and their prices on demand. Raises InvalidOffer; OSError is the stream's."""
    published: date | None = None
    products: dict[str, Product] = {}
    rates: dict[str, tuple[Rate, ...]] = {}
    for path, value in _members(_Reader(stream), ()):
        match path:
            case ("publicationDate",):
                published = _date(value)
            case ("products", sku):
                product = _product(sku, value)
                if wanted(product):
                    products[sku] = product
            case ("terms", "OnDemand", sku) if sku in products:
                rates[sku] = tuple(_rates(value))
    if published is None:
        raise InvalidOffer("it has no publicationDate, so it is no offer file")
    return Offer(published, tuple((product, rates.get(sku, ())) for sku, product in products.items()))


class _Reader:
    """A JSON text, decoded value by value as it comes in."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        # A byte order mark, which some tools write before what they have downloaded, is no part of the text.
        self._text = codecs.getincrementaldecoder("utf-8-sig")()
        self._decoder = json.JSONDecoder()
        self._buffer = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is no space, "" at the end; it stays to be read."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def take(self, expected: str) -> None:
        """Go past one character. Raises InvalidOffer if it is another."""
        found = self.peek()
        if found != expected:
            raise InvalidOffer(f"expected {expected!r} and found {found!r}" if found else "it ends too early")
        self._at += 1

    def value(self) -> Any:
        """The next whole value."""
        if not self.peek():
            raise InvalidOffer("it ends too early")
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except RecursionError:
                raise InvalidOffer("it is nested too deeply") from None
            except ValueError as error:
                if len(self._buffer) - self._at > _LARGEST_CHARACTERS:
                    raise InvalidOffer("an object in it is too large") from None
                if not self._more():
                    raise InvalidOffer(f"it is no JSON, or not whole: {error}") from None
                continue
            # A number at the end of what has come in may go on.
            if end < len(self._buffer) or not self._more():
                self._at = end
                return value

    def _more(self) -> bool:
        if self._ended:
            return False
        raw = self._stream.read(_CHUNK)
        self._ended = not raw
        try:
            text = self._text.decode(raw, final=self._ended)
        except UnicodeDecodeError:
            raise InvalidOffer("it is not UTF-8 text") from None
        self._buffer = self._buffer[self._at :] + text
        self._at = 0
        return not self._ended


def _members(reader: _Reader, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values below an object, with their paths: single SKUs of products and terms, others whole."""
    reader.take("{")
    while reader.peek() != "}":
        key = reader.value()
        if not isinstance(key, str):
            raise InvalidOffer("a member has no name")
        reader.take(":")
        below = (*path, key)
        if below in {("products",), ("terms",)} or (len(below) == 2 and below[0] == "terms"):
            yield from _members(reader, below)
        else:
            yield below, reader.value()
        if reader.peek() != "}":
            reader.take(",")
    reader.take("}")


def _date(value: Any) -> date:
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        raise InvalidOffer(f"publicationDate is {value!r}, which is no date") from None


def _product(sku: str, value: Any) -> Product:
    attributes = value.get("attributes") if isinstance(value, dict) else None
    if not isinstance(attributes, dict) or not isinstance(attributes.get("usagetype", ""), str):
        raise InvalidOffer(f"product {sku} has no attributes, or not as texts")
    family = {"productFamily": value["productFamily"]} if "productFamily" in value else {}
    return Product(sku, {**attributes, **family})


def _rates(terms: Any) -> Iterator[Rate]:
    """One rate for each offer term."""
    for term in terms.values() if isinstance(terms, dict) else ():
        dimensions = term.get("priceDimensions") if isinstance(term, dict) else None
        ranges = sorted(_ranges(dimensions), key=lambda one: one[0]) if isinstance(dimensions, dict) else []
        charged = [rate for _, rate in ranges if rate.dollars] or [rate for _, rate in ranges]
        yield from charged[:1]


def _ranges(dimensions: Mapping[str, Any]) -> Iterator[tuple[Decimal, Rate]]:
    for one in dimensions.values():
        try:
            dollars = Decimal(one["pricePerUnit"]["USD"])
            begin = Decimal(one.get("beginRange", "0"))
            yield begin, Rate(str(one["unit"]), dollars)
        except (KeyError, TypeError, AttributeError, InvalidOperation):
            # Not in dollars (China's regions), or of a form that is not documented: so there is no price here.
            continue
