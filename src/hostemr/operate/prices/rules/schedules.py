"""How often a schedule of AWS's comes up in a month."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from hostemr.operate.prices.evaluation import Unknown
from hostemr.operate.prices.sheet import NotPriced

_DAYS = Decimal(365) / 12
_WEEKS = _DAYS / 7
_MONTHS = 12
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_ANY = {"*", "?"}
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def times_a_month(expression: Any) -> Decimal:
    """Times a month, as an average of a year.

    Cron as EventBridge has it (Scheduler User Guide, "Schedule types"): minutes, hours, day of month, month, day of
    week, year. Raises NotPriced for what it does not know.
    """
    if isinstance(expression, Unknown):
        raise NotPriced(f"ScheduleExpression: {expression.reason}")
    text = " ".join(str(expression).split())
    rate = _RATE.fullmatch(text)
    if rate and int(rate[1]):
        a_day = {"minute": 1440, "hour": 24, "day": 1}[rate[2]]
        return _DAYS * a_day / int(rate[1])
    cron = _CRON.fullmatch(text)
    if cron is None:
        raise NotPriced(f"schedule {text!r} is not of a form that can be counted")
    minute, hour, day, month, weekday, _ = cron.groups()
    a_day = _count(minute, 60, text) * _count(hour, 24, text)
    months = Decimal(_MONTHS if month in _ANY else _count(month, _MONTHS, text)) / _MONTHS
    return a_day * months * _days(day, weekday, text)


def _days(day: str, weekday: str, text: str) -> Decimal:
    if day not in _ANY:
        return Decimal(1) if day == "L" else Decimal(_count(day, 31, text))
    if weekday in _ANY:
        return _DAYS
    if "#" in weekday or weekday.endswith("L"):
        return Decimal(len(weekday.split(",")))
    return _WEEKS * _count(weekday, 7, text)


def _count(field: str, most: int, text: str) -> int:
    """How many of `most` values a field names."""
    if field in _ANY:
        return most
    total = 0
    for part in field.split(","):
        span, _, step = part.partition("/")
        bounds = [_number(one) for one in span.split("-")]
        match bounds:
            case _ if span in _ANY:
                length = most
            case [int(_)]:
                length = most - (bounds[0] or 0) if step else 1
            case [int(low), int(high)]:
                length = high - low + 1
            case _:
                length = 0
        if length < 1 or (step and not step.isdigit()) or step == "0":
            raise NotPriced(f"schedule {text!r} is not of a form that can be counted")
        total += -(-length // int(step)) if step else length
    return total


def _number(word: str) -> int | None:
    if word.upper() in _WEEKDAYS:
        return _WEEKDAYS.index(word.upper())
    return int(word) if word.isdigit() else None
