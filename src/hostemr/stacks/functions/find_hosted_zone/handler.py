"""Tells CloudFormation the id of the account's one public hosted zone of a domain.

The custom resource `Custom::HostedZone` has the property `Domain` and the attribute `Id`, which is its
physical id too. Nothing is made and nothing is changed, so a Delete has nothing to do, and the same event
twice gives the same answer. A zone for a parent of the domain is not taken: who names a domain means it.
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
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"}
WAITS_SECONDS = (1, 2, 4, 8, 16, 30)  # Route 53 answers five calls a second for the whole account


class NoZone(Exception):
    """There is not exactly one public zone of that name; the message is for the operator."""


def log(message: str, **fields: Any) -> None:
    """One line of JSON. Never the event: its ResponseURL is a secret."""
    sys.stdout.write(json.dumps({"message": message, **fields}) + "\n")


def plain(name: str) -> str:
    """A zone's name as people write it: Route 53 ends it with a dot, and writes odd characters in octal."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), name).lower().removesuffix(".")


def mark(event: dict[str, Any]) -> str:
    """The physical id of what was never found."""
    origin = f"{event.get('StackId', '')}/{event.get('LogicalResourceId', '')}"
    return "hostemr-no-zone-" + hashlib.sha256(origin.encode()).hexdigest()[:20]


def passing(error: BotoCoreError | ClientError) -> bool:
    """Whether it is worth trying again: throttled, no answer."""
    if not isinstance(error, ClientError):
        return isinstance(error, (HTTPClientError, NoConnection))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or error.response["Error"]["Code"] in THROTTLED


class Search:
    """Answers one request."""

    def __init__(self, route53: Any, sleep: Callable[[float], None] = time.sleep) -> None:
        self.route53, self.sleep = route53, sleep

    def handle(self, event: dict[str, Any]) -> dict[str, Any]:
        """The answer that CloudFormation got. Without a ResponseURL (by hand) raises what went wrong."""
        physical = event.get("PhysicalResourceId") or mark(event)
        if event.get("RequestType") == "Delete":
            return self.answer(event, "SUCCESS", "Nothing was made, so nothing is deleted.", physical)
        try:
            zone = self.find(event.get("ResourceProperties", {}).get("Domain"))
        except Exception as error:
            if "ResponseURL" not in event:
                raise
            return self.answer(event, "FAILED", str(error) or type(error).__name__, physical)
        return self.answer(event, "SUCCESS", f"The hosted zone is {zone}.", zone, Id=zone)

    def find(self, given: Any) -> str:
        """The id, without `/hostedzone/`. Raises NoZone, and BotoCoreError or ClientError when Route 53 fails."""
        domain = given.lower().removesuffix(".") if isinstance(given, str) else ""
        if not DOMAIN.fullmatch(domain):
            raise NoZone(f"Domain is {given!r}; it should be a name such as clinic.example, or xn--... for others.")
        zones = self.named(domain)
        public = [zone["Id"].rsplit("/", 1)[-1] for zone in zones if not zone.get("Config", {}).get("PrivateZone")]
        if len(public) == 1:
            return str(public[0])
        if public:
            raise NoZone(
                f"This account has {len(public)} public hosted zones of the name {domain}: {', '.join(sorted(public))}."
                " Set hosted_zone_id to the one that the domain's registrar delegates to."
            )
        what = "only private hosted zones" if zones else "no hosted zone"
        raise NoZone(
            f"This account has {what} of the name {domain}. Create a public one and delegate the domain to it,"
            " or set hosted_zone_id to the zone that should hold its records."
        )

    def named(self, domain: str) -> list[dict[str, Any]]:
        """All zones of exactly this name.

        Route 53 sorts by the labels in reverse, so those of one name follow each other, and begin where asked:
        https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListHostedZonesByName.html
        """
        found: list[dict[str, Any]] = []
        start = {"DNSName": domain + "."}
        while True:
            page = self.ask(start)
            found += [zone for zone in page["HostedZones"] if plain(zone["Name"]) == domain]
            if not page.get("IsTruncated") or plain(page.get("NextDNSName", "")) != domain:
                return found
            start = {"DNSName": page["NextDNSName"], "HostedZoneId": page["NextHostedZoneId"]}

    def ask(self, start: dict[str, str]) -> dict[str, Any]:
        """One page. Raises the last error when Route 53 does not answer for a minute."""
        for wait in (*WAITS_SECONDS, 0):
            try:
                return dict(self.route53.list_hosted_zones_by_name(**start))
            except (BotoCoreError, ClientError) as error:
                if not (wait and passing(error)):
                    raise
                log("tried in vain", error=str(error))
            self.sleep(wait)
        raise AssertionError

    def answer(self, event: dict[str, Any], status: str, reason: str, physical: str, **data: str) -> dict[str, Any]:
        """Tell CloudFormation, if it asked. Raises the last error if it does not listen: Lambda then tries again."""
        # At most 4096 bytes in all; JSON at worst doubles a printable text.
        line = " ".join(reason.split()).encode()[:1200].decode(errors="ignore")
        answer = {"Status": status, "Reason": line, "PhysicalResourceId": physical, "Data": data}
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


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda gives both
    """Lambda's entry."""
    config = Config(retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=20)
    return Search(boto3.client("route53", config=config)).handle(event)
