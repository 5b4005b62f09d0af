"""The web application firewall, and its rules for records: scans upload, a whole clinic works behind one address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from hostemr.stacks.policies import ACCOUNT, arn

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
    """Rules before the load balancer, in the order in which they are asked; its log holds no secret and no query.

    What a rule labels `unlogged` is left out of the log, because its path is a secret.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        load_balancer_arn: str,
        rules: Sequence[Mapping[str, Any]],
        log_group: str,
        unlogged: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.web_acl = wafv2.CfnWebACL(
            self,
            "WebAcl",
            scope="REGIONAL",
            default_action={"allow": {}},
            visibility_config=visible("WebAcl"),
            rules=[{**rule, "priority": priority} for priority, rule in enumerate(rules)],
        )
        self.name = cdk.Fn.select(0, cdk.Fn.split("|", self.web_acl.ref))
        """As CloudWatch knows it; what it is referred to by has its id beside it."""
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
            logging_filter=None if unlogged is None else self._without(unlogged),
        )

    def _without(self, label: str) -> dict[str, Any]:
        """Labels of a web ACL's own rules: https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-label.html."""
        known_as = f"awswaf:{ACCOUNT}:webacl:{self.name}:{label}"
        drop = {
            "Behavior": "DROP",
            "Requirement": "MEETS_ANY",
            "Conditions": [{"LabelNameCondition": {"LabelName": known_as}}],
        }
        return {"DefaultBehavior": "KEEP", "Filters": [drop]}


def in_front_of_records(*, rate_limit: int | None, login_path: str | None) -> list[dict[str, Any]]:
    """The rules before an EMR, where people of one clinic come from one address."""
    rules = [
        managed("AWSManagedRulesAmazonIpReputationList"),
        managed("AWSManagedRulesCommonRuleSet", counted=COUNTED_IN_COMMON),
        managed("AWSManagedRulesKnownBadInputsRuleSet"),
        managed("AWSManagedRulesSQLiRuleSet", counted=COUNTED_IN_SQL),
    ]
    if login_path is not None:
        rules.append(rate("LoginsPerAddress", LOGINS_PER_FIVE_MINUTES, _path(login_path)))
    if rate_limit is not None:
        rules.append(rate("RequestsPerAddress", rate_limit))
    return rules


def visible(name: str) -> dict[str, Any]:
    """A rule's metric, and nothing else."""
    # Sampled requests would keep query strings and cookies for hours.
    return {"cloudWatchMetricsEnabled": True, "metricName": name, "sampledRequestsEnabled": False}


def managed(
    group_name: str,
    *,
    name: str | None = None,
    counted: Sequence[str] = (),
    only_counts: bool = False,
    scope_down: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A group of AWS's rules. Those `counted` block nothing, none does where it `only_counts`.

    `name` is the rule's own where one group stands twice; `scope_down` says which requests it is asked about.
    """
    group: dict[str, Any] = {"vendorName": "AWS", "name": group_name}
    if counted:
        group["ruleActionOverrides"] = [{"name": rule, "actionToUse": {"count": {}}} for rule in counted]
    if scope_down is not None:
        group["scopeDownStatement"] = scope_down
    return {
        "name": name or group_name,
        "overrideAction": {"count": {}} if only_counts else {"none": {}},
        "statement": {"managedRuleGroupStatement": group},
        "visibilityConfig": visible(name or group_name),
    }


def rate(name: str, limit: int, scope_down: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Block an address for as long as it is over `limit` requests in five minutes."""
    based: dict[str, Any] = {"limit": limit, "aggregateKeyType": "IP", "evaluationWindowSec": 300}
    if scope_down is not None:
        based["scopeDownStatement"] = scope_down
    return {
        "name": name,
        "action": {"block": {"customResponse": {"responseCode": 429}}},
        "statement": {"rateBasedStatement": based},
        "visibilityConfig": visible(name),
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
