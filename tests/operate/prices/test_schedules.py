"""How often schedules come up in a month."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hostemr.operate.prices.evaluation import Unknown
from hostemr.operate.prices.rules.schedules import times_a_month
from hostemr.operate.prices.sheet import NotPriced


@pytest.mark.parametrize(
    ("expression", "a_year"),
    [
        ("cron(0 5 * * ? *)", 365),
        ("cron(0 5 ? * SAT *)", Decimal(365) / 7),
        ("cron(0 5 ? * MON-FRI *)", Decimal(365) * 5 / 7),
        ("cron(0 5 ? * 2,4 *)", Decimal(365) * 2 / 7),
        ("cron(0 9 ? * SUN#1 *)", 12),
        ("cron(0 9 ? * FRIL *)", 12),
        ("cron(0 5 1 * ? *)", 12),
        ("cron(0 5 L * ? *)", 12),
        ("cron(0 5 1,15 * ? *)", 24),
        ("cron(0 5 1 1 ? *)", 1),
        ("cron(0 5,17 * * ? *)", 730),
        ("cron(0 0/6 * * ? *)", 365 * 4),
        ("cron(0 */12 * * ? *)", 730),
        ("rate(1 day)", 365),
        ("rate(12 hours)", 730),
        ("rate(7 days)", Decimal(365) / 7),
    ],
)
def test_times_of_a_schedule_are_an_average_of_the_year(expression: str, a_year: Decimal) -> None:
    assert float(times_a_month(expression) * 12) == pytest.approx(float(a_year))


@pytest.mark.parametrize(
    "expression",
    ["", "daily", "cron(0 5 * *)", "rate(0 days)", "cron(0 5 x * ? *)", "cron(0 5 9-2 * ? *)", "cron(0 0/0 * * ? *)",
     "cron(0 5-6-7 * * ? *)", None, Unknown("only the stack knows it")],
)  # fmt: skip
def test_a_schedule_that_cannot_be_counted_is_told(expression: object) -> None:
    with pytest.raises(NotPriced, match=r"schedule|ScheduleExpression"):
        times_a_month(expression)
