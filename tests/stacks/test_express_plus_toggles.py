"""What a change of settings does to a server that exists: by CloudFormation's own schemas, nothing to its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hostemr.operate.changes import Change, Effect, Kind, compare, harm
from hostemr.operate.schemas import schema_of
from hostemr.operate.stateful import holds_state
from tests.stacks.express_plus import DIGEST, FLIPPED, synthesize

# What is asked for by the setting's own name, and so is no harm. Nothing else may be.
ON_PURPOSE = {
    # The trail stops; what it wrote is in a bucket that stays.
    "Trail": Kind.REMOVED,
    # Only with dev: the volume goes when somebody deletes the stack, not by this.
    "DataVolume": Kind.POLICY_CHANGED,
}
TOGGLES: Mapping[str, Mapping[str, Any]] = {
    "everything": FLIPPED,
    "another engine": {"backup_engine": "duplicity"},
    "a lock": {"object_lock_days": 30, "object_lock_mode": "compliance"},
    "a developer's": {"dev": True},
    "a recovery, when it is done": {"recovery": True},
    "a pinned image": {"openemr_image_digest": DIGEST},
}
"""Beside the defaults, in both directions."""


def changes(name: str) -> list[tuple[str, list[Change]]]:
    default, toggled = synthesize({}).template, synthesize(TOGGLES[name]).template
    return [("there", compare(default, toggled)), ("back", compare(toggled, default))]


@pytest.mark.parametrize("name", TOGGLES)
def test_a_toggle_replaces_and_deletes_nothing_that_holds_data(name: str) -> None:
    for way, found in changes(name):
        for change in found:
            if change.held and change.kind is not Kind.UPDATED and change.kind is not Kind.ADDED:
                assert ON_PURPOSE.get(change.logical_id) is change.kind, (way, change)
            assert change.kind is not Kind.REFUSED, (way, change)


@pytest.mark.parametrize("name", TOGGLES)
def test_a_toggle_weakens_no_protection(name: str) -> None:
    weakened = {(change.logical_id, line) for _, found in changes(name) for change in found for line in change.weakened}
    on_purpose = {("DataVolume", "DeletionPolicy: retained -> deleted")} if TOGGLES[name].get("dev") else set()
    assert weakened == on_purpose


@pytest.mark.parametrize("name", TOGGLES)
def test_a_toggle_replaces_neither_network_nor_address_nor_role(name: str) -> None:
    """The address is in somebody's DNS, and a bucket policy names the role."""
    kept = {"Address", "Vpc", "PublicSubnet", "ServerRole", "ServerSecurityGroup", "ServerGroup", "LaunchTemplate"}
    for _, found in changes(name):
        gone = {change.logical_id for change in found if change.kind in {Kind.REPLACED, Kind.REMOVED}}
        assert not gone & kept


def test_a_parameter_can_only_change_what_may_change_in_place() -> None:
    """Whatever answer is changed at an update: no property of what holds data that names a parameter replaces it."""
    template = synthesize({"recovery": True, "dev": True}).template
    seen = set()
    for name, resource in template["Resources"].items():
        if not holds_state(resource):
            continue
        schema = schema_of(resource["Type"])
        assert schema is not None
        for key, value in resource["Properties"].items():
            if any(f"'Ref': '{parameter}'" in str(value) for parameter in template["Parameters"]):
                seen.add((name, key))
                assert schema.verdict(f"/properties/{key}", opaque=True).effect is Effect.UPDATE, (name, key)
    assert seen == {("DataVolume", "Size")}


def test_the_server_is_replaced_in_place_of_the_old_one_and_keeps_volume_and_address() -> None:
    """A group of one has no place for two, and the volume can be attached to one."""
    group = synthesize({}).template["Resources"]["ServerGroup"]
    assert group["Properties"]["MinSize"] == group["Properties"]["MaxSize"] == "1"
    rolling = group["UpdatePolicy"]["AutoScalingRollingUpdate"]
    assert (rolling["MinInstancesInService"], rolling["WaitOnResourceSignals"]) == (0, True)
    assert {"HealthCheck", "ReplaceUnhealthy"} <= set(rolling["SuspendProcesses"])


def test_the_check_sees_harm_where_there_is_some() -> None:
    """The measure itself: a volume in another zone and a bucket with another name are found."""
    template = synthesize({}).template
    resources = {**template["Resources"]}
    for name, change in (("DataVolume", {"AvailabilityZone": "us-east-1b"}), ("BackupBucket", {"BucketName": "other"})):
        resources[name] = {**resources[name], "Properties": {**resources[name]["Properties"], **change}}
    kinds = {change.logical_id: change.kind for change in compare(template, {**template, "Resources": resources})}
    assert kinds["DataVolume"] is Kind.REFUSED
    assert kinds["BackupBucket"] is Kind.REPLACED
    assert "BackupBucket" in {one.logical_id for one in harm(compare(template, {**template, "Resources": resources}))}
