"""S3, EFS, ECR, and AWS Backup's vaults."""

from __future__ import annotations

from datetime import date

from hostemr.operate.prices.table import rows

_S3 = "https://aws.amazon.com/s3/pricing/"
_EFS = "https://aws.amazon.com/efs/pricing/"
_ECR = "https://aws.amazon.com/ecr/pricing/"
_BACKUP = "https://aws.amazon.com/backup/pricing/"

ROWS = (
    *rows(_S3, date(2026, 3, 13), "looked up", {"s3.standard": "0.023"}, unit="GB-month"),
    *rows(_S3, date(2026, 8, 21), "looked up", {"s3.put": "0.005", "s3.get": "0.0004"}, unit="request", per=1_000),
    *rows(_EFS, date(2026, 6, 13), "looked up", {"efs.standard": "0.30"}, unit="GB-month"),
    # Elastic throughput charges access by itself, so that its storage for what is seldom read costs less.
    *rows(
        _EFS,
        date(2026, 6, 13),
        "looked up",
        {"efs.infrequent": "0.025", "efs.infrequent.elastic": "0.016"},
        unit="GB-month",
    ),
    *rows(_EFS, date(2026, 6, 13), "looked up", {"efs.moved": "0.01"}, unit="GB"),
    *rows(_EFS, date(2026, 6, 13), "looked up", {"efs.read": "0.03", "efs.written": "0.06"}, unit="GB"),
    *rows(_BACKUP, date(2026, 2, 7), "looked up", {"backup.warm": "0.05", "backup.cold": "0.01"}, unit="GB-month"),
    *rows(_BACKUP, date(2025, 6, 1), "from memory", {"backup.bucket": "0.05"}, unit="GB-month"),
    *rows(_BACKUP, date(2025, 6, 1), "from memory", {"backup.restored": "0.02"}, unit="GB"),
    *rows(_BACKUP, date(2025, 6, 1), "from memory", {"backup.tested": "1.50"}, unit="test"),
    *rows(_ECR, date(2026, 8, 21), "looked up", {"ecr.storage": "0.10"}, unit="GB-month"),
)
