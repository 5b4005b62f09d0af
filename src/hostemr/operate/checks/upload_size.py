"""The firewall lets documents through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates, at, rows

CLINIC = 2000
"""Requests in five minutes: fewer than seven a second, which a clinic behind one address makes on a busy morning."""


def _find(templates: Templates) -> Iterator[Found]:
    for acl in templates.of("AWS::WAFv2::WebACL", "AWS::WAFv2::RuleGroup"):
        for rule in acl.rows("Rules"):
            for group in rows(rule, "Statement", "ManagedRuleGroupStatement"):
                if templates.text(acl.stack, group.get("Name")) == "AWSManagedRulesCommonRuleSet" and _blocks(
                    templates, acl, rule, group
                ):
                    yield Found(
                        acl,
                        "the common rule set blocks bodies over 8 KB (SizeRestrictions_BODY): uploads of documents "
                        "fail",
                        "count that rule instead of blocking (RuleActionOverrides), or leave the upload paths out",
                        "Rules.Statement.ManagedRuleGroupStatement",
                    )
            for rate in rows(rule, "Statement", "RateBasedStatement"):
                yield from _rate(templates, acl, rule, rate)


def _blocks(templates: Templates, acl: Resource, rule: Mapping[str, Any], group: Mapping[str, Any]) -> bool:
    eased = [*at(group, "RuleActionOverrides", "Name"), *at(group, "ExcludedRules", "Name")]
    counted = bool(at(rule, "OverrideAction", "Count"))
    return not (
        counted
        or "ScopeDownStatement" in group
        or "SizeRestrictions_BODY" in {templates.text(acl.stack, one) for one in eased}
    )


def _rate(templates: Templates, acl: Resource, rule: Mapping[str, Any], rate: Mapping[str, Any]) -> Iterator[Found]:
    limit = templates.number(acl.stack, rate.get("Limit"))
    window = templates.number(acl.stack, rate.get("EvaluationWindowSec", 300)) or 300
    if limit is None or not at(rule, "Action", "Block") or "ScopeDownStatement" in rate:
        return
    if limit / window <= CLINIC / 300:
        yield Found(
            acl,
            f"an address that makes more than {limit / window:.1f} requests a second is blocked, and a clinic behind "
            "one "
            "address does",
            "raise the limit, or leave the clinic's addresses out (ScopeDownStatement)",
            "Rules.Statement.RateBasedStatement.Limit",
        )


CHECK = Check(
    id="HOSTEMR-UploadSize",
    title="The firewall lets documents and clinics through",
    severity="note",
    reason="WAF looks at the first 8 KB of a body at a load balancer; the rule blocks everything longer.",
    source="https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html",
    find=_find,
)
