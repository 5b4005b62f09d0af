"""Stacks that are really created, updated and deleted on the emulator."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from hostemr.operate.rehearsal.emulated_stack import reason_not_to, run_stack
from hostemr.operate.rehearsal.emulator import Emulator
from hostemr.operate.rehearsal.report import as_text
from hostemr.operate.rehearsal.targets import Target
from hostemr.operate.rehearse import Wanted, rehearse
from tests.operate.templates import KEEP, ref, resource, template
from tests.stacks import express_plus


def test_express_plus_is_created_updated_and_deleted_and_its_data_stays(emulator: Emulator) -> None:
    made = express_plus.synthesize({})
    found = run_stack(made.name, made.template, emulator)
    assert [(phase.name, phase.status) for phase in found.phases] == [
        ("create", "CREATE_COMPLETE"),
        ("update", "UPDATE_COMPLETE"),
        ("delete", "DELETE_COMPLETE"),
    ]
    assert found.problems == ()
    assert {"BackupBucket (AWS::S3::Bucket)", "Key (AWS::KMS::Key)", "DataVolume (AWS::EC2::Volume)"} <= set(found.kept)
    buckets = {one["Name"] for one in emulator.client("s3").list_buckets()["Buckets"]}
    assert any("backupbucket" in name for name in buckets), "the emulator has it still"


def test_what_the_emulator_passes_over_is_listed(emulator: Emulator) -> None:
    made = template({"T": resource("AWS::SNS::Topic"), "A": resource("AWS::CloudWatch::Alarm", MetricName="m")})
    found = run_stack("s", made, emulator)
    assert found.passed_over == ("AWS::CloudWatch::Alarm",)
    assert [phase.status for phase in found.phases][1] == "not tried: nothing would change"


def test_with_a_former_template_that_one_is_created_and_updated_to_the_new_one(emulator: Emulator) -> None:
    before = template({"T": resource("AWS::SNS::Topic")})
    after = template({"T": resource("AWS::SNS::Topic"), "Q": resource("AWS::SQS::Queue")})
    found = run_stack("s", after, emulator, before=before)
    assert [phase.resources for phase in found.phases] == [1, 2, 0]
    assert found.problems == ()


def test_a_bucket_that_is_to_stay_and_one_that_is_not_are_told_apart(emulator: Emulator) -> None:
    made = template({"Kept": resource("AWS::S3::Bucket", attributes=KEEP), "Gone": resource("AWS::S3::Bucket")})
    found = run_stack("s", made, emulator)
    assert found.kept == ("Kept (AWS::S3::Bucket)",)
    assert found.problems == ()


def test_what_the_emulator_fails_at_is_a_problem_of_that_phase(emulator: Emulator) -> None:
    made = template({"S": resource("AWS::EC2::Subnet", VpcId="vpc-none", CidrBlock="10.0.0.0/24")})
    found = run_stack("s", made, emulator)
    assert [phase.name for phase in found.phases] == ["create"]
    assert found.problems
    assert found.kept == ()


def test_it_is_part_of_a_rehearsal_and_of_its_text(emulator: Emulator) -> None:
    made = Target("it", {"one": template({"T": resource("AWS::SNS::Topic")})}, frozenset(), ours=False)
    found = rehearse(made, None, Wanted(delete=False), start=lambda region: nullcontext(emulator))  # noqa: ARG005
    assert [phase.status for phase in found.stacks[0].phases][-1] == "DELETE_COMPLETE"
    assert found.gaps == ()
    assert "one, really done on the emulator" in list(as_text(found))


class TestParameters:
    def made(self, **declared: Any) -> dict[str, Any]:
        topic = resource("AWS::SNS::Topic", DisplayName=ref("P"))
        return template({"T": topic}, Parameters={"P": {"Type": "String", **declared}})

    def test_a_sample_fits_the_pattern(self, emulator: Emulator) -> None:
        found = run_stack("s", self.made(AllowedPattern=r"\d+\.\d+\.\d+\.\d+/\d+"), emulator)
        assert found.parameters == (("P", "203.0.113.0/24"),)

    def test_without_a_sample_it_says_what_to_give(self, emulator: Emulator) -> None:
        made = self.made(AllowedPattern="only-this")
        assert run_stack("s", made, emulator).not_run == "no sample fits the parameter P; give --parameter NAME=VALUE"
        assert run_stack("s", made, emulator, given={"P": "only-this"}).problems == ()


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (resource("AWS::RDS::DBCluster"), "the emulator cannot create AWS::RDS::DBCluster"),
        (resource("Custom::Thing"), "the emulator cannot call the functions of custom resources"),
        (resource("AWS::SNS::Topic", TopicName={"Fn::ImportValue": "x"}), "it imports from a stack"),
        (resource("AWS::SNS::Topic"), ""),
    ],
)
def test_what_cannot_be_tried_is_said_with_its_reason(one: dict[str, Any], reason: str) -> None:
    said = reason_not_to(template({"R": one}))
    assert said.startswith(reason) if reason else not said


def test_any_region_will_do(emulator: Emulator) -> None:
    bucket = template({"Bucket": resource("AWS::S3::Bucket", attributes=KEEP)})
    elsewhere = Emulator(region="eu-west-1")
    elsewhere.endpoint = emulator.endpoint  # the same process plays every region
    found = run_stack("s", bucket, elsewhere)
    assert [phase.status for phase in found.phases][::2] == ["CREATE_COMPLETE", "DELETE_COMPLETE"]
    assert found.kept == ("Bucket (AWS::S3::Bucket)",)


def test_a_page_that_the_emulator_answers_where_its_own_code_fails_is_a_failed_phase(emulator: Emulator) -> None:
    made = template({"A": resource("AWS::S3::Bucket", BucketName={"Ref": ["x"]})})
    found = run_stack("s", made, emulator)
    assert [(phase.name, phase.status) for phase in found.phases] == [("create", "the emulator failed")]
    assert found.problems == ("create: the emulator's own code failed, and it gave no answer that can be read",)


def test_odd_destinations_and_allowed_values_are_left_to_the_emulator(emulator: Emulator) -> None:
    for odd in ({"Fn::GetAtt": None}, {"Fn::GetAtt": [["a"], "Arn"]}, {"Fn::GetAtt": "Topic"}):
        made = template(
            {"T": resource("AWS::SNS::Topic"), "F": resource("AWS::EC2::FlowLog", LogDestination=odd)},
            Parameters={"P": {"Type": "String", "Default": "a", "AllowedValues": 3}},
        )
        assert run_stack("s", made, emulator).phases
        emulator.reset()
