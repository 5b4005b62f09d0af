"""What a change of one setting does to a deployment that exists: by CloudFormation's own schemas, no harm."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.operate.changes import Change, Kind, compare, harm
from hostemr.operate.schemas import schema_of
from hostemr.operate.stacks import export_conflicts
from hostemr.stacks.evidence import Templates
from tests.stacks.configurations import APPLICATIONS, CERTIFICATE, SAMPLES, flips, single
from tests.stacks.synthesis import Synthesized, synthesize

# What is asked for explicitly, by the setting's own name, and so is no harm. Nothing else may be.
ON_PURPOSE = {
    "rds_deletion_protection": {"AWS::RDS::DBCluster"},
    "log_retention_days": {"AWS::Logs::LogGroup"},
    "backup_vault_lock_days": {"AWS::Backup::BackupVault"},
    # The trail stops; what it wrote is in a bucket and a log group that stay.
    "enable_cloudtrail": {"AWS::CloudTrail::Trail"},
    # The cache's own credential, which opens nothing else.
    "cache": {"AWS::SecretsManager::Secret"},
    # A size is many settings at once: here log retention, and trial has no cache.
    "size": {"AWS::Logs::LogGroup", "AWS::SecretsManager::Secret"},
    # What their functions said, and the credential that sends mail and nothing else.
    "route53_domain": {"AWS::Logs::LogGroup"},
    "configure_ses": {"AWS::Logs::LogGroup", "AWS::SecretsManager::Secret"},
    "email_forwarding_address": {"AWS::Logs::LogGroup", "AWS::SecretsManager::Secret"},
}
# What goes with the option that made it. It holds nothing of patients.
GOES_WITH_ITS_OPTION = (
    "CacheCredential",
    "MailCredential",
    "MailMakerLog",
    "MailRotatorLog",
    "ReceivedMailForwarderLog",
    "ReceivedMailRuleKeeperLog",
    "Trail8987",
    "ZoneFinderLog",
)
TOGGLES = {
    f"{application} {name}": (application, context)
    for application in APPLICATIONS
    for name, context in flips(application)
    if "resource_suffix" not in name
}
"""A suffix names another deployment beside the first; it changes nothing that exists."""


def _both(name: str) -> tuple[Synthesized, Synthesized]:
    """The default deployment and the one with the toggle."""
    application, context = TOGGLES[name]
    return synthesize({}, application), synthesize(context, application)


def _harm(before: Templates, after: Templates) -> list[Any]:
    changes = [*compare(before.data, after.data), *compare(before.service, after.service)]
    return [*harm(changes), *(change for change in changes if change.kind is Kind.REFUSED)]


@pytest.mark.parametrize("name", TOGGLES)
def test_a_toggle_harms_nothing_that_holds_data(name: str) -> None:
    setting = name.partition(" ")[2].partition("=")[0]
    default, toggled = _both(name)
    for before, after in ((default, toggled), (toggled, default)):
        for change in _harm(before.templates, after.templates):
            assert change.type_name in ON_PURPOSE.get(setting, set()), change
            assert change.kind in {Kind.UPDATED, Kind.REMOVED}, change
            assert change.kind is Kind.UPDATED or change.logical_id.startswith(GOES_WITH_ITS_OPTION), change


@pytest.mark.parametrize(
    ("application", "before", "after"),
    [
        (application, before, after)
        for application, samples in SAMPLES.items()
        for before in samples
        for after in samples
        if before != after
    ],
)
def test_growing_from_one_sample_to_another_replaces_nothing_that_holds_data(
    application: str, before: str, after: str
) -> None:
    old, new = (synthesize(SAMPLES[application][name], application).templates for name in (before, after))
    changes = _harm(old, new)
    kinds = {(change.type_name, change.kind) for change in changes}
    assert kinds <= {
        ("AWS::Logs::LogGroup", Kind.UPDATED),
        ("AWS::Logs::LogGroup", Kind.REMOVED),
        ("AWS::Backup::BackupVault", Kind.UPDATED),
        ("AWS::SecretsManager::Secret", Kind.REMOVED),
    }
    removed = {change.logical_id for change in changes if change.kind is Kind.REMOVED}
    assert all(logical_id.startswith(GOES_WITH_ITS_OPTION) for logical_id in removed)


@pytest.mark.parametrize("name", TOGGLES)
def test_what_a_toggle_replaces_can_be_made_beside_the_old_one(name: str) -> None:
    """CloudFormation makes the new resource first, so one that we name ourselves needs another name."""
    default, toggled = (made.templates for made in _both(name))
    for before, after in ((default, toggled), (toggled, default)):
        for old, new in ((before.data, after.data), (before.service, after.service)):
            for change in compare(old, new):
                if change.kind not in {Kind.REPLACED, Kind.MAY_BE_REPLACED}:
                    continue
                schema = schema_of(change.type_name)
                assert schema is not None
                names = [place for place in schema.identifier if place in _given(old, change.logical_id)]
                same = [place for place in names if _at(old, change, place) == _at(new, change, place)]
                assert not names or same != names, change


def _given(template: Any, logical_id: str) -> set[tuple[str, ...]]:
    """Properties with a text of ours; a reference names what is made anew with it."""
    properties = template["Resources"][logical_id].get("Properties", {})
    return {(name,) for name, value in properties.items() if isinstance(value, str)}


def _at(template: Any, change: Change, place: tuple[str, ...]) -> Any:
    return template["Resources"][change.logical_id]["Properties"].get(place[0])


def test_a_certificate_changes_the_listener_of_port_80_and_makes_no_second_one() -> None:
    """A load balancer has one listener for a port, and CloudFormation makes what is new before it deletes."""
    without, with_one = synthesize({}).templates, synthesize(single("certificate_arn", CERTIFICATE)).templates
    ports = [
        {one["Properties"]["Port"]: name for name, one in templates.of("AWS::ElasticLoadBalancingV2::Listener")}
        for templates in (without, with_one)
    ]
    assert ports[0].keys() == {80}
    assert ports[1].keys() == {80, 443}
    assert ports[0][80] == ports[1][80]


# CloudFormation refuses these updates while the service stack is there, and leaves everything as it was.
REFUSED = {
    "vpc_cidr=172.16.0.0-20": {"there", "back"},
    # Fewer zones than before: the service stack still uses the subnets of the last one.
    "availability_zones=3": {"back"},
    "size=hospital": {"back"},
}


@pytest.mark.parametrize("name", TOGGLES)
def test_a_toggle_changes_no_export_that_the_service_stack_imports(name: str) -> None:
    default, toggled = _both(name)
    conflicts = {
        way
        for way, before, after in (("there", default, toggled), ("back", toggled, default))
        if export_conflicts(before.stacks, after.stacks)
    }
    assert conflicts == REFUSED.get(name.partition(" ")[2], set())


def test_the_check_sees_harm_where_there_is_some() -> None:
    """The measure itself: a database that would be replaced, and a file system that would be deleted, are found."""
    templates = synthesize({}).templates
    [cluster] = [name for name, one in templates.data["Resources"].items() if one["Type"] == "AWS::RDS::DBCluster"]
    [files] = [name for name, one in templates.data["Resources"].items() if one["Type"] == "AWS::EFS::FileSystem"]
    resources = {name: one for name, one in templates.data["Resources"].items() if name != files}
    properties = resources[cluster]["Properties"] | {"DatabaseName": "other"}
    resources[cluster] = resources[cluster] | {"Properties": properties}
    found = {change.logical_id: change.kind for change in harm(compare(templates.data, {"Resources": resources}))}
    assert found[cluster] is Kind.REPLACED
    # It is retained, so it is no loss, but the measure of a deletion is that it is told at all.
    changes = {change.logical_id: change.kind for change in compare(templates.data, {"Resources": resources})}
    assert changes[files] is Kind.REMOVED
