"""The settings of who reaches a deployment and what it reaches: network, certificate, firewall."""

from __future__ import annotations

from hostemr.deployment.parsers import (
    BOOLEAN,
    VPC_NETWORK,
    arn,
    one_of,
    or_null,
    ranges,
    text_of,
    whole,
)
from hostemr.deployment.setting import Setting

ACCESS = (
    Setting(
        name="{application}_resource_suffix",
        attribute="resource_suffix",
        kind=text_of(
            r"|[a-z0-9](?:[a-z0-9-]{0,14}[a-z0-9])?",
            "up to 16 lower-case letters, digits and hyphens, no hyphen first or last",
        ),
        default="",
        meaning="End of the stacks' names, for a second deployment in the same account and region.",
        source="peer",
    ),
    Setting(
        name="security_group_ip_range",
        attribute="allowed_ranges",
        kind=ranges(),
        default=(),
        meaning="The networks that may reach the load balancer, IPv4 and IPv6. Null lets nobody in.",
        source="seed",
    ),
    Setting(
        name="security_group_ip_range_ipv4",
        attribute="allowed_ranges",
        kind=ranges(4),
        default=(),
        meaning="OpenMRS's seed's name for the IPv4 networks; added to security_group_ip_range.",
        source="seed",
    ),
    Setting(
        name="security_group_ip_range_ipv6",
        attribute="allowed_ranges",
        kind=ranges(6),
        default=(),
        meaning="OpenMRS's seed's name for the IPv6 networks; added to security_group_ip_range.",
        source="seed",
    ),
    Setting(
        name="certificate_arn",
        attribute="certificate_arn",
        kind=or_null(
            arn(
                "acm",
                r"certificate/[A-Za-z0-9-]+",
                "the ARN of an ACM certificate, arn:PARTITION:acm:REGION:ACCOUNT:certificate/ID",
            )
        ),
        meaning="ACM certificate of the load balancer, in the deployment's region: serves HTTPS on 443 and redirects "
        "80 to it. Null makes one where route53_domain is given; otherwise everything travels unencrypted on port 80.",
        source="seed",
    ),
    Setting(
        name="site_address",
        attribute="site_address",
        kind=or_null(
            text_of(
                r"https://[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(:[0-9]{1,5})?",
                "https:// and a host name in small letters, without a path, such as https://openemr.example.org",
            )
        ),
        meaning="The address that people use, whose name the certificate covers and whose DNS record leads to the load "
        "balancer. The application tells it to API clients and patients. Null tells the name below route53_domain, or "
        "without one the load balancer's own, which no certificate can cover.",
    ),
    Setting(
        name="vpc_cidr",
        attribute="vpc_cidr",
        kind=VPC_NETWORK,
        default="10.0.0.0/16",
        meaning="Addresses of the VPC. Choose another where the VPC is to be joined to a network that uses these, "
        "before the first deployment: what exists cannot move.",
    ),
    Setting(
        name="availability_zones",
        attribute="availability_zones",
        kind=one_of(2, 3),
        default=2,
        meaning="In how many zones subnets lie and tasks run. A third can be added later; CloudFormation refuses to "
        "take one away while the service stack is there.",
    ),
    Setting(
        name="egress",
        attribute="egress",
        kind=one_of("public_ip", "endpoints", "one_nat", "nat_per_zone"),
        default="nat_per_zone",
        meaning="How tasks reach AWS and the internet: by NAT gateways, one for each zone or one for all (whose zone "
        "then takes all down); by VPC endpoints only, which gives up the rest of the internet; or by public "
        "addresses of their own, which is cheapest.",
    ),
    Setting(
        name="enable_waf",
        attribute="enable_waf",
        kind=BOOLEAN,
        default=True,
        meaning="A web application firewall (AWS WAF) before the load balancer.",
    ),
    Setting(
        name="waf_rate_limit",
        attribute="waf_rate_limit",
        kind=or_null(whole(10, 2_000_000_000, "requests in five minutes")),
        default=20_000,
        meaning="Most requests of one address in five minutes before the firewall blocks it; a whole clinic often has "
        "one address. Null sets no limit.",
    ),
    Setting(
        name="load_balancer_deletion_protection",
        attribute="load_balancer_deletion_protection",
        kind=BOOLEAN,
        default=True,
        meaning="Whether AWS refuses to delete the load balancer; turn it off before removing the service stack.",
    ),
)
