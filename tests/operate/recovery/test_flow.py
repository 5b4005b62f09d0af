"""A restore from its plan to its end, killed after every single call to AWS, and in all the ways in which it fails."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hostemr.deployment.applications import APPLICATIONS
from hostemr.errors import FindingsError, OutsideWorldError, RefusedError, SettingsError
from hostemr.operate.aws import translated
from hostemr.operate.recovery import giving_up, journal, restoring
from hostemr.operate.recovery.site import Site, site
from hostemr.operate.recovery.stack_updates import OPEN, Stacks, bucket_for_templates
from hostemr.operate.recovery.verifying import Check
from tests.operate.recovery.cloud import DATA, SERVICE, Cloud, Killed, data_template, model, refused, service_template


def here(cloud: Cloud) -> Site:
    return site(cloud, APPLICATIONS["openemr"])


def stacks(cloud: Cloud) -> Stacks:
    return Stacks(cloud, cloud.patience(), bucket_for_templates(cloud, None), "restore/")


def start(cloud: Cloud) -> None:
    record = journal.read(here(cloud))
    if record is None:
        proposal = restoring.propose(here(cloud), cloud.patience(), point=None, at=None)
        restoring.start(here(cloud), proposal, cloud.patience())
    else:
        restoring.go_on(record, cloud.patience())


def verify(cloud: Cloud) -> tuple[Check, ...]:
    return restoring.check(restoring.under_way(here(cloud)))


def cut_over(cloud: Cloud) -> None:
    record = restoring.under_way(here(cloud))
    if record.phase != journal.SERVING:
        restoring.cut_over(record, stacks(cloud), cloud.patience())


def roll_back(cloud: Cloud) -> None:
    record = restoring.under_way(here(cloud))
    if record.phase != journal.RETURNED:
        restoring.roll_back(record, stacks(cloud), cloud.patience())


def abandon(cloud: Cloud) -> None:
    record = journal.read(here(cloud))
    if record is not None:
        restoring.abandon(record, cloud.patience())


@pytest.fixture
def cloud() -> Cloud:
    found = Cloud()
    found.point("EFS", 7)
    found.point("Aurora", 7)
    return found


@pytest.fixture
def built(cloud: Cloud) -> Cloud:
    start(cloud)
    return cloud


@pytest.fixture
def verified(built: Cloud) -> Cloud:
    verify(built)
    return built


def test_a_restore_makes_a_pair_beside_the_one_that_serves(cloud: Cloud) -> None:
    before = cloud.state()
    start(cloud)
    after = cloud.state()
    assert after["phase"] == "built"
    assert after["clusters"] == ["old-cluster", "openemr-data-r260504120000"]
    assert after["file systems"] == ["fs-new-1", "fs-old"]
    assert after["mount targets"] == [
        ("fs-new-1", "subnet-aaaaaaaa"),
        ("fs-new-1", "subnet-bbbbbbbb"),
        *before["mount targets"],
    ]
    for untouched in ("stacks", "serving", "tasks", "scaling"):
        assert after[untouched] == before[untouched]


def test_the_new_cluster_has_the_old_ones_network_key_and_protection(built: Cloud) -> None:
    [request] = [one for name, one in built.calls if name == "rds.restore_db_cluster_to_point_in_time"]
    assert request["DBSubnetGroupName"] == "subnets"
    assert request["VpcSecurityGroupIds"] == ["sg-database"]
    assert request["DBClusterParameterGroupName"] == "parameters"
    assert request["DeletionProtection"] is True
    assert request["RestoreToTime"].isoformat() == "2026-05-04T05:00:00+00:00", "when the files' backup began"
    assert built.rds.clusters["openemr-data-r260504120000"]["BackupRetentionPeriod"] == 35


def test_the_new_file_system_is_guarded_only_after_the_task_that_has_no_role(built: Cloud) -> None:
    names = [name for name, _ in built.calls]
    assert (
        names.index("ecs.run_task") < names.index("efs.put_file_system_policy") < names.index("efs.create_access_point")
    )
    assert '"Resource": "*"' in built.efs.policies["fs-new-1"]


def test_a_verified_pair_is_served_and_the_old_one_kept(verified: Cloud) -> None:
    cut_over(verified)
    serving = verified.serving()
    new = "openemr-data-r260504120000"
    assert (serving["DatabaseClusterId"], serving["FileSystemId"]) == (new, "fs-new-1")
    assert serving["MasterSecretArn"].endswith(f"rds!{new}")
    assert verified.cfn.stacks[DATA]["resources"]["Cluster"] == new
    assert verified.cfn.stacks[DATA]["resources"]["Reader"] == f"reader-of-{new}"
    assert {"old-cluster", new} == set(verified.rds.clusters)
    assert "fs-old" in verified.efs.systems
    assert (verified.ecs.desired, verified.scaling.suspended) == (2, False)


def test_after_a_cut_over_both_stacks_have_the_templates_of_before(verified: Cloud) -> None:
    cut_over(verified)
    assert verified.cfn.stacks[DATA]["template"] == data_template()
    assert verified.cfn.stacks[SERVICE]["template"] == service_template()
    assert [one["policy"] for one in verified.cfn.stacks.values()] == [OPEN, OPEN]


def test_nobody_works_while_the_pair_is_changed(verified: Cloud) -> None:
    cut_over(verified)
    names = [name if name != "ecs.update_service" else f"tasks {one['desiredCount']}" for name, one in verified.calls]
    stopped, changed = names.index("tasks 0"), names.index("cloudformation.update_stack")
    assert stopped < changed < names.index("tasks 2")


def test_while_the_pair_is_changed_a_deployment_by_anybody_else_is_denied(verified: Cloud) -> None:
    verified.failures["cloudformation.execute_change_set"] = refused("Throttling")
    with pytest.raises(OutsideWorldError), translated():
        cut_over(verified)
    assert all("Deny" in one["policy"] for one in verified.cfn.stacks.values())
    verified.failures.clear()
    cut_over(verified)
    assert not any("Deny" in one["policy"] for one in verified.cfn.stacks.values())


def test_a_way_back_serves_the_old_pair_and_keeps_the_new(verified: Cloud) -> None:
    before = verified.serving()
    cut_over(verified)
    roll_back(verified)
    assert verified.serving() == before
    assert verified.cfn.stacks[DATA]["resources"]["Cluster"] == "old-cluster"
    assert "openemr-data-r260504120000" in verified.rds.clusters
    left = giving_up.close(restoring.under_way(here(verified)))
    assert left["cluster"] == "openemr-data-r260504120000"
    assert verified.journal() == {}


def test_a_cut_over_that_stops_half_way_can_be_gone_back_from(verified: Cloud) -> None:
    before = verified.serving()
    for call in ("cloudformation.execute_change_set", "cloudformation.create_change_set", "ecs.update_service"):
        verified.failures[call] = refused("Throttling")
        with pytest.raises(OutsideWorldError), translated():
            cut_over(verified)
        verified.failures.clear()
        roll_back(verified)
        assert verified.serving() == before, call
        assert verified.cfn.stacks[DATA]["template"] == data_template()
        assert verified.ecs.desired == 2


def changed(call: str) -> bool:
    """Whether something may be otherwise after a call: the stand-ins go on when these are asked how far they are."""
    operation = call.partition(".")[2]
    asks = operation.startswith(("describe_", "get_", "list_", "head_"))
    return not asks or operation in {"describe_stacks", "describe_restore_job", "describe_tasks"}


FLOWS: dict[str, tuple[Callable[[Cloud], object], ...]] = {
    "start": (start,),
    "abandon": (abandon,),
    "cut-over": (cut_over,),
    "way back": (roll_back,),
}


@pytest.mark.parametrize("name", FLOWS)
def test_killed_after_any_call_and_begun_again_it_ends_the_same(cloud: Cloud, name: str) -> None:
    if name != "start":
        start(cloud)
    if name in {"cut-over", "way back"}:
        verify(cloud)
    if name == "way back":
        cut_over(cloud)
    [step] = FLOWS[name]
    begun = len(cloud.calls)
    undisturbed = copy.deepcopy(cloud)
    step(undisturbed)
    wanted = undisturbed.state()
    calls = len(undisturbed.calls) - begun
    assert calls > 10
    for number in range(1, calls + 1):
        if not changed(undisturbed.calls[begun + number - 1][0]):
            continue
        killed = copy.deepcopy(cloud)
        killed.kill_after, killed.checks = begun + number, False
        with pytest.raises(Killed):
            step(killed)
        step(killed)
        assert killed.state() == wanted, f"killed after {killed.calls[begun + number - 1][0]}"


def test_a_cut_over_killed_after_any_call_can_be_gone_back_from(verified: Cloud) -> None:
    begun = len(verified.calls)
    undisturbed = copy.deepcopy(verified)
    cut_over(undisturbed)
    before = verified.serving()
    for number in range(1, len(undisturbed.calls) - begun):
        if not changed(undisturbed.calls[begun + number - 1][0]):
            continue
        killed = copy.deepcopy(verified)
        killed.kill_after, killed.checks = begun + number, False
        with pytest.raises(Killed):
            cut_over(killed)
        if killed.journal()["phase"] == journal.VERIFIED:
            continue
        roll_back(killed)
        assert killed.serving() == before
        assert killed.cfn.stacks[DATA]["template"] == data_template()
        assert (killed.ecs.desired, killed.scaling.suspended) == (2, False)


def test_a_pair_that_the_setup_task_refuses_leaves_the_old_one_serving(verified: Cloud) -> None:
    before = verified.state()
    verified.cfn.refuses[SERVICE] = "exit status 4: refused, so as not to harm data"
    with pytest.raises(OutsideWorldError, match=r"the one from before serves again: .*SetupDone: exit status 4"):
        cut_over(verified)
    after = verified.state()
    for same in ("serving", "tasks", "scaling", "phase", "clusters"):
        assert after[same] == before[same]
    assert verified.cfn.stacks[SERVICE]["policy"] == OPEN


def test_tasks_that_do_not_become_healthy_are_told_and_can_be_gone_back_from(verified: Cloud) -> None:
    verified.ecs.healthy = False
    with pytest.raises(OutsideWorldError, match="do not become healthy"):
        cut_over(verified)
    verified.ecs.healthy = True
    roll_back(verified)
    assert verified.serving()["DatabaseClusterId"] == "old-cluster"


def test_a_failed_job_is_told_and_the_next_run_starts_another(cloud: Cloud) -> None:
    cloud.backup.ends_as = "FAILED"
    with pytest.raises(OutsideWorldError, match="ended as FAILED: the key may not be used"):
        start(cloud)
    cloud.backup.ends_as = "COMPLETED"
    start(cloud)
    assert cloud.journal()["phase"] == "built"
    assert len(cloud.backup.restores) == 2
    assert [name for name, _ in cloud.calls].count("rds.restore_db_cluster_to_point_in_time") == 1


def test_abandoning_deletes_what_failed_attempts_left_too(cloud: Cloud) -> None:
    cloud.backup.ends_as = "FAILED"
    with pytest.raises(OutsideWorldError):
        start(cloud)
    cloud.backup.ends_as = "COMPLETED"
    start(cloud)
    assert len(cloud.efs.systems) == 3
    abandon(cloud)
    assert list(cloud.efs.systems) == ["fs-old"]
    assert list(cloud.rds.clusters) == ["old-cluster"]
    assert cloud.journal() == {}


def test_what_serves_or_served_is_never_abandoned(verified: Cloud) -> None:
    cut_over(verified)
    with pytest.raises(RefusedError, match="serves or has served"):
        abandon(verified)
    roll_back(verified)
    with pytest.raises(RefusedError, match="serves or has served"):
        abandon(verified)


def test_a_journal_that_is_wrong_deletes_nothing_that_serves(built: Cloud) -> None:
    record = restoring.under_way(here(built))
    record.write_part(cluster="old-cluster")
    with pytest.raises(RefusedError, match="old-cluster serves"):
        abandon(built)
    assert "old-cluster" in built.rds.clusters


def test_a_second_restore_is_refused(built: Cloud) -> None:
    proposal = restoring.propose(here(built), built.patience(), point=None, at=None)
    with pytest.raises(RefusedError, match="Another restore"):
        restoring.start(here(built), proposal, built.patience())


def test_another_point_than_the_one_under_way_is_refused(built: Cloud) -> None:
    record = restoring.under_way(here(built))
    restoring.same(record, point="efs-7", at=None)
    with pytest.raises(RefusedError, match="of another point"):
        restoring.same(record, point="efs-31", at=None)


def test_without_verification_nothing_is_cut_over(built: Cloud) -> None:
    with pytest.raises(RefusedError, match="nothing to cut over to") as caught:
        cut_over(built)
    assert "verify" in caught.value.hint


def test_a_pair_that_changed_since_it_was_verified_is_not_served(verified: Cloud) -> None:
    verified.rds.clusters["openemr-data-r260504120000"]["DeletionProtection"] = False
    with pytest.raises(FindingsError, match="it refuses to be deleted: no"):
        cut_over(verified)
    assert verified.ecs.desired == 2


def test_another_stack_that_uses_the_pair_is_named_before_anything_is_changed(verified: Cloud) -> None:
    verified.cfn.importers = ["openemr-analytics"]
    before = verified.state()
    with pytest.raises(RefusedError, match="openemr-analytics"):
        cut_over(verified)
    assert verified.state() == before


def test_what_cannot_be_verified_is_said(built: Cloud) -> None:
    found = {one.question: one for one in verify(built)}
    rows = found["the database holds an installation and patients"]
    assert rows.good is None
    assert "enable_data_api is off" in rows.detail
    assert built.journal()["phase"] == "verified"


@pytest.mark.parametrize(("patients", "good"), [(7, True), (0, False)])
def test_an_empty_database_is_no_good_pair(built: Cloud, patients: int, good: bool) -> None:
    for cluster in built.rds.clusters.values():
        cluster["HttpEndpointEnabled"] = True
    built.handlers["rds-data"].patients["openemr-data-r260504120000"] = patients
    found = {one.question: one for one in verify(built)}
    assert found["the database holds an installation and patients"].good is good
    assert built.journal()["phase"] == ("verified" if good else "built")


def test_files_without_the_keys_of_the_documents_are_no_good_pair(cloud: Cloud) -> None:
    missing = "default/documents/logs_and_misc/methods"
    cloud.handlers["logs"].lines = [f'hostemr-restored {{"files": 3, "kib": 12, "missing": "{missing}"}}']
    start(cloud)
    wrong = restoring.wrong(verify(cloud))
    assert [missing in one.detail for one in wrong] == [True]


def test_a_files_task_that_fails_is_run_again(cloud: Cloud) -> None:
    cloud.ecs.exits_with = 2
    with pytest.raises(OutsideWorldError, match="no restored share"):
        start(cloud)
    cloud.ecs.exits_with = 0
    start(cloud)
    assert len(cloud.ecs.tasks) == 2
    assert cloud.journal()["counted"]["files"] == 41


def test_a_key_that_is_lost_is_told_in_one_line(cloud: Cloud) -> None:
    cloud.failures["rds.restore_db_cluster_to_point_in_time"] = refused("KMSKeyNotAccessibleFault")
    with pytest.raises(OutsideWorldError, match=r"restoring: .*KMSKeyNotAccessibleFault"), translated("restoring"):
        start(cloud)


def test_no_permission_is_told_with_the_action(cloud: Cloud) -> None:
    message = "User: x is not authorized to perform: backup:StartRestoreJob on resource: y"
    cloud.failures["backup.start_restore_job"] = refused("AccessDeniedException", "StartRestoreJob", message)
    with pytest.raises(OutsideWorldError, match="may not backup:StartRestoreJob"), translated():
        start(cloud)


def test_throttled_it_stops_and_goes_on(cloud: Cloud) -> None:
    cloud.failures["efs.create_mount_target"] = refused("ThrottlingException")
    with pytest.raises(OutsideWorldError, match="fewer requests"), translated():
        start(cloud)
    cloud.failures.clear()
    start(cloud)
    assert cloud.journal()["phase"] == "built"


def test_a_stack_that_is_not_there_is_told(cloud: Cloud) -> None:
    del cloud.cfn.stacks[DATA]
    with pytest.raises(OutsideWorldError, match="no stack openemr-data"):
        start(cloud)


def test_a_cluster_that_is_gone_is_told(cloud: Cloud) -> None:
    del cloud.rds.clusters["old-cluster"]
    cloud.cfn.stacks[DATA]["template"]["Outputs"] = {"BackupVaultName": {"Value": "vault"}}
    with pytest.raises(RefusedError, match="old-cluster is gone"):
        start(cloud)


def test_without_a_bucket_for_templates_it_is_said_before_anything_is_stopped(verified: Cloud) -> None:
    verified.handlers["s3"].there = False
    with pytest.raises(SettingsError, match="no bucket cdk-hnb659fds"):
        cut_over(verified)
    assert verified.ecs.desired == 2


def test_a_start_killed_after_any_call_leaves_nothing_behind_when_it_is_abandoned(cloud: Cloud) -> None:
    before = cloud.state()
    undisturbed = copy.deepcopy(cloud)
    start(undisturbed)
    for number in range(1, len(undisturbed.calls)):
        if not changed(undisturbed.calls[number - 1][0]):
            continue
        killed = copy.deepcopy(cloud)
        killed.kill_after, killed.checks = number, False
        with pytest.raises(Killed):
            start(killed)
        if killed.journal():
            abandon(killed)
        assert killed.state() == before | {"jobs": killed.state()["jobs"]}, f"killed after {killed.calls[number - 1]}"


def test_who_abandons_what_another_is_cutting_over_to_is_stopped(verified: Cloud) -> None:
    stale = restoring.under_way(here(verified))
    verified.failures["cloudformation.create_change_set"] = refused("Throttling")
    with pytest.raises(OutsideWorldError), translated():
        cut_over(verified)
    assert verified.serving()["FileSystemId"] == "fs-new-1"
    # Its data stack still has the old pair; only the service's literals tell.
    with pytest.raises(RefusedError, match="Another run has changed the restore"):
        restoring.abandon(stale, verified.patience())
    assert "fs-new-1" in verified.efs.systems
    assert "openemr-data-r260504120000" in verified.rds.clusters


def test_of_two_who_cut_over_at_once_the_first_stops(verified: Cloud) -> None:
    first = restoring.under_way(here(verified))
    second = restoring.under_way(here(verified))
    first.claim()
    with pytest.raises(RefusedError, match="Another run"):
        restoring.cut_over(second, stacks(verified), verified.patience())
    assert verified.ecs.desired == 2


def test_what_the_service_has_as_literals_is_not_deleted_whatever_the_journal_says(verified: Cloud) -> None:
    verified.ecs.healthy = False
    with pytest.raises(OutsideWorldError, match="do not become healthy"):
        cut_over(verified)
    restoring.under_way(here(verified)).write(phase=journal.VERIFIED)
    with pytest.raises(RefusedError, match="serves: it is the deployment's own"):
        abandon(verified)
    assert "openemr-data-r260504120000" in verified.rds.clusters
    assert verified.journal()["phase"] == journal.VERIFIED


def test_a_pair_that_was_not_taken_in_is_never_made_anew_and_empty(verified: Cloud) -> None:
    verified.failures["cloudformation.create_change_set"] = refused("Throttling")
    with pytest.raises(OutsideWorldError), translated():
        cut_over(verified)
    verified.failures.clear()
    record = restoring.under_way(here(verified))
    record.write(done=[*record.data["done"], "take-in"])
    with pytest.raises(RefusedError, match="has not taken in openemr-data-r260504120000 and fs-new-1"):
        cut_over(verified)
    assert len(verified.rds.clusters) == 2


def test_exports_that_are_not_of_the_pair_that_serves_leave_the_service_on_its_literals(verified: Cloud) -> None:
    verified.cfn.told_wrongly["ExportDatabaseHost"] = "old-cluster.cluster-abc.eu-west-1.rds.amazonaws.com"
    with pytest.raises(RefusedError, match="does not export the pair that serves: openemr-data:DatabaseHost is old-"):
        cut_over(verified)
    assert verified.serving()["DatabaseHost"].startswith("openemr-data-r")
    assert verified.ecs.desired == 2


def test_where_cloudformation_sees_no_change_no_literal_stays(verified: Cloud) -> None:
    before = verified.serving()
    verified.cfn.compares_values = True
    cut_over(verified)
    for stack in (DATA, SERVICE):
        assert "openemr-data-r260504120000" not in str(verified.cfn.stacks[stack]["template"]["Outputs"])
    assert "Fn::ImportValue" in str(verified.cfn.stacks[SERVICE]["template"]["Resources"])
    roll_back(verified)
    assert verified.serving() == before
    assert verified.cfn.exports()[f"{DATA}:FileSystemId"] == "fs-old"


def test_a_stack_that_was_changed_since_the_restore_began_is_refused_before_anything_is_stopped(
    verified: Cloud,
) -> None:
    verified.cfn.stacks[DATA]["resources"]["Writer"] = "another-writer"
    before = verified.state()
    with pytest.raises(RefusedError, match="has another pair, or has it otherwise"):
        cut_over(verified)
    assert verified.state() == before


def test_a_deployment_between_the_look_and_the_policy_is_not_undone(verified: Cloud) -> None:
    verified.failures["cloudformation.set_stack_policy"] = refused("Throttling")
    with pytest.raises(OutsideWorldError), translated():
        cut_over(verified)
    verified.failures.clear()
    newer = {**service_template(), "Description": "deployed meanwhile"}
    verified.cfn.stacks[SERVICE]["template"] = newer
    cut_over(verified)
    assert verified.cfn.stacks[SERVICE]["template"] == newer


def test_a_way_back_that_cannot_end_goes_forward_again(verified: Cloud) -> None:
    cut_over(verified)
    verified.failures["cloudformation.create_change_set"] = refused("Throttling")
    with pytest.raises(OutsideWorldError), translated():
        roll_back(verified)
    verified.failures.clear()
    cut_over(verified)
    assert verified.serving()["FileSystemId"] == "fs-new-1"
    assert verified.journal()["phase"] == journal.SERVING


def test_a_way_back_refused_out_of_a_cut_over_that_was_all_but_done_says_that_the_new_pair_serves(
    verified: Cloud,
) -> None:
    begun, undisturbed = len(verified.calls), copy.deepcopy(verified)
    cut_over(undisturbed)
    last = max(number for number, (name, _) in enumerate(undisturbed.calls) if name == "cloudformation.update_stack")
    verified.kill_after = last + 4
    assert last > begun
    with pytest.raises(Killed):
        cut_over(verified)
    verified.cfn.refuses[SERVICE] = "exit status 4"
    with pytest.raises(OutsideWorldError, match="the one from before serves again"):
        roll_back(verified)
    assert verified.serving()["FileSystemId"] == "fs-new-1"
    assert verified.journal()["phase"] == journal.SERVING


def test_a_failure_while_nobody_can_work_says_so(verified: Cloud) -> None:
    verified.failures["cloudformation.update_stack"] = refused("ExpiredToken")
    with pytest.raises(OutsideWorldError) as caught, translated():
        cut_over(verified)
    assert "THE SERVICE IS STOPPED" in caught.value.hint
    assert "sign in again" in caught.value.hint


def test_a_service_that_had_no_task_is_said_to_have_none(verified: Cloud) -> None:
    verified.ecs.desired = 0
    told: list[str] = []
    restoring.cut_over(restoring.under_way(here(verified)), stacks(verified), verified.patience(told))
    assert any("will have none at the end" in line for line in told)


def test_settings_that_a_restored_cluster_lacks_are_set_though_it_has_its_secret(cloud: Cloud) -> None:
    restored = cloud.rds._restore

    def with_secret(request: dict[str, Any]) -> None:
        restored(request)
        cloud.rds._secret(request["DBClusterIdentifier"])

    cloud.rds._restore = with_secret
    start(cloud)
    assert cloud.rds.clusters["openemr-data-r260504120000"]["BackupRetentionPeriod"] == 35


def test_the_same_wish_given_again_goes_on(cloud: Cloud) -> None:
    cloud.rds.clusters["old-cluster"]["EarliestRestorableTime"] = cloud.now
    proposal = restoring.propose(here(cloud), cloud.patience(), point="aurora-7", at=None)
    record = restoring.start(here(cloud), proposal, cloud.patience())
    restoring.same(record, point="aurora-7", at=None)


@pytest.mark.parametrize(("message", "good"), [("Table 'hostemr.setup' doesn't exist", False), ("resuming", None)])
def test_a_database_without_an_installation_is_no_good_pair(built: Cloud, message: str, good: bool | None) -> None:
    for cluster in built.rds.clusters.values():
        cluster["HttpEndpointEnabled"] = True
    built.failures["rds-data.execute_statement"] = refused("DatabaseErrorException", "ExecuteStatement", message)
    found = {one.question: one for one in verify(built)}
    assert found["the database holds an installation and patients"].good is good


def test_data_api_and_roles_of_the_old_cluster_are_given_to_the_new(cloud: Cloud) -> None:
    role = {"RoleArn": "arn:aws:iam::123456789012:role/bedrock", "FeatureName": "Bedrock"}
    cloud.rds.clusters["old-cluster"] |= {"HttpEndpointEnabled": True, "AssociatedRoles": [role]}
    start(cloud)
    new = cloud.rds.clusters["openemr-data-r260504120000"]
    assert (new["HttpEndpointEnabled"], new["AssociatedRoles"]) == (True, [role])


def test_the_guide_lists_every_right_that_a_restore_needs(cloud: Cloud) -> None:
    role = {"RoleArn": "arn:aws:iam::123456789012:role/bedrock", "FeatureName": "Bedrock"}
    cloud.rds.clusters["old-cluster"] |= {"HttpEndpointEnabled": True, "AssociatedRoles": [role]}
    start(cloud)
    given_up = copy.deepcopy(cloud)
    abandon(given_up)
    verify(cloud)
    cut_over(cloud)
    roll_back(cloud)
    giving_up.close(restoring.under_way(here(cloud)))
    # An older snapshot, in another account of the same shape.
    older = Cloud()
    older.point("EFS", 1000, CalculatedLifecycle={})
    older.point("Aurora", 1000, CalculatedLifecycle={})
    start(older)
    text = (Path(__file__).parents[3] / "docs/085_backups_on_fargate.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`([a-z][a-z0-9-]*:[A-Z][A-Za-z]+)`", text))
    prefixes = {"efs": "elasticfilesystem"}
    others = {"s3:HeadBucket": "s3:ListBucket", "sts:GetCallerIdentity": ""}
    needed = set()
    for service, _, name in (call.partition(".") for call, _ in (*cloud.calls, *given_up.calls, *older.calls)):
        action = f"{prefixes.get(service, service)}:{model(service)[1][name]}"
        needed.add(others.get(action, action))
    assert needed - told - {""} == set()


def test_files_that_are_gone_are_told(cloud: Cloud) -> None:
    cloud.failures["efs.describe_mount_targets"] = refused("FileSystemNotFound")
    with pytest.raises(RefusedError, match="The file system fs-old is gone"):
        start(cloud)
    assert cloud.journal() == {}
