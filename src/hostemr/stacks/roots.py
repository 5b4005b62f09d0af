"""With which certificate a task verifies the database: carried in the template, so that a start fetches nothing."""

from __future__ import annotations

import json
from importlib import resources

import aws_cdk as cdk
from constructs import Construct

from hostemr.deployment.database_roots import bundle_url
from hostemr.stacks.policies import REGION

# Regions that opened after our copy of the bundle, or whose partition has a bundle of its own.
_WITHOUT_ROOT = (
    "ap-east-2",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-isoe-west-1",
    "eusc-de-east-1",
    "il-central-1",
    "mx-central-1",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-iso-west-1",
    "us-isob-east-1",
    "us-isob-west-1",
    "us-isof-east-1",
    "us-isof-south-1",
)


def root_certificate(scope: Construct) -> tuple[str, str]:
    """The root of this region's database servers as PEM text, and where to fetch it where we have none.

    A region that opened after our copy has an empty text: its tasks fetch AWS's bundle when they start.
    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.SSL.html
    """
    known = root_certificates()
    mapping = {
        region: {
            "Root": known.get(region, ""),
            "Bundle": bundle_url(region),
        }
        for region in sorted({*known, *_WITHOUT_ROOT})
    }
    roots = cdk.CfnMapping(scope, "DatabaseRoots", mapping=mapping)
    return roots.find_in_map(REGION, "Root"), roots.find_in_map(REGION, "Bundle")


def root_certificates() -> dict[str, str]:
    """For each region the PEM text of the root that signs its database servers' certificates.

    Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.SSL.html (global bundle).
    """
    text = resources.files("hostemr.stacks").joinpath("rds_roots.json").read_text(encoding="ascii")
    roots: dict[str, str] = json.loads(text)["roots"]
    return roots
