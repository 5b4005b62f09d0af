"""Aurora for MySQL (standard storage), MySQL and MariaDB on RDS, and ElastiCache Serverless."""

from __future__ import annotations

from datetime import date

from hostemr.operate.prices.table import rows

_AURORA = "https://aws.amazon.com/rds/aurora/pricing/"
_RDS = "https://aws.amazon.com/rds/mysql/pricing/"
_CACHE = "https://aws.amazon.com/elasticache/pricing/"

ROWS = (
    *rows(_AURORA, date(2026, 6, 13), "looked up", {"aurora.acu": "0.12"}, unit="ACU-hour"),
    *rows(_AURORA, date(2026, 5, 1), "looked up", {"aurora.storage": "0.10"}, unit="GB-month"),
    *rows(_AURORA, date(2026, 8, 21), "looked up", {"aurora.io": "0.20"}, unit="request", per=1_000_000),
    # Continuous backups beyond the size of the cluster, and snapshots older than the cluster keeps those.
    *rows(_AURORA, date(2026, 8, 21), "looked up", {"aurora.backup": "0.021"}, unit="GB-month"),
    *rows(
        _AURORA,
        date(2026, 8, 21),
        "looked up",
        {"aurora.db.t3.medium": "0.082", "aurora.db.t3.large": "0.164"},
        unit="hour",
    ),
    *rows(
        _AURORA,
        date(2025, 6, 1),
        "from memory",
        {"aurora.db.t4g.medium": "0.073", "aurora.db.t4g.large": "0.146", "aurora.db.r6g.large": "0.26"},
        unit="hour",
    ),
    *rows(
        _RDS,
        date(2026, 8, 21),
        "looked up",
        {
            "rds.db.t3.large": "0.136",
            "rds.db.t3.large.multi": "0.272",
            "rds.db.t4g.small": "0.032",
            "rds.db.t4g.small.multi": "0.065",
            "rds.db.m5.large": "0.171",
        },
        unit="hour",
    ),
    *rows(
        _RDS,
        date(2025, 6, 1),
        "from memory",
        {
            # What the original of the registration service was set up with; RDS offers no new ones.
            "rds.db.t2.micro": "0.017",
            "rds.db.t2.micro.multi": "0.034",
            "rds.db.t3.micro": "0.017",
            "rds.db.t3.micro.multi": "0.034",
            "rds.db.t3.small": "0.034",
            "rds.db.t3.small.multi": "0.068",
            "rds.db.t3.medium": "0.068",
            "rds.db.t3.medium.multi": "0.136",
            "rds.db.t4g.micro": "0.016",
            "rds.db.t4g.micro.multi": "0.032",
            "rds.db.t4g.medium": "0.065",
            "rds.db.t4g.medium.multi": "0.129",
            "rds.db.t4g.large": "0.129",
            "rds.db.t4g.large.multi": "0.258",
            "rds.db.m7g.large": "0.168",
            "rds.db.m7g.large.multi": "0.336",
            "rds.db.m7g.xlarge": "0.336",
            "rds.db.m7g.xlarge.multi": "0.672",
            "rds.db.m7g.2xlarge": "0.672",
            "rds.db.m7g.2xlarge.multi": "1.344",
            "rds.db.r7g.large": "0.239",
            "rds.db.r7g.large.multi": "0.478",
            "rds.db.r7g.xlarge": "0.478",
            "rds.db.r7g.xlarge.multi": "0.956",
            "rds.db.r7g.2xlarge": "0.956",
            "rds.db.r7g.2xlarge.multi": "1.912",
        },
        unit="hour",
    ),
    *rows(
        _RDS,
        date(2026, 8, 21),
        "looked up",
        {
            "rds.gp2": "0.115",
            "rds.gp3": "0.115",
            "rds.gp2.multi": "0.23",
            "rds.gp3.multi": "0.23",
            "rds.backup": "0.095",
        },
        unit="GB-month",
    ),
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
