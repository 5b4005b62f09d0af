"""With which certificate a task verifies the database: carried in the template, so that a start fetches nothing."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import region_info
from constructs import Construct

from hostemr.stacks.database import root_certificates

_BUNDLES = {
    "aws-us-gov": "https://truststore.pki.us-gov-west-1.rds.amazonaws.com/global/global-bundle.pem",
    "aws-cn": "https://rds-truststore.s3.cn-north-1.amazonaws.com.cn/global/global-bundle.pem",
}
_BUNDLE = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"


def root_certificate(scope: Construct) -> tuple[str, str]:
    """The root of this region's database servers as PEM text, and where to fetch it where we have none.

    A region that opened after our copy has an empty text: its tasks fetch AWS's bundle when they start.
    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.SSL.html
    """
    known = root_certificates()
    mapping = {
        region.name: {
            "Root": known.get(region.name, ""),
            "Bundle": _BUNDLES.get(region.partition or "aws", _BUNDLE),
        }
        for region in region_info.RegionInfo.regions
    }
    roots = cdk.CfnMapping(scope, "DatabaseRoots", mapping=mapping)
    return roots.find_in_map(cdk.Aws.REGION, "Root"), roots.find_in_map(cdk.Aws.REGION, "Bundle")
