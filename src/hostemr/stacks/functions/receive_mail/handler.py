"""Has SES receive the mail of one address, and leaves everything else that the account receives alone.

SES works by one active set of receipt rules for the account and region. The custom resource
`Custom::ReceiptRule` adds one rule: store the mail in S3, then call the forwarder. Where a set is active the
rule goes into that one. Where none is, a set of our own (`RuleSetName`) is made and activated.

Ours is the first rule of the set. A catch-all with a stop action before it would swallow the mail; ours names
one address and never stops, so the rules after it see all that they saw before.

A rule is ours if it has our name and stores where ours stores, or calls the function that ours calls: one
that only has the name is somebody else's, and is never changed or removed. Everything is looked up anew each
time, so that the same event twice, or again after being killed anywhere, ends in the same state. Two changes
by others are not seen: the active set being switched later (the next update moves the rule), and one
within the moment between looking and doing, for SES has no conditional writes.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?")
MARGIN_SECONDS = 60
THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"}
# SES tries the bucket and the function at once, and permissions that are a moment old may not count yet.
UNTRIED = {"InvalidS3Configuration", "InvalidLambdaFunction"}
# Somebody else changed the sets between our looking and our doing.
CHANGED = {"RuleSetDoesNotExist", "RuleDoesNotExist", "AlreadyExists", "CannotDelete"}
# One call a second for the account, at most: https://docs.aws.amazon.com/ses/latest/dg/quotas.html
WAITS_SECONDS = (1, 2, 4, 8, 16, 30)
MEANINGS = {
    "InvalidS3Configuration": "SES may not write to {place}: the bucket's policy, and its key's, should let"
    " ses.amazonaws.com, and the bucket should be in this region",
    "InvalidLambdaFunction": "SES may not call {function}: the function's policy should let ses.amazonaws.com",
    "LimitExceeded": "SES allows 200 rules in a set and 40 sets in a region",
    "AccessDenied": "the function's role lacks a permission",
}


class Refused(Exception):
    """It cannot be done as asked; the message is for the operator."""


@dataclass(frozen=True)
class Rule:
    """What to receive, and what becomes of it."""

    name: str
    rule_set: str
    recipient: str
    bucket: str
    prefix: str
    function: str

    @classmethod
    def read(cls, properties: dict[str, Any]) -> Self:
        """From the resource's properties. Raises Refused with everything that is wrong."""
        names = ("RuleName", "RuleSetName", "Recipient", "Bucket", "Prefix", "FunctionArn")
        name, rule_set, recipient, bucket, prefix, function = values = [properties.get(name, "") for name in names]
        wrong = [f"{key} should be a text" for key, value in zip(names, values, strict=True) if type(value) is not str]
        if not wrong:
            form = "should be 1 to 64 letters, digits, '_', '-' or '.', with a letter or digit at both ends"
            wrong += [f"{key} {form}" for key in names[:2] if not NAME.fullmatch(properties.get(key, ""))]
            if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", recipient):
                wrong.append("Recipient should be one address")
            wrong += [f"{key} should not be empty" for key in ("Bucket", "FunctionArn") if not properties.get(key)]
        if wrong:
            raise Refused(f"The properties are wrong: {'; '.join(wrong)}.")
        return cls(name, rule_set, recipient, bucket, prefix, function)

    def wanted(self) -> dict[str, Any]:
        """As SES takes it. The actions run in this order; the function is not waited for."""
        stored = {"BucketName": self.bucket} | ({"ObjectKeyPrefix": self.prefix} if self.prefix else {})
        called = {"FunctionArn": self.function, "InvocationType": "Event"}
        return {
            "Name": self.name,
            "Enabled": True,
            "TlsPolicy": "Require",
            "Recipients": [self.recipient],
            "Actions": [{"S3Action": stored}, {"LambdaAction": called}],
            "ScanEnabled": True,
        }

    def made(self, found: dict[str, Any]) -> bool:
        """Whether this found rule is ours."""
        stored = [action["S3Action"] for action in found.get("Actions", []) if "S3Action" in action]
        called = [action["LambdaAction"] for action in found.get("Actions", []) if "LambdaAction" in action]
        return found["Name"] == self.name and (
            any(one["BucketName"] == self.bucket and one.get("ObjectKeyPrefix", "") == self.prefix for one in stored)
            or any(one["FunctionArn"] == self.function for one in called)
        )


def mark(event: dict[str, Any]) -> str:
    """The resource's physical id: the same for ever, also when the rule gets another name."""
    origin = f"{event.get('StackId', 'by hand')}/{event.get('LogicalResourceId', '')}"
    return "hostemr-receipt-rule-" + hashlib.sha256(origin.encode()).hexdigest()[:20]


def log(message: str, **fields: Any) -> None:
    """One line of JSON. Never the event: its ResponseURL is a secret."""
    sys.stdout.write(json.dumps({"message": message, **fields}) + "\n")


def code_of(error: Exception) -> str:
    """SES's name of the error, if it answered with one."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def passing(error: BotoCoreError | ClientError) -> bool:
    """Whether it is worth trying again: throttled, no answer, permissions that are new."""
    if not isinstance(error, ClientError):
        return isinstance(error, (HTTPClientError, NoConnection))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or code_of(error) in THROTTLED | UNTRIED


class Receiving:
    """Follows one request."""

    def __init__(self, ses: Any, context: Any, sleep: Callable[[float], None] = time.sleep) -> None:
        self.ses, self.context, self.sleep = ses, context, sleep

    def handle(self, event: dict[str, Any]) -> dict[str, Any]:
        """The answer that CloudFormation got. Without a ResponseURL (by hand) raises what went wrong."""
        given = event.get("ResourceProperties", {})
        try:
            if event.get("RequestType") == "Delete":
                return self.answer(event, "SUCCESS", self.withdraw(given))
            rule = Rule.read(given)
            reason = self.ensure(rule, [rule, *self.before(event)])
        except Exception as error:
            if "ResponseURL" not in event:
                raise
            return self.answer(event, "FAILED", self.explain(error, given))
        return self.answer(event, "SUCCESS", reason)

    @staticmethod
    def before(event: dict[str, Any]) -> list[Rule]:
        """The rule as it was. Nothing was made of wrong properties, and the way back from them must not fail."""
        try:
            return [Rule.read(event["OldResourceProperties"])] if "OldResourceProperties" in event else []
        except Refused:
            return []

    def explain(self, error: Exception, given: dict[str, Any]) -> str:
        """What the operator should change."""
        code = code_of(error)
        if code == "InvalidAction":
            return (
                f"SES receives no mail in {self.ses.meta.region_name}. Deploy in a region where it does"
                " (https://docs.aws.amazon.com/ses/latest/dg/regions.html), or switch the forwarding of mail off."
            )
        names = {"place": f"s3://{given.get('Bucket')}/{given.get('Prefix', '')}", "function": given.get("FunctionArn")}
        meaning = MEANINGS.get(code, "").format_map(names)
        return f"{meaning[:1].upper()}{meaning[1:]} ({error})." if meaning else str(error) or type(error).__name__

    def ensure(self, rule: Rule, ours: list[Rule]) -> str:
        """Have the rule in the active set, first if it is new there, and nowhere else; one line on where it is."""
        for again in (True, True, False):
            try:
                where = self.place_in_active(rule, ours)
                self.remove(ours, but=(where, rule.name))
                for name in sorted({one.rule_set for one in ours} - {where}):
                    self.tidy(name)
            except ClientError as error:
                if not (again and code_of(error) in CHANGED):
                    raise
                log("changed meanwhile", error=str(error))
            else:
                return f"The rule {rule.name} is in the active rule set {where}."
        raise AssertionError

    def place_in_active(self, rule: Rule, ours: list[Rule]) -> str:
        """The name of the active set, which has the rule; one of our own if there was none."""
        active = self.active()
        if not active:
            if rule.rule_set not in self.sets():
                self.call("create_receipt_rule_set", RuleSetName=rule.rule_set)
            # The rule is there before mail can come, and somebody may have activated a set meanwhile.
            self.place(rule.rule_set, rule, ours)
            active = self.active()
            if not active:
                self.call("set_active_receipt_rule_set", RuleSetName=rule.rule_set)
                return rule.rule_set
        self.place(active, rule, ours)
        return active

    def place(self, rule_set: str, rule: Rule, ours: list[Rule]) -> None:
        """Have the rule in this set. Raises Refused if its name is taken by a rule that is not ours."""
        for found in self.rules(rule_set):
            if found["Name"] != rule.name:
                continue
            if not any(one.made(found) for one in ours):
                raise Refused(
                    f"The rule set {rule_set} has a rule {rule.name} already that is not of this deployment."
                    " Remove or rename it, or give this deployment another name."
                )
            if any(found.get(key) != value for key, value in rule.wanted().items()):
                self.call("update_receipt_rule", RuleSetName=rule_set, Rule=rule.wanted())
            return
        # Without `After`, SES puts it first.
        self.call("create_receipt_rule", RuleSetName=rule_set, Rule=rule.wanted())

    def remove(self, ours: list[Rule], but: tuple[str, str] | None = None) -> None:
        """Take our rule out of every set, but for this one of this set."""
        for rule_set in self.sets():
            for found in self.rules(rule_set):
                if (rule_set, found["Name"]) != but and any(one.made(found) for one in ours):
                    self.call("delete_receipt_rule", RuleSetName=rule_set, RuleName=found["Name"])

    def tidy(self, rule_set: str) -> None:
        """Delete a set of our own if it is empty, deactivated first where it is the active one."""
        if rule_set not in self.sets() or self.rules(rule_set):
            return
        if self.active() == rule_set:
            self.call("set_active_receipt_rule_set")
            if self.rules(rule_set):  # another deployment's rule came in between: deleting would take it along
                if not self.active():
                    self.call("set_active_receipt_rule_set", RuleSetName=rule_set)
                return
        self.call("delete_receipt_rule_set", RuleSetName=rule_set)

    def withdraw(self, given: dict[str, Any]) -> str:
        """Undo what was done, which may be nothing; one line on that."""
        try:
            rule = Rule.read(given)
            self.remove([rule])
            self.tidy(rule.rule_set)
        except Refused:
            return "Nothing was made of these properties, so nothing is deleted."
        except ClientError as error:
            if code_of(error) not in {"InvalidAction", "CannotDelete"}:
                raise
            return "Nothing to delete: SES receives no mail here, or others have taken the rule set over."
        return f"The rule {rule.name} is removed."

    def active(self) -> str:
        """The active set's name; empty if there is none."""
        return str(self.call("describe_active_receipt_rule_set").get("Metadata", {}).get("Name", ""))

    def sets(self) -> list[str]:
        """The names of all sets of the region."""
        names: list[str] = []
        more: dict[str, str] = {}
        while True:
            page = self.call("list_receipt_rule_sets", **more)
            names += [one["Name"] for one in page.get("RuleSets", [])]
            if not page.get("NextToken"):
                return names
            more = {"NextToken": page["NextToken"]}

    def rules(self, rule_set: str) -> Iterable[dict[str, Any]]:
        """The rules of a set, in order; none if the set is gone."""
        try:
            return list(self.call("describe_receipt_rule_set", RuleSetName=rule_set).get("Rules", []))
        except ClientError as error:
            if code_of(error) == "RuleSetDoesNotExist":
                return []
            raise

    def call(self, name: str, **parameters: Any) -> dict[str, Any]:
        """SES's answer, outlasting what passes. Raises the last error, early enough to answer CloudFormation."""
        for wait in (*WAITS_SECONDS, 0):
            try:
                return dict(getattr(self.ses, name)(**parameters))
            except (BotoCoreError, ClientError) as error:
                late = self.context.get_remaining_time_in_millis() < (MARGIN_SECONDS + wait) * 1000
                if late or not (wait and passing(error)):
                    raise
                log("tried in vain", call=name, error=str(error))
            self.sleep(wait)
        raise AssertionError

    def answer(self, event: dict[str, Any], status: str, reason: str) -> dict[str, Any]:
        """Tell CloudFormation, if it asked. Raises the last error if it does not listen: Lambda then tries again."""
        # At most 4096 bytes in all; JSON at worst doubles a printable text.
        line = " ".join(reason.split()).encode()[:1200].decode(errors="ignore")
        answer = {
            "Status": status,
            "Reason": line,
            "PhysicalResourceId": event.get("PhysicalResourceId") or mark(event),
        }
        log("answers", status=status, reason=line)
        if "ResponseURL" not in event:
            return answer
        answer |= {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
        body = json.dumps(answer, ensure_ascii=False).encode()
        # S3 signed the URL for an empty Content-Type. A second PUT of the same answer changes nothing.
        headers = {"Content-Type": "", "Content-Length": str(len(body))}
        for wait in (1, 2, 4, 8, 0):
            call = urllib.request.Request(event["ResponseURL"], body, headers, method="PUT")  # noqa: S310  # CloudFormation's
            try:
                with urllib.request.urlopen(call, timeout=5):  # noqa: S310  # CloudFormation's own URL
                    return answer
            except (OSError, http.client.HTTPException) as error:
                refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
                log("not answered", status=getattr(error, "code", None), error=type(error).__name__)
                if refused or not wait:
                    raise
            self.sleep(wait)
        return answer


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry."""
    config = Config(retries={"mode": "standard", "max_attempts": 2}, connect_timeout=5, read_timeout=20)
    return Receiving(boto3.client("ses", config=config), context).handle(event)
