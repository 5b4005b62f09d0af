from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from hostemr.errors import RefusedError, SettingsError
from hostemr.operate.recovery.choice import Choice, Serving, Window, choose
from hostemr.operate.recovery.points import Point, newest_complete, recovery_points, sets
from tests.operate.recovery.cloud import NOW, VAULT, Cloud

SERVING = Serving("fs-old", frozenset({"old-cluster"}))
REACH = Window("old-cluster", NOW - timedelta(days=35), NOW - timedelta(minutes=5))


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def points(cloud: Cloud) -> tuple[Point, ...]:
    return recovery_points(cloud, VAULT)


def chosen(
    cloud: Cloud, *, window: Window | None = REACH, point: str | None = None, hours: float | None = None
) -> Choice:
    at = ago(hours) if hours is not None else None
    return choose(points(cloud), serving=SERVING, window=window, now=NOW, point=point, at=at)


@pytest.fixture
def cloud() -> Cloud:
    found = Cloud()
    for hours in (7, 31, 55):
        found.point("EFS", hours)
        found.point("Aurora", hours + 0.1, number=str(hours))
    return found


def test_by_default_the_newest_files_and_the_database_of_when_their_backup_began(cloud: Cloud) -> None:
    found = chosen(cloud)
    assert (found.files.id, found.moment, found.snapshot) == ("efs-7", ago(7), None)
    assert found.gap == timedelta(0)


def test_the_backups_beginning_counts_where_the_point_appeared_later() -> None:
    cloud = Cloud()
    cloud.point("EFS", 7, InitiationDate=ago(7.5))
    assert chosen(cloud).moment == ago(7.5)


def test_a_moment_takes_the_files_from_before_it_and_tells_the_gap(cloud: Cloud) -> None:
    found = chosen(cloud, hours=20)
    assert (found.files.id, found.moment) == ("efs-31", ago(20))
    assert any("newer by 11 h 0 min: documents stored in that time are named" in note for note in found.notes)


def test_outside_of_auroras_reach_the_snapshot_of_that_time_is_taken(cloud: Cloud) -> None:
    short = Window("old-cluster", ago(10), ago(0.1))
    found = chosen(cloud, window=short, point="efs-31")
    assert found.snapshot is not None
    assert found.snapshot.id == "aurora-31"
    assert any("the files are newer by 6 min 0 s" in note for note in found.notes)


def test_a_point_of_the_database_brings_the_files_of_its_time(cloud: Cloud) -> None:
    assert chosen(cloud, point="aurora-55").files.id == "efs-55"


def test_half_a_pair_is_refused() -> None:
    cloud = Cloud()
    cloud.point("EFS", 400)
    with pytest.raises(RefusedError, match="no database to go with the files"):
        chosen(cloud, window=Window("old-cluster", ago(10), ago(0.1)))
    cloud.point("Aurora", 300)
    with pytest.raises(RefusedError, match="no point of files within two hours"):
        chosen(cloud, point="aurora-300")


def test_no_files_from_before_the_moment_is_refused(cloud: Cloud) -> None:
    with pytest.raises(RefusedError, match=r"no usable recovery point of the files from before .*, of the pair"):
        chosen(cloud, hours=100)


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"Status": "EXPIRED"}, "its state is EXPIRED"), ({"CalculatedLifecycle": {"DeleteAt": ago(1)}}, "has expired")],
)
def test_a_point_that_is_no_more_is_refused(cloud: Cloud, changes: dict[str, Any], why: str) -> None:
    cloud.point("EFS", 2, **changes)
    with pytest.raises(RefusedError, match=why):
        chosen(cloud, point="efs-2")
    assert chosen(cloud).files.id == "efs-7"


def test_a_moment_to_come_and_two_wishes_and_a_strange_id_are_wrong_use(cloud: Cloud) -> None:
    with pytest.raises(SettingsError, match="still to come"):
        chosen(cloud, hours=-1)
    with pytest.raises(SettingsError, match="both given"):
        chosen(cloud, point="efs-7", hours=3)
    with pytest.raises(SettingsError, match="no recovery point of the vault"):
        chosen(cloud, point="efs-8")


def test_a_point_in_cold_storage_is_told_to_take_longer() -> None:
    cloud = Cloud()
    cloud.point("EFS", 7, CalculatedLifecycle={"MoveToColdStorageAt": ago(5), "DeleteAt": ago(-900000)})
    assert any("cold storage" in note for note in chosen(cloud).notes)


def test_points_of_one_time_are_one_set_newest_first(cloud: Cloud) -> None:
    found = sets(points(cloud))
    assert [tuple(sorted(one.id for one in each.points)) for each in found] == [
        ("aurora-7", "efs-7"),
        ("aurora-31", "efs-31"),
        ("aurora-55", "efs-55"),
    ]
    assert all(not each.missing(NOW) for each in found)


def test_a_set_without_its_other_half_is_not_complete(cloud: Cloud) -> None:
    cloud.point("EFS", 1)
    cloud.point("Aurora", 1, Status="PARTIAL")
    found = sets(points(cloud))
    assert found[0].missing(NOW) == ("Aurora",)
    newest = newest_complete(found, NOW)
    assert newest is not None
    assert newest.created == ago(7.1)


def test_a_restore_test_is_told_with_its_point(cloud: Cloud) -> None:
    arn = next(one["RecoveryPointArn"] for one in cloud.backup.points if one["RecoveryPointArn"].endswith("efs-31"))
    cloud.backup.tested = [
        {"RecoveryPointArn": arn, "CompletionDate": ago(3)},
        {"RecoveryPointArn": arn, "CompletionDate": ago(9)},
    ]
    tested = {point.id: point.tested for point in points(cloud)}
    assert tested == {**dict.fromkeys(tested), "efs-31": ago(3)}


def of_another_pair(cloud: Cloud, kind: str, hours: float) -> None:
    end = "cluster:returned" if kind == "Aurora" else "file-system/fs-returned"
    cloud.point(kind, hours, number=f"returned-{hours}", ResourceArn=f"arn:aws:any:eu-west-1:123456789012:{end}")


def test_files_of_a_pair_that_serves_no_more_are_never_put_to_the_database_that_serves(cloud: Cloud) -> None:
    of_another_pair(cloud, "EFS", 2)
    of_another_pair(cloud, "Aurora", 2)
    assert chosen(cloud).files.id == "efs-7", "the newest, but of a pair that was gone back from"
    assert chosen(cloud, hours=1).files.id == "efs-7"
    asked = chosen(cloud, point="efs-returned-2")
    assert asked.snapshot is not None, "the continuous backup of the cluster that serves knows nothing of these files"
    assert asked.snapshot.id == "aurora-returned-2"
    assert chosen(cloud, point="aurora-returned-2").files.id == "efs-returned-2"


def test_files_of_another_pair_without_its_database_are_half_a_pair(cloud: Cloud) -> None:
    of_another_pair(cloud, "EFS", 7)
    with pytest.raises(RefusedError, match="no database to go with the files"):
        chosen(cloud, point="efs-returned-7")


def test_a_moment_from_before_a_cut_over_is_of_the_pair_that_served_then() -> None:
    cloud = Cloud()
    of_another_pair(cloud, "EFS", 31)
    of_another_pair(cloud, "Aurora", 31)
    since = Window("old-cluster", ago(10), ago(0.1))
    found = chosen(cloud, window=since, hours=30.5)
    assert (found.files.id, found.snapshot and found.snapshot.id) == ("efs-returned-31", "aurora-returned-31")


def test_an_aurora_cluster_is_known_by_its_other_id_too(cloud: Cloud) -> None:
    both = Serving("fs-old", frozenset({"old-cluster", "cluster-ABC"}))
    cloud.point("Aurora", 400, ResourceArn="arn:aws:rds:eu-west-1:123456789012:cluster:cluster-ABC")
    assert both.has(points(cloud)[-1])
