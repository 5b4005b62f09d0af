"""EC2, Fargate and Lambda: Linux, on demand, shared hardware."""

from __future__ import annotations

from datetime import date

from hostemr.operate.prices.table import rows

_EC2 = "https://aws.amazon.com/ec2/pricing/on-demand/"
_FARGATE = "https://aws.amazon.com/fargate/pricing/"
_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_EBS = "https://aws.amazon.com/ebs/pricing/"

ROWS = (
    *rows(
        _EC2,
        date(2025, 1, 1),
        "looked up",
        {
            "ec2.t3.nano": "0.0052",
            "ec2.t3.micro": "0.0104",
            "ec2.t3.small": "0.0208",
            "ec2.t3.medium": "0.0416",
            "ec2.t3.large": "0.0832",
            "ec2.t3.xlarge": "0.1664",
            "ec2.t3.2xlarge": "0.3328",
            "ec2.t4g.nano": "0.0042",
            "ec2.t4g.micro": "0.0084",
            "ec2.t4g.small": "0.0168",
            "ec2.t4g.medium": "0.0336",
            "ec2.t4g.large": "0.0672",
            "ec2.t4g.xlarge": "0.1344",
            "ec2.t4g.2xlarge": "0.2688",
        },
        unit="hour",
    ),
    *rows(_EC2, date(2025, 6, 1), "from memory", {"ec2.t2.micro": "0.0116"}, unit="hour"),
    # What an instance with unlimited credits pays for processor time above its baseline.
    *rows(
        _EC2,
        date(2025, 6, 1),
        "from memory",
        {"ec2.surplus.t3": "0.05", "ec2.surplus.t4g": "0.04"},
        unit="vCPU-hour",
    ),
    *rows(
        _EBS,
        date(2026, 8, 21),
        "looked up",
        {"ebs.gp3": "0.08", "ebs.gp2": "0.10", "ebs.standard": "0.05", "ebs.st1": "0.045", "ebs.sc1": "0.015"},
        unit="GB-month",
    ),
    *rows(_EBS, date(2025, 6, 1), "from memory", {"ebs.gp3.iops": "0.005"}, unit="IOPS-month"),
    *rows(_EBS, date(2026, 8, 21), "looked up", {"ebs.gp3.throughput": "0.04"}, unit="MiB/s-month"),
    *rows(
        _FARGATE,
        date(2026, 6, 17),
        "looked up",
        {"fargate.x86.vcpu": "0.04048"},
        unit="vCPU-hour",
    ),
    *rows(_FARGATE, date(2026, 6, 17), "looked up", {"fargate.x86.memory": "0.004445"}, unit="GB-hour"),
    *rows(_FARGATE, date(2025, 1, 1), "looked up", {"fargate.arm.vcpu": "0.03238"}, unit="vCPU-hour"),
    *rows(_FARGATE, date(2025, 1, 1), "looked up", {"fargate.arm.memory": "0.00356"}, unit="GB-hour"),
    *rows(_FARGATE, date(2026, 1, 1), "looked up", {"fargate.storage": "0.000111"}, unit="GB-hour"),
    *rows(
        _LAMBDA,
        date(2026, 8, 21),
        "looked up",
        {"lambda.requests": "0.20"},
        unit="request",
        per=1_000_000,
        free=1_000_000,
    ),
    *rows(
        _LAMBDA,
        date(2026, 8, 21),
        "looked up",
        {"lambda.x86.seconds": "0.0000166667", "lambda.arm.seconds": "0.0000133334"},
        unit="GB-second",
        free=400_000,
    ),
)
