"""Aurora Serverless v2 (standard storage) and ElastiCache Serverless."""

from __future__ import annotations

from datetime import date

from hostemr.operate.prices.table import rows

_AURORA = "https://aws.amazon.com/rds/aurora/pricing/"
_CACHE = "https://aws.amazon.com/elasticache/pricing/"

ROWS = (
    *rows(_AURORA, date(2026, 6, 13), "looked up", {"aurora.acu": "0.12"}, unit="ACU-hour"),
    *rows(_AURORA, date(2026, 5, 1), "looked up", {"aurora.storage": "0.10"}, unit="GB-month"),
    *rows(_AURORA, date(2025, 6, 1), "from memory", {"aurora.io": "0.20"}, unit="request", per=1_000_000),
    *rows(
        _CACHE,
        date(2026, 6, 1),
        "looked up",
        {"cache.valkey.storage": "0.084", "cache.redis.storage": "0.125"},
        unit="GB-hour",
    ),
    *rows(
        _CACHE,
        date(2026, 6, 1),
        "looked up",
        {"cache.valkey.units": "0.0023", "cache.redis.units": "0.0034"},
        unit="ECPU",
        per=1_000_000,
    ),
)
