"""What `python app.py` is to a CDK user: `python -m benchmarks.peers.plain_cdk.app [--nag]`, into CDK_OUTDIR.

Without `--nag` no check runs; with it both packs that hostemr always has. What CDK_VALIDATION says of the CDK's own
validation holds here as it does for any app.
"""

from __future__ import annotations

import sys

import aws_cdk as cdk
import cdk_nag

from benchmarks.peers.plain_cdk.stack import OpenEMRStack


def main(arguments: list[str]) -> None:
    """Synthesize the stack."""
    app = cdk.App()
    # The load balancer's access logs need a region; an account is not needed.
    OpenEMRStack(app, "PlainOpenEMR", env=cdk.Environment(region="us-east-1"))
    if "--nag" in arguments:
        cdk.Aspects.of(app).add(cdk_nag.AwsSolutionsChecks(verbose=True))
        cdk.Aspects.of(app).add(cdk_nag.HIPAASecurityChecks(verbose=True))
    app.synth()


if __name__ == "__main__":
    main(sys.argv[1:])
