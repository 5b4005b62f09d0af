"""The least that any CDK app in Python costs: one bucket in one stack, of low-level constructs, into CDK_OUTDIR."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3

app = cdk.App(analytics_reporting=False)
s3.CfnBucket(cdk.Stack(app, "Floor"), "Bucket")
app.synth()
