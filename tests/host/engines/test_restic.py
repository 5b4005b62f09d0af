"""What our driver of restic decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostemr.host.aws import Aws
from hostemr.host.engines import Damaged
from hostemr.host.engines.places import Bucket, Folder
from hostemr.host.engines.restic import repository
from hostemr.host.programs import Programs
from tests.host.engines import trees
from tests.host.engines.stores import Store


@pytest.mark.parametrize(
    ("region", "endpoint", "expected"),
    [
        ("us-east-1", None, "s3:https://s3.us-east-1.amazonaws.com/clinic/Backup/restic"),
        ("cn-north-1", None, "s3:https://s3.cn-north-1.amazonaws.com.cn/clinic/Backup/restic"),
        ("us-east-1", "http://127.0.0.1:99/", "s3:http://127.0.0.1:99/clinic/Backup/restic"),
    ],
)
def test_the_repository_lies_in_the_region_s_own_endpoint(region: str, endpoint: str | None, expected: str) -> None:
    aws = Aws(Programs({}), region=region)
    assert repository(Bucket(aws=aws, name="clinic", prefix="Backup/restic", region=region, endpoint_url=endpoint)) == (
        expected
    )
    assert repository(Folder(Path("/mnt/disk"))) == "/mnt/disk"


@pytest.mark.real
def test_no_repository_is_made_over_the_remains_of_another_and_old_locks_are_removed(restic: Store) -> None:
    trees.make(restic.set)
    restic.engine.store(restic.set, restic.day(0))
    config = f"Backup/{restic.kind}/config"
    marker = restic.s3.client.delete_object(Bucket=restic.bucket, Key=config)
    before = restic.listed()
    with pytest.raises(Damaged) as told:
        restic.engine.points()
    assert "undelete" in told.value.hint
    with pytest.raises(Damaged):
        restic.engine.store(restic.set, restic.day(1))
    assert restic.listed() == before
    restic.s3.client.delete_object(Bucket=restic.bucket, Key=config, VersionId=marker["VersionId"])
    assert len(restic.engine.points()) == 1
