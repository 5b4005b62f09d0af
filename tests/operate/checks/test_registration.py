"""The checks on the registration service's own templates: quiet as they are, and not when something is taken away."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hostemr.operate.checks.registry import BY_ID
from hostemr.operate.checks.templates import Templates
from hostemr.operate.template import load_template
from tests.operate.planned import planned

Stacks = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """Somebody hears the alarms, so that nothing is to be said at all."""
    made = planned("registration", "--set", "monitoring_email=board@example.org")
    folder = made.unfold(tmp_path_factory.mktemp("plan")) / "registration"
    files = sorted(folder.glob("*.template.json"))
    return {path.name.removesuffix(".template.json"): dict(load_template(path)) for path in files}


def found(stacks: Stacks) -> set[str]:
    """The checks that find more than a note, by their short names."""
    read = Templates(stacks)
    return {
        identity.removeprefix("HOSTEMR-")
        for identity, check in BY_ID.items()
        for one in check.find(read)
        if (one.severity or check.severity) != "note"
    }


def of(stacks: Stacks, type_name: str) -> Iterator[dict[str, Any]]:
    return (one for stack in stacks.values() for one in stack["Resources"].values() if one["Type"] == type_name)


def test_they_find_nothing_in_it_as_it_is(stacks: Stacks) -> None:
    assert len(stacks) == 3
    assert found(stacks) == set()


def _without(stacks: Stacks, type_name: str) -> None:
    for stack in stacks.values():
        for name in [name for name, one in stack["Resources"].items() if one["Type"] == type_name]:
            del stack["Resources"][name]


def _changed(type_name: str, **properties: Any) -> Callable[[Stacks], None]:
    def change(stacks: Stacks) -> None:
        for one in of(stacks, type_name):
            one["Properties"] |= properties

    return change


def _let_go(stacks: Stacks) -> None:
    for one in of(stacks, "AWS::RDS::DBInstance"):
        one["DeletionPolicy"] = one["UpdateReplacePolicy"] = "Delete"


def _open_to_all(stacks: Stacks) -> None:
    for one in of(stacks, "AWS::EC2::SecurityGroupIngress"):
        if str(one["Properties"].get("FromPort")) == "3306":
            del one["Properties"]["SourceSecurityGroupId"]
            one["Properties"]["CidrIp"] = "0.0.0.0/0"


@pytest.mark.parametrize(
    ("break_it", "check"),
    [
        (lambda stacks: _without(stacks, "AWS::Backup::BackupSelection"), "BackupSelection"),
        (_changed("AWS::RDS::DBInstance", BackupRetentionPeriod=1), "DatabaseRetention"),
        (_changed("AWS::RDS::DBInstance", StorageEncrypted=False), "EncryptedAtRest"),
        (_changed("AWS::RDS::DBInstance", DeletionProtection=False), "DeletionProtection"),
        (_changed("AWS::RDS::DBInstance", ManageMasterUserPassword=False, MasterUserPassword="x1!"), "PlainSecret"),
        (_let_go, "StatefulRetained"),
        (_open_to_all, "IngressOpen"),
        (_changed("AWS::ElasticLoadBalancingV2::Listener", Protocol="HTTP", Certificates=[]), "ListenerTls"),
        (_changed("AWS::ElasticLoadBalancingV2::TargetGroup", Protocol="HTTP"), "TargetTls"),
        (_changed("AWS::CloudWatch::Alarm", Namespace="AWS/RDS", MetricName="CpuUse"), "AlarmMetric"),
    ],
)
def test_what_is_taken_away_or_opened_is_found(stacks: Stacks, break_it: Callable[[Stacks], None], check: str) -> None:
    broken = copy.deepcopy(stacks)
    break_it(broken)
    assert broken != stacks, "the change met something"
    assert check in found(broken)
