"""The verdict on a broadcast by what came back."""

from __future__ import annotations

import pytest

from hostemr.registration.delivery.canary import Limits, verdict
from hostemr.registration.progress import Totals

LIMITS = Limits(bounce_percent=5.0, complaint_percent=0.1, least=50)


@pytest.mark.parametrize(
    "totals",
    [
        Totals(),
        Totals(sent=50, delivered=50),
        # 5 % exactly is not over 5 %.
        Totals(sent=100, delivered=95, bounced=5),
        Totals(sent=1000, delivered=999, complained=1),
        # The provider reports no deliveries: then of those sent.
        Totals(sent=1000, bounced=50),
    ],
)
def test_nothing_speaks_against_it(totals: Totals) -> None:
    assert verdict(totals, Totals(), LIMITS, final=True) is None


@pytest.mark.parametrize(
    ("totals", "what"),
    [
        (Totals(sent=100, delivered=94, bounced=6), "6 of 100 messages delivered so far bounced (6.00 %"),
        (Totals(sent=1000, delivered=997, complained=2), "2 of 999 messages delivered so far were complained of"),
        (Totals(sent=1000, bounced=51), "51 of 1000 messages sent so far bounced"),
        (Totals(sent=94, failed=6), "6 of 100 messages sent so far were refused by the provider"),
        (Totals(failed=50), "50 of 50 messages sent so far were refused"),
    ],
)
def test_too_much_of_anything_stops_it(totals: Totals, what: str) -> None:
    reason = verdict(totals, Totals(), LIMITS, final=False)
    assert reason is not None
    assert reason.startswith(what)


def test_few_reports_are_judged_only_when_they_were_waited_for() -> None:
    totals = Totals(sent=60, delivered=9, bounced=1)
    assert verdict(totals, Totals(), LIMITS, final=False) is None
    assert verdict(totals, Totals(), LIMITS, final=True) is not None


def test_what_a_person_let_pass_does_not_count_again() -> None:
    known = Totals(sent=100, delivered=80, bounced=20)
    assert verdict(known, known, LIMITS, final=True) is None
    later = Totals(sent=200, delivered=178, bounced=22)
    assert verdict(later, known, LIMITS, final=True) is None
    worse = Totals(sent=200, delivered=170, bounced=30)
    assert verdict(worse, known, LIMITS, final=True) is not None
