"""Judges a broadcast by what came back of it so far."""

from __future__ import annotations

from dataclasses import dataclass

from hostemr.registration.progress import Totals


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a broadcast stops itself, in percent; judged on no fewer than `least` recipients."""

    bounce_percent: float
    complaint_percent: float
    least: int


def verdict(totals: Totals, forgiven: Totals, limits: Limits, *, final: bool) -> str | None:
    """Why the broadcast must stop, for the board to read; None where nothing speaks against it.

    `forgiven` is what was known when a person let it go on. `final` judges also on few reports,
    when they have been waited for. Percentages are of the messages delivered; where the provider
    reports no deliveries, of those it accepted.
    """
    delivered = totals.delivered - forgiven.delivered
    bounced = totals.bounced - forgiven.bounced
    complained = totals.complained - forgiven.complained
    sent, failed = totals.sent - forgiven.sent, totals.failed - forgiven.failed
    of = delivered + bounced + complained if totals.delivered else sent
    if of and (final or of >= limits.least):
        for count, limit, what in (
            (bounced, limits.bounce_percent, "bounced"),
            (complained, limits.complaint_percent, "were complained of as spam"),
        ):
            if count * 100 > limit * of:
                return _reason(count, of, "delivered" if totals.delivered else "sent", what, limit)
    tried = sent + failed
    if tried and (final or tried >= limits.least) and failed * 100 > limits.bounce_percent * tried:
        return _reason(failed, tried, "sent", "were refused by the provider", limits.bounce_percent)
    return None


def _reason(count: int, of: int, verb: str, what: str, limit: float) -> str:
    return f"{count} of {of} messages {verb} so far {what} ({100 * count / of:.2f} %; the limit is {limit:g} %)."
