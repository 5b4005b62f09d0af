"""What becomes of one row."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostemr.registration.legacy.row import LegacyRow
from hostemr.registration.legacy.takeover import CannotBeTaken, examine
from tests.registration.legacy.conftest import identity

U = identity(1)
DERIVED = "3192632e-1e9a-53f1-ad0d-f614defea0da"


def row(uuid: str | None, email: str | None) -> LegacyRow:
    return LegacyRow("line 1", uuid, email)


def test_a_good_row_is_taken_as_it_is() -> None:
    takeover = examine(row(U, "Clinic@example.org"))
    assert (takeover.product_id, takeover.address.email, takeover.change) == (U, "Clinic@example.org", "")


def test_letters_alone_are_no_change() -> None:
    assert examine(row(U, "Clinic@EXAMPLE.org")).change == ""


@pytest.mark.parametrize(
    ("email", "change"),
    [
        (" a@example.org ", "the address is kept as a@example.org"),
        ("a@bücher.example.org", "the address is kept as a@xn--bcher-kva.example.org"),
    ],
)
def test_an_address_that_is_put_in_order_is_told(email: str, change: str) -> None:
    assert examine(row(U, email)).change == change


def test_a_uuid_in_capitals_is_told() -> None:
    takeover = examine(row(f" {U.upper()} ", "a@example.org"))
    assert (takeover.product_id, takeover.change) == (U, f"the uuid is kept as {U}")


@pytest.mark.parametrize(
    "text", [None, "", "1", U.replace("-", ""), f"{{{U}}}", f"urn:uuid:{U}", U[:-1] + "g", U + "0"]
)
def test_what_is_no_uuid_is_replaced_by_one_that_each_import_finds_again(text: str | None) -> None:
    first, again, other = (examine(row(text, email)) for email in ("a@example.org", "A@Example.org", "b@example.org"))
    assert first.product_id == again.product_id != other.product_id
    assert uuid.UUID(first.product_id).version == 5
    assert first.change == f"the uuid is none and became {first.product_id}"


def test_the_replacement_is_the_same_in_every_version() -> None:
    assert examine(row(None, "clinic@example.org")).product_id == DERIVED


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(U, None), "has no address"),
        (row(U, "  "), "has no address"),
        (row(U, "none"), "@-sign"),
        (row(U, "a@localhost"), "period"),
        (row(U, "x" * 300 + "@example.org"), "at most 254"),
        (row(U, "a\udcff@example.org"), "not UTF-8"),
        (row("\udcff", "a@example.org"), "not UTF-8"),
        (LegacyRow("line 1", U, "a@example.org", "has 3 fields; expected 2"), "has 3 fields; expected 2"),
    ],
)
def test_what_cannot_be_taken_has_a_reason(bad: LegacyRow, reason: str) -> None:
    with pytest.raises(CannotBeTaken, match=reason):
        examine(bad)


@settings(deadline=None)
@given(st.none() | st.text(), st.text(st.characters() | st.sampled_from("a@.")))
def test_no_text_at_all_is_a_bug(uuid: str | None, email: str) -> None:
    try:
        takeover = examine(row(uuid, email))
    except CannotBeTaken:
        return
    assert len(takeover.product_id) == 36
