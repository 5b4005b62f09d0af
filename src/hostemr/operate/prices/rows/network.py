"""Addresses, gateways, load balancers, firewalls, names, and traffic to the internet."""

from __future__ import annotations

from datetime import date

from hostemr.operate.prices.table import rows

_VPC = "https://aws.amazon.com/vpc/pricing/"
_EC2 = "https://aws.amazon.com/ec2/pricing/on-demand/"
_ELB = "https://aws.amazon.com/elasticloadbalancing/pricing/"
_WAF = "https://aws.amazon.com/waf/pricing/"
_ACCELERATOR = "https://aws.amazon.com/global-accelerator/pricing/"
_ROUTE53 = "https://aws.amazon.com/route53/pricing/"
_PRIVATELINK = "https://aws.amazon.com/privatelink/pricing/"

ROWS = (
    *rows(_VPC, date(2026, 2, 24), "looked up", {"ipv4": "0.005", "nat.hour": "0.045"}, unit="hour"),
    *rows(_VPC, date(2026, 2, 24), "looked up", {"nat.processed": "0.045"}, unit="GB"),
    *rows(_PRIVATELINK, date(2026, 6, 13), "looked up", {"endpoint.hour": "0.01"}, unit="hour"),
    *rows(_PRIVATELINK, date(2026, 4, 27), "looked up", {"endpoint.processed": "0.01"}, unit="GB"),
    # Volumes over 10 TB a month cost less; no practice comes near.
    *rows(_EC2, date(2026, 6, 10), "looked up", {"traffic.out": "0.09"}, unit="GB", free=100),
    *rows(_EC2, date(2025, 6, 1), "from memory", {"traffic.region": "0.02"}, unit="GB"),
    *rows(_ELB, date(2026, 8, 21), "looked up", {"alb.hour": "0.0225"}, unit="hour"),
    *rows(_ELB, date(2026, 8, 21), "looked up", {"alb.lcu": "0.008"}, unit="LCU-hour"),
    *rows(_ELB, date(2025, 6, 1), "from memory", {"clb.hour": "0.025"}, unit="hour"),
    *rows(_ELB, date(2025, 6, 1), "from memory", {"clb.processed": "0.008"}, unit="GB"),
    *rows(_WAF, date(2026, 1, 1), "looked up", {"waf.acl": "5", "waf.rule": "1"}, unit="month"),
    *rows(_WAF, date(2026, 1, 1), "looked up", {"waf.requests": "0.60"}, unit="request", per=1_000_000),
    *rows(_ACCELERATOR, date(2026, 8, 21), "looked up", {"accelerator.hour": "0.025"}, unit="hour"),
    *rows(_ACCELERATOR, date(2025, 6, 1), "from memory", {"accelerator.premium": "0.015"}, unit="GB"),
    *rows(_ROUTE53, date(2026, 8, 21), "looked up", {"route53.zone": "0.50"}, unit="month"),
)
