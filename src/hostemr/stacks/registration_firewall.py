"""The firewall's rules before the registration service: every clinic gets in, and the board from where it sits.

Clients send no User-Agent and bodies as people typed them; the board writes advisories that quote attacks; SNS brings
hundreds of reports a second from few addresses. AWS's lists of rules: https://docs.aws.amazon.com/waf/latest/
developerguide/aws-managed-rule-groups-baseline.html and aws-managed-rule-groups-use-case.html.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from hostemr.deployment.registration import RegistrationOnAwsSettings
from hostemr.stacks.firewall import managed, rate, visible
from hostemr.stacks.registration_reports import WEBHOOK

BOARD = "/board"
"""Every page of the console is under it; tests hold this and the other paths against the service's own words."""
SIGN_IN = "/board/sign-in"
BROADCAST = "/api/registration/broadcast"
"""What asks for the pin."""
OPEN_TO_ALL = r"^/(api/|unsubscribe/|subscribe/|advisories)"
"""What clinics, mail providers and readers of advisories ask for, from whatever address they have."""
TOKENS = r"^/(board/join|unsubscribe|subscribe)/"
"""Paths that go on with a secret: whoever has the link may join the board, or take an address off the list."""
TOKEN = "token"  # noqa: S105, the name of a label
"""The label of requests for them, which the firewall's log leaves out."""
SECRETS_TRIED_PER_FIVE_MINUTES = 100
"""A member signs in a few times a day, and all of them may come from one address."""

COUNTED_IN_COMMON = (
    # PHP's cURL sends none: this rule alone would keep every OpenEMR out.
    "NoUserAgent_HEADER",
    # A report of a clinic's use is up to 8 MiB, one of SNS's 256 KiB; the service has its own limit for each path.
    "SizeRestrictions_BODY",
    # The board's text in HTML and Markdown has links, tags and paths, and an advisory quotes what attackers send.
    "EC2MetaDataSSRF_BODY",
    "GenericLFI_BODY",
    "GenericRFI_BODY",
    "CrossSiteScripting_BODY",
)
COUNTED_IN_BAD_INPUTS = (
    # The service runs no Java and no React, and an advisory on one of these holes names its pattern.
    "JavaDeserializationRCE_BODY",
    "Log4JRCE_BODY",
    "ReactJSRCE_BODY",
)
COUNTED_IN_SQL = (
    # "Please select the update from the list" is a sentence; every statement of the service has bound parameters.
    "SQLi_BODY",
    "SQLiExtendedPatterns_BODY",
    # The board searches the register by address, and addresses have apostrophes.
    "SQLi_QUERYARGUMENTS",
    "SQLiExtendedPatterns_QUERYARGUMENTS",
)
_REPUTATION = "AWSManagedRulesAmazonIpReputationList"


def in_front_of_the_register(scope: Construct, settings: RegistrationOnAwsSettings) -> list[dict[str, Any]]:
    """The rules in their order. They judge paths as the service will read them: decoded."""
    rules = [_mark_tokens()]
    if settings.board_ranges:
        rules.append(_board_only_from(scope, settings.board_ranges))
    rules += [
        # A clinic behind an address of ill repute must be able to register, and whoever gets mail to leave.
        managed(_REPUTATION, scope_down=_not(_path_matches(OPEN_TO_ALL))),
        managed(_REPUTATION, name="ReputationCounted", only_counts=True, scope_down=_path_matches(OPEN_TO_ALL)),
        managed("AWSManagedRulesCommonRuleSet", counted=COUNTED_IN_COMMON),
        managed("AWSManagedRulesKnownBadInputsRuleSet", counted=COUNTED_IN_BAD_INPUTS),
        managed("AWSManagedRulesSQLiRuleSet", counted=COUNTED_IN_SQL),
        # Whatever follows the path: one request too many in the count does no harm.
        rate(
            "SecretsPerAddress",
            SECRETS_TRIED_PER_FIVE_MINUTES,
            _all(_posts(), _path_matches(f"^({SIGN_IN}|{BROADCAST})")),
        ),
    ]
    if settings.waf_rate_limit is not None:
        # By single addresses, in IPv6 too: AWS WAF knows no networks here. The service limits each /64 by itself.
        rules.append(rate("RequestsPerAddress", settings.waf_rate_limit, _not(_path_matches(f"^{WEBHOOK}/?$"))))
    return rules


def _mark_tokens() -> dict[str, Any]:
    """First of all, because what another rule blocks is asked no further."""
    name = "TokensInPath"
    return {
        "name": name,
        "action": {"count": {}},
        "statement": _path_matches(TOKENS),
        "ruleLabels": [{"name": TOKEN}],
        "visibilityConfig": visible(name),
    }


def _board_only_from(scope: Construct, ranges: Sequence[str]) -> dict[str, Any]:
    """Whoever is elsewhere does not even see the sign-in page."""
    networks = [half for one in ranges for half in _halved(one)]
    inside = [
        {"ipSetReferenceStatement": {"arn": _ip_set(scope, version, addresses).attr_arn}}
        for version in (4, 6)
        if (addresses := [str(one) for one in networks if one.version == version])
    ]
    name = "BoardFromElsewhere"
    elsewhere = _not(inside[0] if len(inside) == 1 else {"orStatement": {"statements": inside}})
    return {
        "name": name,
        "action": {"block": {}},
        "statement": _all(_path_matches(f"^{BOARD}"), elsewhere),
        "visibilityConfig": visible(name),
    }


def _ip_set(scope: Construct, version: int, addresses: list[str]) -> wafv2.CfnIPSet:
    return wafv2.CfnIPSet(
        scope,
        f"BoardNetworks{version}",
        scope="REGIONAL",
        ip_address_version=f"IPV{version}",
        addresses=addresses,
        description="From where the console of the board can be opened",
    )


def _halved(network: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The network, or its halves where it is the whole internet: AWS WAF takes every range but /0.

    https://docs.aws.amazon.com/waf/latest/APIReference/API_CreateIPSet.html
    """
    whole = ipaddress.ip_network(network)
    return [whole] if whole.prefixlen else list(whole.subnets())


def _path_matches(pattern: str) -> dict[str, Any]:
    return {
        "regexMatchStatement": {
            "fieldToMatch": {"uriPath": {}},
            "regexString": pattern,
            "textTransformations": [
                # The service reads /%62oard as /board.
                {"priority": 0, "type": "URL_DECODE"},
                {"priority": 1, "type": "NORMALIZE_PATH"},
            ],
        }
    }


def _posts() -> dict[str, Any]:
    return {
        "byteMatchStatement": {
            "fieldToMatch": {"method": {}},
            "positionalConstraint": "EXACTLY",
            "searchString": "POST",
            "textTransformations": [{"priority": 0, "type": "NONE"}],
        }
    }


def _not(statement: dict[str, Any]) -> dict[str, Any]:
    return {"notStatement": {"statement": statement}}


def _all(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"andStatement": {"statements": list(statements)}}
