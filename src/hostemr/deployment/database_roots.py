"""Where each partition of AWS publishes the roots that vouch for its database servers.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.SSL.html
"""

from __future__ import annotations

_OF_PARTITIONS = {
    "us-gov-": "https://truststore.pki.us-gov-west-1.rds.amazonaws.com/global/global-bundle.pem",
    "cn-": "https://rds-truststore.s3.cn-north-1.amazonaws.com.cn/global/global-bundle.pem",
}
_ELSEWHERE = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"


def bundle_url(region: str) -> str:
    """Where the bundle of a region's partition is."""
    return next((url for prefix, url in _OF_PARTITIONS.items() if region.startswith(prefix)), _ELSEWHERE)
