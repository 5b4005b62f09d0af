"""CloudWatch, SNS, SQS and SES. The prices are those of the first tier: 10,000 metrics, 10 TB of logs."""

from __future__ import annotations

from datetime import date

from hostemr.operate.prices.table import rows

_CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/"
_SES = "https://aws.amazon.com/ses/pricing/"
_SNS = "https://aws.amazon.com/sns/pricing/"
_SQS = "https://aws.amazon.com/sqs/pricing/"

ROWS = (
    *rows(_CLOUDWATCH, date(2026, 6, 13), "looked up", {"cloudwatch.metric": "0.30"}, unit="month", free=10),
    *rows(_CLOUDWATCH, date(2026, 8, 21), "looked up", {"cloudwatch.alarm": "0.10"}, unit="month", free=10),
    *rows(
        _CLOUDWATCH,
        date(2026, 8, 21),
        "looked up",
        {"cloudwatch.alarm.fast": "0.30"},
        unit="month",
    ),
    *rows(_CLOUDWATCH, date(2025, 6, 1), "from memory", {"cloudwatch.alarm.composite": "0.50"}, unit="month"),
    *rows(
        _CLOUDWATCH,
        date(2025, 6, 1),
        "from memory",
        {"cloudwatch.requests": "0.01"},
        unit="request",
        per=1_000,
        free=1_000_000,
    ),
    *rows(_CLOUDWATCH, date(2026, 6, 13), "looked up", {"cloudwatch.dashboard": "3"}, unit="month", free=3),
    *rows(_CLOUDWATCH, date(2026, 6, 13), "looked up", {"logs.ingested": "0.50"}, unit="GB", free=5),
    *rows(
        _CLOUDWATCH,
        date(2025, 6, 1),
        "from memory",
        {"logs.ingested.infrequent": "0.25", "logs.vended.s3": "0.25"},
        unit="GB",
    ),
    *rows(_CLOUDWATCH, date(2026, 8, 21), "looked up", {"logs.stored": "0.03"}, unit="GB-month", free=5),
    *rows(_SNS, date(2025, 6, 1), "from memory", {"sns.email": "2.00"}, unit="message", per=100_000, free=1_000),
    *rows(
        _SNS, date(2026, 6, 13), "looked up", {"sns.published": "0.50"}, unit="message", per=1_000_000, free=1_000_000
    ),
    *rows(_SNS, date(2026, 6, 13), "looked up", {"sns.https": "0.60"}, unit="message", per=1_000_000, free=100_000),
    *rows(
        _SQS, date(2025, 6, 1), "from memory", {"sqs.requests": "0.40"}, unit="request", per=1_000_000, free=1_000_000
    ),
    *rows(_SES, date(2025, 6, 1), "from memory", {"ses.attached": "0.12"}, unit="GB"),
    *rows(
        _SES,
        date(2025, 6, 1),
        "from memory",
        {"ses.sent": "0.10", "ses.received": "0.10"},
        unit="message",
        per=1_000,
    ),
)
