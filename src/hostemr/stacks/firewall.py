"""The web application firewall: it lets documents upload and a whole clinic work behind one address."""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from hostemr.stacks.policies import arn

LOGINS_PER_FIVE_MINUTES = 300

# Rules that judge a request's body. A clinic uploads scans and writes notes with markup and words such as
# "select … from": blocking those would lose records. The rules go on counting, so that an operator sees them.
# https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
COUNTED_IN_COMMON = (
    "SizeRestrictions_BODY",
    "CrossSiteScripting_BODY",
    "GenericRFI_BODY",
    "GenericLFI_BODY",
    # 2,048 bytes: OpenMRS asks for a hundred concepts in one address.
    "SizeRestrictions_QUERYSTRING",
)
COUNTED_IN_SQL = ("SQLi_BODY", "SQLiExtendedPatterns_BODY")


class Firewall(Construct):
    """AWS's managed rules and rate limits before the load balancer; its log holds no secret and no query."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        load_balancer_arn: str,
        rate_limit: int | None,
        login_path: str | None,
        log_group: str,
    ) -> None:
        super().__init__(scope, id)
        rules = [
            _managed("AWSManagedRulesAmazonIpReputationList"),
            _managed("AWSManagedRulesCommonRuleSet", counted=COUNTED_IN_COMMON),
            _managed("AWSManagedRulesKnownBadInputsRuleSet"),
            _managed("AWSManagedRulesSQLiRuleSet", counted=COUNTED_IN_SQL),
        ]
        if login_path is not None:
            rules.append(_rate("LoginsPerAddress", LOGINS_PER_FIVE_MINUTES, _path(login_path)))
        if rate_limit is not None:
            rules.append(_rate("RequestsPerAddress", rate_limit))
        self.web_acl = wafv2.CfnWebACL(
            self,
            "WebAcl",
            scope="REGIONAL",
            default_action={"allow": {}},
            visibility_config=_visible("WebAcl"),
            rules=[{**rule, "priority": priority} for priority, rule in enumerate(rules)],
        )
        wafv2.CfnWebACLAssociation(
            self, "Association", resource_arn=load_balancer_arn, web_acl_arn=self.web_acl.attr_arn
        )
        wafv2.CfnLoggingConfiguration(
            self,
            "Logging",
            resource_arn=self.web_acl.attr_arn,
            log_destination_configs=[arn("logs", f"log-group:{log_group}")],
            redacted_fields=[
                {"singleHeader": {"Name": "authorization"}},
                {"singleHeader": {"Name": "cookie"}},
                {"queryString": {}},
            ],
        )


def _visible(name: str) -> dict[str, Any]:
    # Sampled requests would keep query strings and cookies for hours.
    return {"cloudWatchMetricsEnabled": True, "metricName": name, "sampledRequestsEnabled": False}


def _managed(name: str, *, counted: tuple[str, ...] = ()) -> dict[str, Any]:
    group: dict[str, Any] = {"vendorName": "AWS", "name": name}
    if counted:
        group["ruleActionOverrides"] = [{"name": rule, "actionToUse": {"count": {}}} for rule in counted]
    return {
        "name": name,
        "overrideAction": {"none": {}},
        "statement": {"managedRuleGroupStatement": group},
        "visibilityConfig": _visible(name),
    }


def _rate(name: str, limit: int, scope_down: dict[str, Any] | None = None) -> dict[str, Any]:
    """Block an address for as long as it is over `limit` requests in five minutes."""
    based: dict[str, Any] = {"limit": limit, "aggregateKeyType": "IP", "evaluationWindowSec": 300}
    if scope_down is not None:
        based["scopeDownStatement"] = scope_down
    return {
        "name": name,
        "action": {"block": {"customResponse": {"responseCode": 429}}},
        "statement": {"rateBasedStatement": based},
        "visibilityConfig": _visible(name),
    }


def _path(path: str) -> dict[str, Any]:
    return {
        "byteMatchStatement": {
            "fieldToMatch": {"uriPath": {}},
            "positionalConstraint": "STARTS_WITH",
            "searchString": path,
            "textTransformations": [{"priority": 0, "type": "NORMALIZE_PATH"}],
        }
    }
