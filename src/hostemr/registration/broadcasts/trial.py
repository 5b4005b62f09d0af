"""A test send: the port through which one message goes to a few named addresses, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from hostemr.registration.installations.address import InvalidEmail, parse_address
from hostemr.registration.links import Category

MOST_OTHERS = 5
SUBJECT = "[Test] "


@dataclass(frozen=True, slots=True)
class TrialMessage:
    """What is tried out: the parts of a broadcast."""

    title: str
    text: str
    html: str | None
    category: Category


@dataclass(frozen=True, slots=True)
class TrialReply:
    """What became of one address: whether the provider took the message, and what it said."""

    email: str
    state: str
    detail: str


TrialSend = Callable[[TrialMessage, Sequence[str]], Awaitable[Sequence[TrialReply]]]
"""Sends the message, with SUBJECT before its title. Raises OutsideWorldError where nothing was sent to anybody."""


def other_addresses(typed: str) -> tuple[list[str], str]:
    """The addresses that somebody typed, by commas, spaces or lines; and what is wrong with them, if anything."""
    found, problems = {}, []
    for one in typed.replace(",", " ").replace(";", " ").split()[: MOST_OTHERS * 10]:
        try:
            address = parse_address(one)
        except InvalidEmail as error:
            problems.append(f"“{one[:80]}”: {error.message}")
        else:
            found[address.key] = address.email
    if len(found) + len(problems) > MOST_OTHERS:
        problems = [f"At most {MOST_OTHERS} other addresses are possible at a time."]
    return list(found.values()), " ".join(problems)
