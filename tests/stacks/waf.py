"""What a firewall decides, read from a template: our own rules as they are written, AWS's groups by their overrides.

AWS does not publish how the rules of its groups judge. So a request says which of them it would match, and the
template decides what follows of that. Source of the names: the AWS WAF Developer Guide, "Baseline rule groups",
"Use-case specific rule groups" and "IP reputation rule groups".
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

GROUPS: Mapping[str, tuple[str, ...]] = {
    "AWSManagedRulesAmazonIpReputationList": (
        "AWSManagedIPReputationList",
        "AWSManagedReconnaissanceList",
        "AWSManagedIPDDoSList",
    ),
    "AWSManagedRulesCommonRuleSet": (
        "NoUserAgent_HEADER",
        "UserAgent_BadBots_HEADER",
        "SizeRestrictions_QUERYSTRING",
        "SizeRestrictions_Cookie_HEADER",
        "SizeRestrictions_BODY",
        "SizeRestrictions_URIPATH",
        "EC2MetaDataSSRF_BODY",
        "EC2MetaDataSSRF_COOKIE",
        "EC2MetaDataSSRF_URIPATH",
        "EC2MetaDataSSRF_QUERYARGUMENTS",
        "GenericLFI_QUERYARGUMENTS",
        "GenericLFI_URIPATH",
        "GenericLFI_BODY",
        "RestrictedExtensions_URIPATH",
        "RestrictedExtensions_QUERYARGUMENTS",
        "GenericRFI_QUERYARGUMENTS",
        "GenericRFI_BODY",
        "GenericRFI_URIPATH",
        "CrossSiteScripting_COOKIE",
        "CrossSiteScripting_QUERYARGUMENTS",
        "CrossSiteScripting_BODY",
        "CrossSiteScripting_URIPATH",
    ),
    "AWSManagedRulesKnownBadInputsRuleSet": (
        "JavaDeserializationRCE_HEADER",
        "JavaDeserializationRCE_BODY",
        "JavaDeserializationRCE_URIPATH",
        "JavaDeserializationRCE_QUERYSTRING",
        "Host_localhost_HEADER",
        "PROPFIND_METHOD",
        "ExploitablePaths_URIPATH",
        "Log4JRCE_HEADER",
        "Log4JRCE_QUERYSTRING",
        "Log4JRCE_URIPATH",
        "Log4JRCE_BODY",
        "ReactJSRCE_BODY",
    ),
    "AWSManagedRulesSQLiRuleSet": (
        "SQLi_QUERYARGUMENTS",
        "SQLiExtendedPatterns_QUERYARGUMENTS",
        "SQLi_BODY",
        "SQLiExtendedPatterns_BODY",
        "SQLi_COOKIE",
        "SQLi_URIPATH",
    ),
}
CAPACITY = {
    "AWSManagedRulesAmazonIpReputationList": 25,
    "AWSManagedRulesCommonRuleSet": 700,
    "AWSManagedRulesKnownBadInputsRuleSet": 200,
    "AWSManagedRulesSQLiRuleSet": 200,
}
"""In AWS WAF's units (WCU)."""
MOST_CAPACITY = 1500
"""What a web ACL may have without a price of its own."""
ALL_BODIES = frozenset(rule for rules in GROUPS.values() for rule in rules if rule.endswith("_BODY"))


@dataclass(frozen=True)
class Request:
    """One request as the load balancer gets it; `path` as it stands on the wire, without the query."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    ip: str = "198.51.100.20"
    matches: frozenset[str] = frozenset()
    """Rules of AWS's groups that it would match, beside the one on User-Agent."""

    @property
    def matched(self) -> frozenset[str]:
        agent = any(name.lower() == "user-agent" for name in self.headers)
        return self.matches if agent else self.matches | {"NoUserAgent_HEADER"}


class Waf:
    """One web ACL over time: it counts what its rate limits are about, all within five minutes."""

    def __init__(self, template: Mapping[str, Any]) -> None:
        self._resources: Mapping[str, Any] = template["Resources"]
        [acl] = [one for one in self._resources.values() if one["Type"] == "AWS::WAFv2::WebACL"]
        assert acl["Properties"]["DefaultAction"] == {"Allow": {}}
        self.rules = sorted(acl["Properties"]["Rules"], key=lambda rule: int(rule["Priority"]))
        self._seen: Counter[tuple[str, str]] = Counter()
        self.counted: set[str] = set()
        """Rules of AWS's that matched and blocked nothing."""
        self.labels: set[str] = set()
        """What our own rules have called any request."""

    def blocked_by(self, request: Request) -> str | None:
        """The rule that blocks it, if one does."""
        for rule in self.rules:
            found = self._judge(rule, request)
            if found is not None:
                return found
        return None

    def _judge(self, rule: Mapping[str, Any], request: Request) -> str | None:
        match rule["Statement"]:
            case {"ManagedRuleGroupStatement": group}:
                return self._judge_group(rule, group, request)
            case {"RateBasedStatement": based}:
                assert based["AggregateKeyType"] == "IP"
                assert based["EvaluationWindowSec"] == 300
                if not self._holds(based.get("ScopeDownStatement"), request):
                    return None
                self._seen[rule["Name"], request.ip] += 1
                over = self._seen[rule["Name"], request.ip] > based["Limit"]
            case statement:
                over = self._holds(statement, request)
        if rule["Action"] == {"Count": {}}:
            self.labels |= {label["Name"] for label in rule["RuleLabels"] if over}
            return None
        assert set(rule["Action"]) == {"Block"}
        return str(rule["Name"]) if over else None

    def _judge_group(self, rule: Mapping[str, Any], group: Mapping[str, Any], request: Request) -> str | None:
        overrides = {one["Name"]: one["ActionToUse"] for one in group.get("RuleActionOverrides", [])}
        assert all(action == {"Count": {}} for action in overrides.values())
        if not self._holds(group.get("ScopeDownStatement"), request):
            return None
        for name in GROUPS[group["Name"]]:
            # AWS itself only counts who takes part in floods.
            if name in request.matched and name != "AWSManagedIPDDoSList":
                if name not in overrides and rule["OverrideAction"] == {"None": {}}:
                    return name
                self.counted.add(name)
        return None

    def _holds(self, statement: Mapping[str, Any] | None, request: Request) -> bool:
        if statement is None:
            return True
        [(kind, inner)] = statement.items()
        return _KINDS[kind](self, inner, request)

    def _matches_not(self, inner: Mapping[str, Any], request: Request) -> bool:
        return not self._holds(inner["Statement"], request)

    def _matches_all(self, inner: Mapping[str, Any], request: Request) -> bool:
        return all(self._holds(part, request) for part in inner["Statements"])

    def _matches_any(self, inner: Mapping[str, Any], request: Request) -> bool:
        return any(self._holds(part, request) for part in inner["Statements"])

    def _matches_path(self, inner: Mapping[str, Any], request: Request) -> bool:
        assert inner["FieldToMatch"] == {"UriPath": {}}
        return re.search(inner["RegexString"], transformed(request.path, inner["TextTransformations"])) is not None

    def _matches_method(self, inner: Mapping[str, Any], request: Request) -> bool:
        assert (inner["FieldToMatch"], inner["PositionalConstraint"]) == ({"Method": {}}, "EXACTLY")
        wanted: str = inner["SearchString"]
        return transformed(request.method, inner["TextTransformations"]) == wanted

    def _matches_address(self, inner: Mapping[str, Any], request: Request) -> bool:
        [name, _] = inner["Arn"]["Fn::GetAtt"]
        addresses = self._resources[name]["Properties"]["Addresses"]
        return any(ipaddress.ip_address(request.ip) in ipaddress.ip_network(one) for one in addresses)


_KINDS: Mapping[str, Callable[[Waf, Mapping[str, Any], Request], bool]] = {
    "NotStatement": Waf._matches_not,
    "AndStatement": Waf._matches_all,
    "OrStatement": Waf._matches_any,
    "RegexMatchStatement": Waf._matches_path,
    "ByteMatchStatement": Waf._matches_method,
    "IPSetReferenceStatement": Waf._matches_address,
}


def transformed(text: str, steps: list[Mapping[str, Any]]) -> str:
    """The text as the statement sees it."""
    for step in sorted(steps, key=lambda one: int(one["Priority"])):
        match step["Type"]:
            case "NONE":
                pass
            case "URL_DECODE":
                text = unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")
            case "NORMALIZE_PATH":
                text = posixpath.normpath(text).replace("//", "/") + ("/" if text.endswith("/") and text != "/" else "")
            case other:
                raise AssertionError(other)
    return text


def capacity(rules: list[Mapping[str, Any]]) -> int:
    """The WCU of the rules, by the costs in the AWS WAF Developer Guide, "Rule statements": an upper bound.

    10 for each text transformation other than NONE, 3 for a regular expression, 2 for an exact match or a rate,
    1 for an IP set.
    """
    total = 0
    pending: list[Any] = [rule["Statement"] for rule in rules]
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending += part
        elif isinstance(part, Mapping):
            total += 3 * ("RegexString" in part) + 2 * ("SearchString" in part) + 2 * ("AggregateKeyType" in part)
            total += "IPSetReferenceStatement" in part
            total += 10 * sum(one["Type"] != "NONE" for one in part.get("TextTransformations", []))
            total += CAPACITY.get(part["Name"], 0) if "VendorName" in part else 0
            pending += part.values()
    return total
