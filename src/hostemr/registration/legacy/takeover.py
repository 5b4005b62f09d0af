"""Decides for one row whether it can be taken over, and as which installation of which address."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from hostemr.registration.installations.address import Address, InvalidEmail, parse_address
from hostemr.registration.legacy.row import LegacyRow

NAMESPACE = uuid.UUID("6f3a7c0e-5f0b-5d53-9d0f-2b7f1f1d8a44")
"""Of the product_ids that are derived from an address. Never to be changed: a second import would add them again."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_UNDECODABLE = re.compile(r"[\ud800-\udfff]")


class CannotBeTaken(Exception):
    """Why a row is left behind."""


@dataclass(frozen=True, slots=True)
class Takeover:
    """A row that can be taken over; `change` says what is not as it was, if anything is."""

    row: LegacyRow
    address: Address
    product_id: str
    change: str = ""


def is_uuid(text: str) -> bool:
    """Whether this is a UUID as the original wrote it, whatever its case."""
    return _UUID.fullmatch(text.strip()) is not None


def derived_id(address: Address) -> str:
    """The product_id of an address that brings none of its own: the same in every import."""
    return str(uuid.uuid5(NAMESPACE, address.key))


def examine(row: LegacyRow) -> Takeover:
    """What becomes of a row. Raises CannotBeTaken with the reason."""
    if row.problem:
        raise CannotBeTaken(row.problem)
    if _UNDECODABLE.search(f"{row.uuid}{row.email}"):
        raise CannotBeTaken("has bytes that are not UTF-8")
    if row.email is None or not row.email.strip():
        raise CannotBeTaken("has no address")
    try:
        address = parse_address(row.email)
    except InvalidEmail as error:
        raise CannotBeTaken(error.message) from None
    changes = []
    if address.key != row.email.lower():
        changes.append(f"the address is kept as {address.email}")
    if row.uuid is not None and is_uuid(row.uuid):
        product_id = row.uuid.strip().lower()
        if product_id != row.uuid:
            changes.append(f"the uuid is kept as {product_id}")
    else:
        product_id = derived_id(address)
        changes.append(f"the uuid is none and became {product_id}")
    return Takeover(row, address, product_id, "; ".join(changes))
