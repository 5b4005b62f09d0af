"""Behind `Custom::HostedZone`: the one public zone of a name, or a reason that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from hostemr.stacks.functions.find_hosted_zone.handler import NoZone, Search, handler
from tests.stacks.functions.fake_aws import Answers, Clock, Context, Killed, no_answer, refusal, response_url
from tests.stacks.functions.fake_mail import FakeRoute53, zone

STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/openemr-service/1b2c"


@pytest.fixture
def answers() -> Iterator[Answers]:
    with response_url() as url:
        yield url


def request(answers: Answers, kind: str = "Create", domain: Any = "clinic.example") -> dict[str, Any]:
    event = {
        "RequestType": kind,
        "ResponseURL": answers.url,
        "StackId": STACK,
        "RequestId": "00000000-0000-0000-0000-000000000001",
        "LogicalResourceId": "HostedZone",
        "ResourceProperties": {"ServiceToken": "arn:aws:lambda:::function:find", "Domain": domain},
    }
    return event if kind == "Create" else event | {"PhysicalResourceId": "ZOLD"}


def asked(answers: Answers, route53: FakeRoute53, kind: str = "Create", domain: Any = "clinic.example") -> Any:
    Search(route53, Clock().sleep).handle(request(answers, kind, domain))
    return answers.taken[-1]


@pytest.mark.parametrize("given", ["clinic.example", "clinic.example.", "CLINIC.Example"])
@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_the_zones_id_is_attribute_and_physical_id(answers: Answers, given: str, kind: str) -> None:
    route53 = FakeRoute53(zone("clinic.example.", "Z1"), zone("a.clinic.example.", "Z2"), zone("example.", "Z3"))
    answer = asked(answers, route53, kind, given)
    assert (answer["Status"], answer["PhysicalResourceId"], answer["Data"]) == ("SUCCESS", "Z1", {"Id": "Z1"})
    assert (answer["StackId"], answer["LogicalResourceId"]) == (STACK, "HostedZone")


def test_a_private_zone_beside_the_public_one_is_passed_over(answers: Answers) -> None:
    private = [zone("clinic.example.", f"Z{number}", private=True) for number in range(1, 6)]
    route53 = FakeRoute53(*private, zone("clinic.example.", "Z9"), page=2)
    assert asked(answers, route53)["Data"] == {"Id": "Z9"}
    assert len(route53.calls) == 3


def test_pages_behind_the_name_are_not_asked_for(answers: Answers) -> None:
    others = [zone(f"x{number}.clinic.example.", f"ZX{number}") for number in range(50)]
    route53 = FakeRoute53(zone("clinic.example.", "Z1"), *others, page=10)
    assert asked(answers, route53)["Status"] == "SUCCESS"
    assert len(route53.calls) == 1


@pytest.mark.parametrize(
    ("zones", "reason"),
    [
        ([], "no hosted zone of the name clinic.example"),
        ([zone("example.", "Z1"), zone("clinic.example.org.", "Z2")], "no hosted zone of the name"),
        ([zone("clinic-a.example.", "Z1"), zone("a.clinic.example.", "Z2")], "no hosted zone of the name"),
        ([zone("clinic.example.", "Z1", private=True)], "only private hosted zones of the name"),
        ([zone("clinic.example.", "Z2"), zone("clinic.example.", "Z1")], "2 public hosted zones of the name"),
    ],
)
def test_no_single_public_zone_fails_and_says_what_to_set(
    answers: Answers, zones: list[dict[str, Any]], reason: str
) -> None:
    answer = asked(answers, FakeRoute53(*zones, page=1))
    assert answer["Status"] == "FAILED"
    assert reason in answer["Reason"]
    assert "hosted_zone_id" in answer["Reason"]
    assert answer["PhysicalResourceId"]


def test_several_public_zones_are_named(answers: Answers) -> None:
    answer = asked(answers, FakeRoute53(zone("clinic.example.", "Z2"), zone("clinic.example.", "Z1"), page=1))
    assert "Z1, Z2" in answer["Reason"]


def test_escaped_names_are_compared_as_written(answers: Answers) -> None:
    # Route 53 may write any character as a backslash and three octal digits; 137 is "_".
    route53 = FakeRoute53(zone("my\\137zone.example.", "Z1"))
    route53._key = lambda told: (told["Name"].replace("\\137", "_"), "")  # type: ignore[method-assign]
    assert asked(answers, route53, domain="my_zone.example")["Data"] == {"Id": "Z1"}
    assert asked(answers, route53, domain="my_other.example")["Status"] == "FAILED"


@pytest.mark.parametrize(
    "domain", [None, "", ".", "localhost", ["clinic.example"], "a..b", "klinik-ä.example", "a b.c"]
)
def test_what_is_no_domain_is_refused_before_anything_is_asked(answers: Answers, domain: Any) -> None:
    route53 = FakeRoute53(zone("clinic.example.", "Z1"))
    answer = asked(answers, route53, domain=domain)
    assert answer["Status"] == "FAILED"
    assert "Domain is" in answer["Reason"]
    assert route53.calls == []


def test_deleting_asks_nothing_and_keeps_the_id(answers: Answers) -> None:
    route53 = FakeRoute53()
    answer = asked(answers, route53, "Delete")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "ZOLD")
    assert route53.calls == []


def test_a_failed_update_keeps_the_id(answers: Answers) -> None:
    assert asked(answers, FakeRoute53(), "Update")["PhysicalResourceId"] == "ZOLD"


@pytest.mark.parametrize("error", [refusal("ThrottlingException"), refusal("ServerException"), no_answer()])
def test_a_passing_error_is_outlasted(answers: Answers, error: Exception) -> None:
    route53 = FakeRoute53(zone("clinic.example.", "Z1"))
    route53.errors["list_hosted_zones_by_name"] = [error] * 5
    assert asked(answers, route53)["Data"] == {"Id": "Z1"}


def test_an_outage_fails_after_a_minute(answers: Answers) -> None:
    route53, clock = FakeRoute53(), Clock()
    route53.errors["list_hosted_zones_by_name"] = [no_answer()] * 99
    Search(route53, clock.sleep).handle(request(answers))
    assert answers.taken[0]["Status"] == "FAILED"
    assert sum(clock.slept) == 61


def test_a_refusal_is_told_at_once(answers: Answers) -> None:
    route53 = FakeRoute53()
    route53.errors["list_hosted_zones_by_name"] = [refusal("AccessDenied")]
    answer = asked(answers, route53)
    assert "AccessDenied" in answer["Reason"]
    assert len(route53.calls) == 1


def test_an_answer_is_sent_again_until_it_is_taken_and_never_twice(answers: Answers) -> None:
    answers.statuses = [500, 0, 503]
    asked(answers, FakeRoute53(zone("clinic.example.", "Z1")))
    assert (answers.tried, len(answers.taken)) == (4, 1)
    assert answers.headers[0]["Content-Type"] == ""


def test_killed_and_called_again_it_answers_the_same(answers: Answers) -> None:
    route53 = FakeRoute53(zone("clinic.example.", "Z1"))
    route53.errors["list_hosted_zones_by_name"] = [Killed()]
    with pytest.raises(Killed):
        Search(route53).handle(request(answers))
    assert answers.taken == []
    assert asked(answers, route53) == asked(answers, route53)


def test_the_signed_url_is_not_logged(answers: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    answers.statuses = [403]
    with pytest.raises(OSError, match="403"):
        asked(answers, FakeRoute53())
    assert "signature" not in "".join(capsys.readouterr())


def test_by_hand_it_raises() -> None:
    with pytest.raises(NoZone, match="no hosted zone"):
        Search(FakeRoute53()).handle({"ResourceProperties": {"Domain": "clinic.example"}})


@mock_aws
def test_the_entry_asks_route_53(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("route53")
    made = client.create_hosted_zone(Name="clinic.example", CallerReference="1")["HostedZone"]["Id"]
    handler(request(answers) | {"ResponseURL": answers.url}, Context(Clock()))
    assert "/hostedzone/" + answers.taken[0]["Data"]["Id"] == made
