"""The registration service's parts, and its original, each with its price."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hostemr.deployment.registration_rows import INSTANCE_CLASSES
from hostemr.operate.price import Bill, price
from hostemr.operate.prices.components import by_component, component
from hostemr.operate.prices.offer_filters import filter_of
from hostemr.operate.prices.rows.all import TABLE
from hostemr.operate.prices.scenarios import REGISTRIES
from hostemr.operate.template import load_template
from tests.operate.planned import planned
from tests.operate.prices.original import ORIGINAL, as_markdown, bills
from tests.operate.templates import att, ref, resource, sub, template

GUIDE = Path(__file__).parents[3] / "docs/025_registration_on_aws.md"


def _bill(assumed: dict[str, str] | None = None, **parts: Any) -> Bill:
    return price({"t": template(parts)}, assumed=assumed)


def _database(**properties: Any) -> dict[str, Any]:
    given = {
        "Engine": "mysql", "DBInstanceClass": "db.t4g.micro", "MultiAZ": True, "StorageType": "gp3",
        "AllocatedStorage": "20", "BackupRetentionPeriod": 35, **properties,
    }  # fmt: skip
    return resource("AWS::RDS::DBInstance", **given)


def _amounts(bill: Bill) -> dict[str, str]:
    return {f"{line.resource}: {line.what}": str(line.monthly) for line in bill.lines}


@pytest.mark.parametrize("kind", INSTANCE_CLASSES)
def test_every_instance_class_that_can_be_set_has_a_price_in_one_zone_and_in_two(kind: str) -> None:
    for key in (f"rds.{kind}", f"rds.{kind}.multi"):
        assert TABLE.price(key, "us-east-1") is not None, key
        assert filter_of(key) is not None, key
    one, two = (_bill(Database=_database(DBInstanceClass=kind, MultiAZ=on)).total() for on in (False, True))
    assert one < two <= one * 2 + Decimal("0.73"), "a standby costs about as much again"


def test_an_instance_in_two_zones_costs_its_class_and_its_storage() -> None:
    assert _amounts(_bill(Database=_database())) == {
        "Database: mysql db.t4g.micro in two zones": "23.36",
        "Database: storage, gp3, in two zones": "4.60",
    }


def test_metrics_of_the_system_are_logs() -> None:
    bill = _bill(Database=_database(MonitoringInterval=60))
    assert _amounts(bill)["Database: metrics of its system"] == "0.05"


def _backed_up(*days: int, copies: int = 0) -> dict[str, Any]:
    rules = [
        {
            "RuleName": f"for{keep}",
            "ScheduleExpression": "cron(0 5 * * ? *)",
            "Lifecycle": {"DeleteAfterDays": keep},
            "CopyActions": [{"DestinationBackupVaultArn": "arn:aws:backup:us-west-2:111122223333:vault:x"}] * copies,
        }
        for keep in days
    ]
    selected = sub("arn:aws:rds:${AWS::Region}:${AWS::AccountId}:db:${Database}")
    return {
        "Database": _database(),
        "Plan": resource("AWS::Backup::BackupPlan", BackupPlan={"BackupPlanRule": rules}),
        "Selection": resource(
            "AWS::Backup::BackupSelection", BackupPlanId=ref("Plan"), BackupSelection={"Resources": [selected]}
        ),
    }


def test_backups_of_an_instance_are_free_up_to_its_size() -> None:
    used = {"database_storage_gb": "4", "database_daily_change_percent": "1"}
    assert (
        _amounts(_bill(used, **_backed_up(35, 365)))["Plan: snapshots of Database of up to 365 days, beyond its size"]
        == "0.00"
    )
    # 18 GB, and a tenth of them a day: 81 GB within 35 days, of which 20 are free; 675 GB within a year.
    much = {"database_storage_gb": "18", "database_daily_change_percent": "10"}
    amounts = _amounts(_bill(much, **_backed_up(35, 365)))
    assert amounts["Database: backups of 35 days beyond its size"] == "5.80"
    assert amounts["Plan: snapshots of Database of up to 365 days, beyond its size"] == "56.43"


def test_copies_in_another_region_are_charged_from_the_first_byte() -> None:
    amounts = _amounts(_bill({"database_storage_gb": "10"}, **_backed_up(100, copies=1)))
    assert amounts["Plan: copied snapshots of Database"] == "1.90"
    assert amounts["Plan: copies of Database sent to another region"] == "0.06"


def test_a_restore_test_pays_for_the_instance_that_it_makes() -> None:
    tests = {
        "Tests": resource("AWS::Backup::RestoreTestingPlan", ScheduleExpression="cron(0 6 1 * ? *)"),
        "Tested": resource(
            "AWS::Backup::RestoreTestingSelection",
            RestoreTestingPlanName=ref("Tests"),
            ValidationWindowHours=4,
            ProtectedResourceArns=[att("Database", "DBInstanceArn")],
        ),
    }
    amounts = _amounts(_bill(Database=_database(), **tests))
    assert amounts["Tested: tests of Database"] == "1.50"
    assert amounts["Tested: restored copy of Database, 4 h each: db.t4g.micro"] == "0.06"
    assert amounts["Tested: restored copy of Database, 4 h each: storage"] == "0.01"


def _service(public: str = "DISABLED", image: Any = "example.org/registration") -> dict[str, Any]:
    return {
        "Task": resource(
            "AWS::ECS::TaskDefinition", Cpu="512", Memory="1024", ContainerDefinitions=[{"Name": "web", "Image": image}]
        ),
        "Service": resource(
            "AWS::ECS::Service",
            LaunchType="FARGATE",
            DesiredCount=2,
            TaskDefinition=ref("Task"),
            NetworkConfiguration={"AwsvpcConfiguration": {"AssignPublicIp": public}},
        ),
    }


def test_tasks_with_public_addresses_pay_for_them() -> None:
    more = _bill(**_service("ENABLED")).total() - _bill(**_service()).total()
    assert more == Decimal("7.30")


def test_an_image_that_the_cdk_builds_is_kept_in_a_registry() -> None:
    built = sub("${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/cdk-x-container-assets-${AWS::AccountId}:abc")
    assert _amounts(_bill(**_service(image=built)))["Service: image kept in the CDK's registry"] == "0.20"
    assert not any("registry" in what for what in _amounts(_bill(**_service())))


def test_reports_of_mails_are_published_and_delivered() -> None:
    destination = {"Enabled": True, "SnsDestination": {"TopicARN": ref("Events")}, "MatchingEventTypes": ["bounce"]}
    parts = {
        "Events": resource("AWS::SNS::Topic"),
        "Reports": resource("AWS::SES::ConfigurationSetEventDestination", EventDestination=destination),
        "Webhook": resource("AWS::SNS::Subscription", TopicArn=ref("Events"), Protocol="https"),
        "Dead": resource("AWS::SQS::Queue"),
    }
    million = {"mail_events": "1000000", "https_notifications": "1000000", "queue_requests": "1000000"}
    bill = _bill(million, **parts)
    assert _amounts(bill) == {
        "Reports: reports published to a topic": "0.50",
        "Webhook: delivered by HTTPS": "0.60",
        "Dead: requests": "0.40",
    }
    assert {component(line) for line in bill.lines} == {"mail"}
    assert not bill.not_priced


def test_a_subscription_to_a_topic_of_another_stack_is_priced_too() -> None:
    bill = _bill(Webhook=resource("AWS::SNS::Subscription", TopicArn=sub("arn:aws:sns:x"), Protocol="https"))
    assert [line.price.key for line in bill.lines] == ["sns.https"]


def test_mails_by_their_number_and_attachments_by_their_size() -> None:
    identity = resource("AWS::SES::EmailIdentity", EmailIdentity="example.org")
    assert _amounts(_bill({"mails_sent": "400000"}, Identity=identity)) == {"Identity: mails sent": "40.00"}
    assert _amounts(_bill({"mail_attachments_gb": "10"}, Identity=identity))["Identity: attachments sent"] == "1.20"


def test_a_classic_load_balancer_is_paid_by_the_hour_and_by_what_it_carries() -> None:
    balancer = resource("AWS::ElasticLoadBalancing::LoadBalancer", AvailabilityZones=["a", "b"], Listeners=[])
    assert _amounts(_bill({"traffic_out_gb": "100"}, Balancer=balancer)) == {
        "Balancer: classic load balancer": "18.25",
        "Balancer: traffic through it": "0.80",
        "Balancer: traffic to the internet": "9.00",
        "Balancer: public IPv4 addresses in 2 zones": "7.30",
    }


def test_nothing_of_the_original_is_without_a_price() -> None:
    bill = price({"original": load_template(ORIGINAL)})
    assert not bill.not_priced
    priced = {line.resource: line.price.key for line in bill.lines}
    assert priced.keys() == {"Database", "Servers", "LoadBalancer", "Sender", "BusyAlarm", "QuietAlarm"}
    sizes = {line.price.key for line in bill.lines}
    assert sizes >= {"rds.db.t2.micro.multi", "rds.gp2.multi", "ec2.t2.micro", "clb.hour"}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Our own templates, at their defaults."""
    folder = planned("registration").unfold(tmp_path_factory.mktemp("plan")) / "registration"
    return {path.name: load_template(path) for path in sorted(folder.glob("*.template.json"))}


def test_nothing_of_ours_is_without_a_price(ours: dict[str, Any]) -> None:
    bill = price(ours)
    assert not bill.not_priced
    told = {(line.template, line.resource) for line in bill.lines}
    told |= {(note.template, note.resource) for note in (*bill.free, *bill.not_created)}
    assert told == {(name, key) for name, one in ours.items() for key in one["Resources"]}
    keys = {line.price.key for line in bill.lines}
    assert keys >= {"rds.db.t4g.micro.multi", "rds.gp3.multi", "ipv4", "ecr.storage", "sns.https", "sqs.requests"}


def test_what_ours_costs_more_than_the_original_is_what_the_original_lacks(ours: dict[str, Any]) -> None:
    """Firewall, keys and secrets, alarms and logs, tested backups; what both have costs about the same."""
    found = bills(ours)
    parts = {name: {one.name: one.monthly for one in by_component(bill)} for name, bill in found.items()}
    mine, original = parts["ours, idle"], parts["original, idle"]
    assert {"firewall", "keys and secrets", "backups"} <= mine.keys() - original.keys()
    for part in ("database", "network"):
        assert abs(mine[part] - original[part]) < 5
    for use in REGISTRIES:
        assert found[f"ours, {use}"].total() > found[f"original, {use}"].total()


def test_the_guide_shows_what_ours_and_the_original_cost(ours: dict[str, Any]) -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    for line in as_markdown(ours):
        assert line in guide
