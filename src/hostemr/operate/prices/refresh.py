"""A new table of prices from AWS's public price list. What the list does not tell for certain is kept, and listed."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.operate.prices.offer_file import InvalidOffer, Offer, read_offer
from hostemr.operate.prices.offer_filters import PREFIXES, Filter, by_service, filter_of
from hostemr.operate.prices.table import Price, Table

PRICE_LIST = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws"
"""AWS Billing User Guide, "Getting price list files manually"."""
_ANSWER_SECONDS = 60
_FILE_SECONDS = 1800
"""EC2's file of a region has hundreds of megabytes: half an hour is enough at two megabits a second."""


class NoOffer(Exception):
    """The source has no such offer file."""


class Offers(Protocol):
    """Where offer files are."""

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """The file at a path below the list's address. Raises NoOffer, OSError and OutsideWorldError."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """A price that the list did not tell, and why."""

    key: str
    region: str
    reason: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A price that the list has another figure for; `before` None where the table had none."""

    key: str
    region: str
    before: Price | None
    after: Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """The new table, how many prices were read for it, which changed, and which the list did not tell."""

    table: Table
    read: int
    changed: tuple[Changed, ...]
    kept: tuple[Kept, ...]


def refresh(
    table: Table, regions: Collection[str], offers: Offers, *, progress: Callable[[str], None] | None = None
) -> Refreshed:
    """The table with what AWS's price list has for some regions. Rows of other regions stay.

    A price that no product or several prices fit stays as it was, or out of the table, and is listed. Raises
    SettingsError for regions whose code in the list is not known, or where there is no offer file at all;
    OutsideWorldError when the list cannot be read.
    """
    unknown = [region for region in regions if region not in PREFIXES]
    if unknown:
        raise SettingsError(
            [
                f"--region is {region!r}; of the price list's regions, known are {', '.join(PREFIXES)}"
                for region in unknown
            ]
        )
    found: dict[tuple[str, str], Price] = {}
    models = {one.key: one for one in table.prices}
    kept = [
        Kept(key, region, "no product of the price list is known for it")
        for key in table.keys
        if filter_of(key) is None
        for region in regions
    ]
    opened = 0
    for (service, regional), filters in by_service(table.keys):
        for region in regions if regional else ("",):
            path = f"{service}/current/{region}/index.json" if regional else f"{service}/current/index.json"
            if progress is not None:
                progress(f"reading {path} …")
            inside = (region,) if regional else tuple(regions)
            try:
                offer = _offer(offers, path, filters, inside)
                opened += 1
            except (NoOffer, InvalidOffer) as reason:
                kept += [Kept(key, one, f"{path}: {reason}") for key in filters for one in inside]
                continue
            for key, filtered in filters.items():
                for one in inside:
                    price = _price(models[key], one, filtered, offer, path)
                    if isinstance(price, str):
                        kept.append(Kept(key, one, price))
                    else:
                        found[key, one] = price
    if not opened:
        raise SettingsError(
            ["there is no offer file where --from points"],
            hint=f"its layout is that of {PRICE_LIST}: SERVICE/current/REGION/index.json",
        )
    changed = [
        Changed(key, region, before, price)
        for (key, region), price in found.items()
        if (before := table.price(key, region)) is None or before.dollars != price.dollars
    ]
    return Refreshed(table=_merged(table, found), read=len(found), changed=tuple(changed), kept=tuple(kept))


def _offer(offers: Offers, path: str, filters: Mapping[str, Filter], regions: tuple[str, ...]) -> Offer:
    # Few of a file's products have one of these, so that the filters need not look at the others.
    usages = {usage for one in filters.values() for region in regions for usage in one.usage_types(region)}
    try:
        with offers.open(path) as stream:
            return read_offer(
                stream,
                lambda product: (
                    product.attributes.get("usagetype") in usages
                    and any(one.fits(product, region) for one in filters.values() for region in regions)
                ),
            )
    except (OSError, http.client.HTTPException) as error:
        raise OutsideWorldError(f"{path} cannot be read: {_said(error)}.") from error


def _price(model: Price, region: str, filtered: Filter, offer: Offer, path: str) -> Price | str:
    """The price of the model's key in a region, or why there is none."""
    rates = {rate for product, some in offer.products if filtered.fits(product, region) for rate in some}
    if not rates:
        return f"{path} has no product {filtered.usage} with a price in dollars"
    amounts = {(rate.dollars, filtered.factor(rate.unit, model.unit), rate.unit) for rate in rates}
    strange = sorted(unit for _, factor, unit in amounts if factor is None)
    if strange:
        return f"{path} has it in {' and '.join(strange)}, where {model.unit} was expected"
    dollars = {amount * factor * model.per for amount, factor, _ in amounts if factor is not None}
    if len(dollars) > 1:
        return f"{path} has several prices for {filtered.usage}: {', '.join(map(str, sorted(dollars)))}"
    only = dollars.pop()
    if not only:
        return f"{path} has {filtered.usage} without charge, which is taken for no price"
    return replace(
        model,
        dollars=only.normalize(),
        regions=frozenset({region}),
        as_of=offer.published,
        source=f"{PRICE_LIST}/{path}",
        basis="price list",
    )


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _merged(table: Table, found: Mapping[tuple[str, str], Price]) -> Table:
    rows: list[Price] = []
    for price in table.prices:
        rest = frozenset(region for region in price.regions if (price.key, region) not in found)
        if rest:
            rows.append(replace(price, regions=rest))
    return Table((*rows, *found.values()))


@dataclass(frozen=True, slots=True)
class Folder:
    """Offer files that were downloaded, in folders as the list has them."""

    path: Path

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """The file at a path below the folder."""
        try:
            file = (self.path / path).open("rb")
        except (FileNotFoundError, NotADirectoryError):
            raise NoOffer("there is no such file") from None
        with file:
            yield file


@dataclass(frozen=True, slots=True)
class Web:
    """Offer files below an address, read as they come in."""

    address: str = PRICE_LIST
    answer_seconds: float = _ANSWER_SECONDS
    file_seconds: float = _FILE_SECONDS

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """The file at a path below the address."""
        url = f"{self.address.rstrip('/')}/{path}"
        try:
            answer = urllib.request.urlopen(url, timeout=self.answer_seconds)  # noqa: S310, the operator gave it
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in {403, 404}:
                # S3 answers 403 for what is not there.
                raise NoOffer("there is no such file") from None
            raise OutsideWorldError(f"{url} answers {error.code} {error.reason}.", hint="try again later") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or _said(error)
            hint = "check the connection, or download the files and give --from FOLDER"
            raise OutsideWorldError(f"{url} cannot be read: {reason}.", hint=hint) from None
        with answer:
            yield cast("BinaryIO", _Timed(answer, time.monotonic() + self.file_seconds))


class _Timed:
    """A stream that ends with an error when its time is over: a limit for each answer alone could go on for ever."""

    def __init__(self, stream: Any, end: float) -> None:
        self._stream = stream
        self._end = end

    def read(self, size: int = -1) -> bytes:
        if time.monotonic() > self._end:
            raise TimeoutError("it takes too long")
        found: bytes = self._stream.read1(size)
        return found
