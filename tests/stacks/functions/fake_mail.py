"""Fakes of Route 53, SES and S3 for the handlers of domain and mail. Each call must fit botocore's model."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from tests.stacks.functions.fake_aws import Fake, _check, refusal


def zone(name: str, number: str, *, private: bool = False) -> dict[str, Any]:
    """As Route 53 tells it."""
    return {
        "Id": f"/hostedzone/{number}",
        "Name": name,
        "CallerReference": number,
        "Config": {"PrivateZone": private},
        "ResourceRecordSetCount": 2,
    }


class FakeRoute53(Fake):
    """Sorts zones as Route 53 does, by their labels in reverse, and gives `page` of them at a time."""

    service = "route53"

    def __init__(self, *zones: dict[str, Any], page: int = 100) -> None:
        super().__init__()
        self.zones, self.page = sorted(zones, key=self._key), page

    @staticmethod
    def _key(told: dict[str, Any]) -> tuple[str, str]:
        labels = told["Name"].rstrip(".").split(".")
        return ".".join(reversed(labels)) + ".", told["Id"].rsplit("/", 1)[-1]

    def list_hosted_zones_by_name(self, **parameters: Any) -> dict[str, Any]:
        model = self._call("list_hosted_zones_by_name", "ListHostedZonesByName", parameters)
        start = self._key({"Name": parameters["DNSName"], "Id": parameters.get("HostedZoneId", "")})
        after = [one for one in self.zones if self._key(one) >= start]
        answer: dict[str, Any] = {"HostedZones": after[: self.page], "IsTruncated": False, "MaxItems": str(self.page)}
        if len(after) > self.page:
            following = after[self.page]
            number = following["Id"].rsplit("/", 1)[-1]
            answer |= {"IsTruncated": True, "NextDNSName": following["Name"], "NextHostedZoneId": number}
        _check(model.output_shape, answer)
        return answer


class FakeReceiving(Fake):
    """SES's sets of receipt rules."""

    service = "ses"
    meta = SimpleNamespace(region_name="eu-central-1")

    def __init__(self, **sets: list[dict[str, Any]]) -> None:
        super().__init__()
        self.sets = dict(sets)
        self.active = ""
        self.page = 2

    def create_receipt_rule_set(self, **parameters: Any) -> dict[str, Any]:
        self._call("create_receipt_rule_set", "CreateReceiptRuleSet", parameters)
        if parameters["RuleSetName"] in self.sets:
            raise refusal("AlreadyExists")
        self.sets[parameters["RuleSetName"]] = []
        return {}

    def describe_active_receipt_rule_set(self, **parameters: Any) -> dict[str, Any]:
        model = self._call("describe_active_receipt_rule_set", "DescribeActiveReceiptRuleSet", parameters)
        answer = {"Metadata": {"Name": self.active}, "Rules": self.sets[self.active]} if self.active else {}
        _check(model.output_shape, answer)
        return answer

    def describe_receipt_rule_set(self, **parameters: Any) -> dict[str, Any]:
        model = self._call("describe_receipt_rule_set", "DescribeReceiptRuleSet", parameters)
        answer = {"Metadata": {"Name": parameters["RuleSetName"]}, "Rules": list(self._rules(parameters))}
        _check(model.output_shape, answer)
        return answer

    def list_receipt_rule_sets(self, **parameters: Any) -> dict[str, Any]:
        model = self._call("list_receipt_rule_sets", "ListReceiptRuleSets", parameters)
        start = int(parameters.get("NextToken", "0"))
        names = sorted(self.sets)
        answer: dict[str, Any] = {"RuleSets": [{"Name": name} for name in names[start : start + self.page]]}
        if len(names) > start + self.page:
            answer["NextToken"] = str(start + self.page)
        _check(model.output_shape, answer)
        return answer

    def set_active_receipt_rule_set(self, **parameters: Any) -> dict[str, Any]:
        self._call("set_active_receipt_rule_set", "SetActiveReceiptRuleSet", parameters)
        if "RuleSetName" in parameters:
            self._rules(parameters)
        self.active = parameters.get("RuleSetName", "")
        return {}

    def delete_receipt_rule_set(self, **parameters: Any) -> dict[str, Any]:
        self._call("delete_receipt_rule_set", "DeleteReceiptRuleSet", parameters)
        if parameters["RuleSetName"] == self.active:
            raise refusal("CannotDelete")
        self.sets.pop(parameters["RuleSetName"], None)
        return {}

    def create_receipt_rule(self, **parameters: Any) -> dict[str, Any]:
        self._call("create_receipt_rule", "CreateReceiptRule", parameters)
        rules = self._rules(parameters)
        assert "After" not in parameters
        if any(rule["Name"] == parameters["Rule"]["Name"] for rule in rules):
            raise refusal("AlreadyExists")
        rules.insert(0, parameters["Rule"])
        return {}

    def update_receipt_rule(self, **parameters: Any) -> dict[str, Any]:
        self._call("update_receipt_rule", "UpdateReceiptRule", parameters)
        rules = self._rules(parameters)
        places = [n for n, rule in enumerate(rules) if rule["Name"] == parameters["Rule"]["Name"]]
        if not places:
            raise refusal("RuleDoesNotExist")
        rules[places[0]] = parameters["Rule"]
        return {}

    def delete_receipt_rule(self, **parameters: Any) -> dict[str, Any]:
        self._call("delete_receipt_rule", "DeleteReceiptRule", parameters)
        rules = self._rules(parameters)
        rules[:] = [rule for rule in rules if rule["Name"] != parameters["RuleName"]]
        return {}

    def _rules(self, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        if parameters["RuleSetName"] not in self.sets:
            raise refusal("RuleSetDoesNotExist")
        return self.sets[parameters["RuleSetName"]]


class FakeSending(Fake):
    """SES's sending: keeps what it took, as destinations and bytes."""

    service = "sesv2"

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[list[str], bytes]] = []

    def send_email(self, **parameters: Any) -> dict[str, Any]:
        model = self._call("send_email", "SendEmail", parameters)
        self.taken.append((parameters["Destination"]["ToAddresses"], parameters["Content"]["Raw"]["Data"]))
        answer = {"MessageId": f"sent-{len(self.taken)}"}
        _check(model.output_shape, answer)
        return answer


class FakeArchive(Fake):
    """S3 with archived mails and their tags. `sizes` has S3 tell another size than there is."""

    service = "s3"

    def __init__(self, **mails: bytes) -> None:
        super().__init__()
        self.mails = {f"mail/{name}": raw for name, raw in mails.items()}
        self.sizes: dict[str, int] = {}
        self.tags: dict[str, list[dict[str, str]]] = {}

    def get_object(self, **parameters: Any) -> dict[str, Any]:
        self._call("get_object", "GetObject", parameters)
        raw = self._found(parameters)
        return {"ContentLength": self.sizes.get(parameters["Key"], len(raw)), "Body": io.BytesIO(raw)}

    def get_object_tagging(self, **parameters: Any) -> dict[str, Any]:
        model = self._call("get_object_tagging", "GetObjectTagging", parameters)
        self._found(parameters)
        answer = {"TagSet": list(self.tags.get(parameters["Key"], []))}
        _check(model.output_shape, answer)
        return answer

    def put_object_tagging(self, **parameters: Any) -> dict[str, Any]:
        self._call("put_object_tagging", "PutObjectTagging", parameters)
        self._found(parameters)
        tags = parameters["Tagging"]["TagSet"]
        assert len({tag["Key"] for tag in tags}) == len(tags) <= 10
        self.tags[parameters["Key"]] = tags
        return {}

    def _found(self, parameters: dict[str, Any]) -> bytes:
        if parameters["Key"] not in self.mails:
            raise refusal("NoSuchKey")
        return self.mails[parameters["Key"]]


def rejection(code: str, message: str = "told by the test", status: int = 400) -> ClientError:
    """What boto3 raises, with this HTTP status."""
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "SendEmail")
