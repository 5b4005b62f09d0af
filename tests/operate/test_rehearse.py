"""A rehearsal as a whole: its parts, what counts as a finding, what was not done."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from hostemr.errors import SettingsError
from hostemr.operate.rehearsal.emulator import Emulator, NotInstalled
from hostemr.operate.rehearsal.report import as_text, duration
from hostemr.operate.rehearsal.targets import Target, read_target
from hostemr.operate.rehearse import Wanted, rehearse
from tests.operate.templates import KEEP, att, database_stack, resource, template

TOLD = Wanted(create=False)
"""Without what an emulator does."""


def target(made: dict[str, Any], **options: Any) -> Target:
    return Target("it", {"one": made}, options.get("protected"), ours=options.get("ours", False))


class TestFindings:
    def test_a_replacement_of_a_database_is_a_finding_and_loud(self) -> None:
        found = rehearse(target(database_stack(StorageEncrypted=False)), target(database_stack()), TOLD)
        assert any(line.startswith("update: one/Cluster replaced") for line in found.findings)
        shown = list(as_text(found))
        assert any(line.startswith("! update    DATA") for line in shown[:8]), "at a glance"

    def test_an_addition_is_none(self) -> None:
        after = database_stack()
        after["Resources"]["Topic"] = resource("AWS::SNS::Topic")
        found = rehearse(target(after), target(database_stack()), TOLD)
        assert found.findings == ()
        assert "            no data would go" in list(as_text(found))

    def test_a_key_that_goes_while_its_data_stays_is_one(self) -> None:
        files = resource("AWS::EFS::FileSystem", attributes=KEEP, KmsKeyId=att("K", "Arn"))
        found = rehearse(target(template({"K": resource("AWS::KMS::Key"), "F": files})), None, TOLD)
        assert len(found.findings) == 1
        assert found.findings[0].startswith("deletion: one/K: the key is scheduled for deletion")

    def test_a_database_that_only_leaves_a_snapshot_is_none_for_the_deletion_was_asked_for(self) -> None:
        made = template({"D": resource("AWS::RDS::DBCluster", Engine="aurora-mysql")})
        assert rehearse(target(made), None, TOLD).findings == ()


class TestGaps:
    def test_what_no_emulator_can_create_is_named(self) -> None:
        found = rehearse(target(database_stack()), None, Wanted())
        assert any(
            "one was not created anywhere: the emulator cannot create AWS::RDS::DBCluster" in gap for gap in found.gaps
        )
        assert found.stacks == ()
        assert list(as_text(found))[-len(found.gaps) - 1] == "Not done"

    def test_the_code_of_templates_that_were_only_read_does_not_run_unasked(self) -> None:
        made = template({"T": resource("Custom::Thing", ServiceToken="arn:aws:lambda:us-east-1:1:function:f")})
        found = rehearse(target(made), None, Wanted())
        assert any("--handlers would run the templates' code here" in gap for gap in found.gaps)
        assert found.handlers == ()

    def test_without_the_emulator_the_rest_is_told_and_it_is_said_what_to_install(self) -> None:
        def missing(region: str) -> AbstractContextManager[Emulator]:
            raise NotInstalled(f"there is none for {region}", hint="install it")

        found = rehearse(target(template({"T": resource("AWS::SNS::Topic")})), None, Wanted(), start=missing)
        assert "nothing ran on an emulator: there is none for us-east-1; install it" in found.gaps
        assert found.stacks == ()
        assert found.creation is not None

    def test_protection_that_nobody_told_of_is_one(self) -> None:
        made = template({"T": resource("AWS::SNS::Topic")})
        assert any("termination-protected" in gap for gap in rehearse(target(made), None, TOLD).gaps)
        assert rehearse(target(made, protected=frozenset()), None, TOLD).gaps == ()


def test_only_what_was_asked_for_is_there() -> None:
    made = target(template({"T": resource("AWS::SNS::Topic")}))
    found = rehearse(made, made, Wanted(create=False, update=True, delete=False))
    assert (found.creation, found.deletion) == (None, None)
    assert found.update is not None
    data = found.as_data()
    assert data["creation"] is None
    assert data["update"]["resources"] == []


@pytest.mark.parametrize(
    ("seconds", "said"), [(5, "5 s"), (119, "119 s"), (120, "2 min"), (3600, "60 min"), (9000, "2.5 h")]
)
def test_times_are_said_as_people_do(seconds: float, said: str) -> None:
    assert duration(seconds) == said


class TestTargets:
    def test_files_are_named_by_their_stacks(self, tmp_path: Path) -> None:
        for name in ("data.template.json", "service.yaml"):
            (tmp_path / name).write_text('{"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}', encoding="utf-8")
        found = read_target([str(tmp_path / "data.template.json"), str(tmp_path / "service.yaml")], {}, tmp_path)
        assert set(found.templates) == {"data", "service"}
        assert found.protected is None
        assert not found.ours

    def test_all_that_is_wrong_is_told_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError) as raised:
            read_target(["nothing", str(tmp_path)], {"size": "trial"}, tmp_path)
        assert len(raised.value.problems) == 3
        assert "openemr, openmrs, express-plus" in raised.value.hint
