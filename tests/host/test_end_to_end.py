"""A clinic's days, its worst day, and the day after: both engines, S3, MariaDB and the agent's own command line."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from hostemr.errors import FindingsError
from hostemr.host import sources
from hostemr.host.aws import Aws
from hostemr.host.backup import backup
from hostemr.host.drill import drill
from hostemr.host.engines import Engine
from hostemr.host.engines.duplicity import Duplicity
from hostemr.host.engines.places import Bucket
from hostemr.host.recovering import recover
from hostemr.host.restore import restore
from tests.host.machine import PASSPHRASE, Machine
from tests.peers.s3 import PrivateS3, QuickAws, missing_programs

pytestmark = pytest.mark.real
_numbers = itertools.count(1)
PACKAGES = {"restic": "restic", "duplicity": "duplicity", "aws": "awscli"}


@pytest.fixture(autouse=True)
def _programs() -> None:
    if missing := missing_programs(*PACKAGES):
        pytest.skip(f"needs {', '.join(missing)}")


@pytest.fixture(params=["restic", "duplicity"])
def clinic(request: pytest.FixtureRequest, new_machine: Callable[..., Machine], s3: PrivateS3) -> Machine:
    bucket = f"by-days-{request.param}-{next(_numbers)}"
    s3.make_bucket(bucket)
    machine = new_machine(engine=request.param, bucket=bucket, endpoint_url=s3.url, keep_daily=2, keep_weekly=1)
    return quick(machine, s3)


def without_waiting(clinic: Machine) -> Engine:
    """The clinic's own engine; Duplicity's tries follow each other at once, and it is soon ended where it hangs."""
    one = clinic.configuration
    if one.engine == "restic":
        return sources.own(clinic.server)
    place = Bucket(
        aws=clinic.server.aws, name=one.bucket, prefix=one.prefix, region=one.region, endpoint_url=one.endpoint_url
    )
    archive = clinic.layout.cache / "duplicity-own"
    return Duplicity(
        clinic.server.programs,
        place,
        passphrase=PASSPHRASE,
        archive=archive,
        retry_delay_seconds=0,
        ends_within=1,
    )


class QuickMachinesAws(QuickAws):
    """S3 without the second that each start of the AWS command line takes, the rest as the machine has it."""

    def __init__(self, url: str, aws: Aws) -> None:
        super().__init__(url)
        self._aws = aws

    def secret(self, arn: str) -> str:
        return self._aws.secret(arn)

    def metric(self, namespace: str, server: str, values: Mapping[str, tuple[float, str]]) -> None:
        self._aws.metric(namespace, server, values)


def quick(machine: Machine, s3: PrivateS3) -> Machine:
    machine.server = replace(machine.server, aws=QuickMachinesAws(s3.url, machine.server.aws))
    # Else GnuPG measures for half a second, at each start, how much work it can do for a key.
    gpg = machine.folder / "bin" / "gpg"
    gpg.write_text('#!/bin/sh\nexec /usr/bin/gpg --s2k-count=1024 "$@"\n')
    gpg.chmod(0o755)
    return machine


def test_days_of_a_clinic_its_total_loss_and_its_recovery(
    clinic: Machine, new_machine: Callable[..., Machine], s3: PrivateS3
) -> None:
    engine = sources.own(clinic.server)
    days = {}
    for _ in range(3):
        clinic.visits(10)
        days[backup(clinic.server, engine).point] = clinic.contents()
        clinic.days(1)
    clinic.sql("DROP DATABASE openemr")
    yesterday = sorted(days)[-2]
    restore(clinic.server, engine, moment=yesterday.taken)
    assert clinic.contents() == days[yesterday]

    clinic.close()
    shutil.rmtree(clinic.root)
    configuration = clinic.configuration
    other = new_machine(
        installed=False,
        name="clinic-again",
        bucket="another",
        endpoint_url=s3.url,
        recovery={
            "bucket": configuration.bucket,
            "passphrase_secret": configuration.passphrase_secret,
            "engine": configuration.engine,
        },
    )
    other.now = clinic.now
    before = s3.keys(configuration.bucket)
    outcome = recover(quick(other, s3).server)
    assert outcome.facts["skipped"] == []
    assert other.contents() == days[max(days)]
    assert s3.keys(configuration.bucket) == before, "a recovery only reads"


def test_what_is_damaged_in_the_bucket_is_found_by_the_drill_and_passed_over_by_the_restore(
    clinic: Machine, s3: PrivateS3
) -> None:
    engine = without_waiting(clinic)
    clinic.visits(5)
    first = backup(clinic.server, engine).point
    expected = clinic.contents()
    clinic.days(1)
    clinic.visits(500)
    known = set(s3.keys(clinic.configuration.bucket))
    second = backup(clinic.server, engine).point
    added = [key for key in s3.keys(clinic.configuration.bucket) if key not in known]
    # A data pack of restic's, or an increment's volume of Duplicity's: what the second backup alone needs.
    (victim, *_) = [key for key in added if "/data/" in key or ".difftar." in key]
    s3.flip(clinic.configuration.bucket, victim)
    for cache in clinic.layout.cache.iterdir():
        if cache.is_dir():
            shutil.rmtree(cache)
    with pytest.raises(FindingsError, match="cannot be restored") as caught:
        drill(clinic.server, engine)
    assert f"The last good one is of {first.taken:%Y-%m-%d %H:%M} UTC" in caught.value.message
    assert clinic.metrics()[-1] == ("DrillAgeDays", 999)
    restored = restore(clinic.server, engine)
    assert (restored.point, [point for point, _ in restored.skipped]) == (first, [second])
    assert clinic.contents() == expected
    clinic.days(1)
    third = backup(clinic.server, engine).point
    assert drill(clinic.server, engine).point == third, "it shares nothing with what is damaged"


def test_the_command_line_from_the_first_backup_to_the_restore(
    new_machine: Callable[..., Machine], s3: PrivateS3
) -> None:
    s3.make_bucket("by-hand")
    clinic = new_machine(bucket="by-hand", endpoint_url=s3.url)

    def run(*arguments: str) -> tuple[int, str, str]:
        process = clinic.agent(*arguments)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    status, out, err = run("backup", "--json")
    assert status == 0, err
    assert json.loads(out)["rows"] > 20
    expected = clinic.contents()
    status, out, err = run("drill")
    assert status == 0, err
    assert "are what was stored" in out
    status, out, err = run("status")
    assert status == 0, out + err
    assert "One could restore right now." in out
    clinic.sql("DROP TABLE openemr.patient_data")
    status, out, err = run("restore")
    assert status == 1
    assert "*** WARNING ***" in err
    assert "Run it again with --confirm" in err
    assert clinic.query("SHOW TABLES FROM openemr LIKE 'patient_data'") == []
    status, out, err = run("restore", "--confirm")
    assert status == 0, err
    assert "restored" in out
    assert clinic.contents() == expected
    status, out, _ = run("discard", "--confirm")
    assert status == 0
    assert len(list(clinic.layout.generations.iterdir())) == 1
    everything = (clinic.home / "aws.jsonl").read_text() + json.dumps(clinic.calls()) + out + err
    assert "correct horse" not in everything


def test_a_stop_of_the_server_ends_a_backup_with_one_line(new_machine: Callable[..., Machine], s3: PrivateS3) -> None:
    s3.make_bucket("stopped")
    clinic = new_machine(bucket="stopped", endpoint_url=s3.url)
    with clinic.gate("mariadb-backup") as reached:
        process = clinic.agent("backup")
        while not reached.exists():
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "error: The agent was told to stop (SIGTERM)." in err
    assert "Traceback" not in err
    assert ("BackupFailures", 1) in clinic.metrics()
    assert out == ""
