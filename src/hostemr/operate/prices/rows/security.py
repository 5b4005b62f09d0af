"""Keys, secrets and audit trails."""

from __future__ import annotations

from datetime import date

from hostemr.operate.prices.table import rows

_KMS = "https://aws.amazon.com/kms/pricing/"
_SECRETS = "https://aws.amazon.com/secrets-manager/pricing/"
_CLOUDTRAIL = "https://aws.amazon.com/cloudtrail/pricing/"

ROWS = (
    # Yearly rotation adds a dollar a month for the first and for the second time, then no more (since May 2024).
    *rows(_KMS, date(2026, 6, 13), "looked up", {"kms.key": "1", "kms.rotation": "1"}, unit="month"),
    *rows(_KMS, date(2026, 6, 13), "looked up", {"kms.requests": "0.03"}, unit="request", per=10_000, free=20_000),
    *rows(_SECRETS, date(2025, 1, 1), "looked up", {"secret": "0.40"}, unit="month"),
    *rows(_SECRETS, date(2025, 1, 1), "looked up", {"secret.requests": "0.05"}, unit="request", per=10_000),
    *rows(_CLOUDTRAIL, date(2026, 8, 21), "looked up", {"trail.copied": "2.00"}, unit="event", per=100_000),
    *rows(_CLOUDTRAIL, date(2026, 8, 21), "looked up", {"trail.data": "0.10"}, unit="event", per=100_000),
)
