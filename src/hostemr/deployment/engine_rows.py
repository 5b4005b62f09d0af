"""The settings of the database engine's features and limits, and of the analytics environment."""

from __future__ import annotations

from hostemr.deployment.parsers import BOOLEAN, whole
from hostemr.deployment.setting import Setting

_YEAR_SECONDS = 31_536_000


def _limit(name: str, bounds: tuple[int, int], default: int, *, unit: str, meaning: str) -> Setting:
    """A parameter of the cluster, under MySQL's own name."""
    return Setting(
        name=name,
        attribute=name,
        kind=whole(*bounds, unit),
        default=default,
        meaning=meaning,
        source="seed",
    )


# Bounds: https://dev.mysql.com/doc/refman/8.0/en/server-system-variables.html
ENGINE = (
    Setting(
        name="enable_data_api",
        attribute="enable_data_api",
        kind=BOOLEAN,
        default=False,
        meaning="The RDS Data API: SQL over HTTPS for whoever IAM lets use it.",
        source="seed",
    ),
    Setting(
        name="enable_bedrock_integration",
        attribute="enable_bedrock_integration",
        kind=BOOLEAN,
        default=False,
        meaning="Lets SQL functions call foundation models of Amazon Bedrock (Aurora machine learning). What they "
        "are asked leaves the database.",
        source="seed",
    ),
    _limit(
        "aurora_ml_inference_timeout",
        (1, 3_600_000),
        30_000,
        unit="milliseconds",
        meaning="How long a call to Bedrock may take; only with enable_bedrock_integration.",
    ),
    _limit(
        "net_read_timeout",
        (1, _YEAR_SECONDS),
        30_000,
        unit="seconds",
        meaning="How long the database waits for more from a client.",
    ),
    _limit(
        "net_write_timeout",
        (1, _YEAR_SECONDS),
        30_000,
        unit="seconds",
        meaning="How long the database waits for a client to take data.",
    ),
    _limit(
        "wait_timeout",
        (1, _YEAR_SECONDS),
        30_000,
        unit="seconds",
        meaning="After how long an idle connection is closed.",
    ),
    _limit(
        "connect_timeout",
        (2, _YEAR_SECONDS),
        30_000,
        unit="seconds",
        meaning="How long the database waits for a client to log in.",
    ),
    _limit(
        "max_execution_time",
        (0, 4_294_967_295),
        3_000_000,
        unit="milliseconds",
        meaning="How long a SELECT may run; 0 sets no limit.",
    ),
)

ANALYTICS = (
    Setting(
        name="create_serverless_analytics_environment",
        attribute="create_analytics",
        kind=BOOLEAN,
        default=False,
        meaning="A stack of its own with SageMaker Studio, EMR Serverless, and exports of database and files to S3. "
        "Costs nothing while nobody uses it. Turned off again, the stack stays until it is deleted by hand.",
        source="seed",
    ),
)
