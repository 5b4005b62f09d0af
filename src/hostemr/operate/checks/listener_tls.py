"""Browsers speak TLS 1.2 or newer with the load balancer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates
from hostemr.operate.texts import UNKNOWN

_GOOD = re.compile(r"ELBSecurityPolicy-(TLS13-1-[23]-.*|TLS-1-2-.*|FS-1-2-.*)")
_OLD_DEFAULT = "ELBSecurityPolicy-2016-08"


def public(templates: Templates, listener: Resource) -> bool:
    """Whether the load balancer faces the internet, as far as the templates show; one without a Scheme does."""
    balancers = templates.names(listener, ("LoadBalancerArn",), "AWS::ElasticLoadBalancingV2::LoadBalancer")
    return all("internal" not in {templates.text(one.stack, each) for each in one.at("Scheme")} for one in balancers)


def _find(templates: Templates) -> Iterator[Found]:
    for listener in templates.of("AWS::ElasticLoadBalancingV2::Listener"):
        protocols = {templates.text(listener.stack, one) for one in listener.at("Protocol")}
        if protocols & {"HTTPS", "TLS"}:
            policies = [templates.text(listener.stack, one) for one in listener.at("SslPolicy")] or [""]
            for policy in policies:
                if UNKNOWN not in policy and not _GOOD.fullmatch(policy):
                    said = f"SslPolicy is {policy}" if policy else f"no SslPolicy, so it is {_OLD_DEFAULT}"
                    yield Found(
                        listener,
                        f"{said}: TLS 1.0 and 1.1 are accepted",
                        "set SslPolicy to ELBSecurityPolicy-TLS13-1-2-Res-2021-06 or a newer one",
                        "SslPolicy",
                    )
        if "HTTP" in protocols:
            kinds = {templates.text(listener.stack, one) for one in listener.at("DefaultActions", "Type")}
            onward = {
                templates.text(listener.stack, one)
                for one in listener.at("DefaultActions", "RedirectConfig", "Protocol")
            }
            if kinds == {"fixed-response"} or (kinds == {"redirect"} and onward == {"HTTPS"}):
                continue
            where = "the internet" if public(templates, listener) else "the network"
            yield Found(
                listener,
                f"passwords and patients' data cross {where} unencrypted",
                "give a certificate and listen with HTTPS; let port 80 redirect",
                "Protocol",
            )


CHECK = Check(
    id="HOSTEMR-ListenerTls",
    title="The load balancer speaks TLS 1.2 or newer, and nothing else",
    severity="error",
    reason="Without an SslPolicy the API and CloudFormation take ELBSecurityPolicy-2016-08, which accepts TLS 1.0; "
    "NIST "
    "SP 800-52 Rev. 2, which HHS names for data in motion, ends that at 1.2.",
    source="https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html",
    find=_find,
)
