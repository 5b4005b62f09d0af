"""The registration service's three stacks together: every option is sound, no toggle harms the register."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import aws_cdk as cdk
import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from hostemr.deployment.load import as_context, load_registration
from hostemr.deployment.registration_rows import REGISTRATION, SETTINGS
from hostemr.operate.changes import Change, Kind, compare, harm
from hostemr.operate.iam_grammar import check_statements
from hostemr.operate.order import creation_order
from hostemr.operate.stacks import export_conflicts, stack_order
from hostemr.stacks.registration_acknowledgements import OF_REGISTRATION
from hostemr.stacks.registration_app import build_registration
from tests.stacks.registration import FLIPPED, SAMPLES, Made, single, synthesize
from tests.stacks.shared import shared
from tests.stacks.test_app import DEPLOYMENTS, new_deployment, run_app
from tests.stacks.test_app import cdk as run_cdk
from tests.stacks.test_samples import SNAPSHOTS, check_snapshots

CONFIGURATIONS: Mapping[str, Mapping[str, Any]] = {**SAMPLES, **{name: single(name) for name in FLIPPED}}
STACKS = ("data", "mail", "service")


class TestSettings:
    def test_each_has_another_value_here(self) -> None:
        defaults = as_context(load_registration({}))
        assert set(FLIPPED) == {row.key(REGISTRATION) for row in SETTINGS} == set(defaults)
        for name in FLIPPED:
            assert as_context(load_registration(single(name)))[name] != defaults[name], name

    def test_the_sample_cdk_json_writes_the_defaults_out(self) -> None:
        document = json.loads((DEPLOYMENTS / "registration" / "cdk.json").read_text())
        defaults = as_context(load_registration({}))
        assert document["app"] == "node ../synthesize.js registration"
        assert document["context"] == {name: defaults[name] for name in document["context"]}
        # In the order in which people read them.
        assert list(document["context"]) == [name for name in defaults if name in document["context"]]


class TestEveryOption:
    @pytest.mark.parametrize("name", CONFIGURATIONS)
    def test_no_finding_is_open_and_every_reason_holds(self, name: str) -> None:
        made = synthesize(CONFIGURATIONS[name])
        assert made.findings == ()
        for entry in OF_REGISTRATION:
            assert entry.evidence(made.templates), entry.reason

    @pytest.mark.parametrize("name", CONFIGURATIONS)
    def test_the_templates_can_be_deployed_one_after_the_other(self, name: str) -> None:
        made = synthesize(CONFIGURATIONS[name])
        for template in made.stacks.values():
            creation_order(template)
            assert check_statements(template) == []
            assert len(json.dumps(template).encode()) < 1_000_000, "CloudFormation takes templates of up to 1 MB"
        data, mail, service = made.names
        assert stack_order(made.stacks) == [(data, mail), (service,)]

    @pytest.mark.parametrize("stack", STACKS)
    def test_cfn_lint_says_nothing_of_any_form_of_a_resource(self, stack: str) -> None:
        """Every form that a resource takes in any configuration, once each, in one template that holds them all."""
        merged: dict[str, Any] = {"Resources": {}, "Mappings": {}}
        seen: set[str] = set()
        for context in CONFIGURATIONS.values():
            template = getattr(synthesize(context), stack)
            for name, one in template["Resources"].items():
                form = json.dumps(one | {"Metadata": linted(one)}, sort_keys=True).replace("-north", "")
                if f"{name} {form}" not in seen:
                    seen.add(f"{name} {form}")
                    free = name if name not in merged["Resources"] else f"{name}Form{len(seen)}"
                    merged["Resources"][free] = json.loads(form)
            merged["Mappings"] |= template.get("Mappings", {})
        # Names are written twice, and there are too many.
        assert complaints(json.dumps(merged), ("E3019", "E3010")) == ()


def linted(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Of a resource's metadata what cfn-lint reads."""
    return {key: value for key, value in resource.get("Metadata", {}).items() if key == "cfn-lint"}


@cache
def complaints(template: str, except_for: tuple[str, ...] = ()) -> tuple[str, ...]:
    def judged() -> tuple[str, ...]:
        matches = lint(template, config=ManualArgs(regions=["us-east-1"], ignore_checks=list(except_for)))
        return tuple(f"{match.rule.id} {match.path}: {match.message}" for match in matches)

    return shared(f"complaints {except_for} {template}", judged)


def test_the_only_thing_hidden_from_cfn_lint_is_the_databases_short_version() -> None:
    for context in SAMPLES.values():
        hidden = {
            (one["Type"], json.dumps(linted(one)))
            for template in synthesize(context).stacks.values()
            for one in template["Resources"].values()
            if linted(one)
        }
        assert hidden == {("AWS::RDS::DBInstance", '{"cfn-lint": {"config": {"ignore_checks": ["E3691"]}}}')}


# What is asked for by the setting's own name, and so is no harm. Nothing else may be.
ON_PURPOSE: Mapping[str, set[tuple[str, Kind]]] = {
    "rds_deletion_protection": {("AWS::RDS::DBInstance", Kind.UPDATED)},
    "log_retention_days": {("AWS::Logs::LogGroup", Kind.UPDATED)},
    "backup_vault_lock_days": {("AWS::Backup::BackupVault", Kind.UPDATED)},
}
TOGGLES = [name for name in FLIPPED if name != "registration_resource_suffix"]
"""A suffix names another deployment beside the first; it changes nothing that exists."""


def both_ways(name: str) -> list[tuple[str, Made, Made]]:
    default, toggled = synthesize({}), synthesize(single(name))
    return [("there", default, toggled), ("back", toggled, default)]


def changes(before: Made, after: Made) -> list[Change]:
    return [one for stack in STACKS for one in compare(getattr(before, stack), getattr(after, stack))]


class TestToggles:
    @pytest.mark.parametrize("name", TOGGLES)
    def test_a_toggle_harms_nothing_that_holds_data(self, name: str) -> None:
        for way, before, after in both_ways(name):
            found = changes(before, after)
            for change in (*harm(found), *(one for one in found if one.kind is Kind.REFUSED)):
                assert (change.type_name, change.kind) in ON_PURPOSE.get(name, set()), (way, change)

    @pytest.mark.parametrize("name", TOGGLES)
    def test_a_toggle_replaces_and_removes_no_database_key_secret_or_queue(self, name: str) -> None:
        kept = ("AWS::RDS::", "AWS::KMS::", "AWS::SecretsManager::Secret", "AWS::SQS::", "AWS::Backup::BackupVault")
        for way, before, after in both_ways(name):
            for change in changes(before, after):
                if change.type_name.startswith(kept):
                    # Their own settings change the first two in place.
                    assert change.kind in {Kind.UPDATED, Kind.POLICY_CHANGED}, (way, change)

    # CloudFormation refuses these while the service stack is there, and leaves everything as it was.
    REFUSED: Mapping[str, set[str]] = {
        "vpc_cidr": {"there", "back"},
        # Fewer zones than before: the service stack still uses the subnets of the last one.
        "availability_zones": {"back"},
    }

    @pytest.mark.parametrize("name", TOGGLES)
    def test_a_toggle_changes_no_export_that_the_service_stack_imports(self, name: str) -> None:
        conflicts = {way for way, before, after in both_ways(name) if export_conflicts(before.stacks, after.stacks)}
        assert conflicts == self.REFUSED.get(name, set())

    def test_the_check_sees_harm_where_there_is_some(self) -> None:
        """The measure itself: a database that would be replaced is found."""
        data = synthesize({}).data
        [name] = [name for name, one in data["Resources"].items() if one["Type"] == "AWS::RDS::DBInstance"]
        resource = data["Resources"][name]
        other = resource | {"Properties": resource["Properties"] | {"StorageEncrypted": False}}
        changed = {**data, "Resources": data["Resources"] | {name: other}}
        assert {one.logical_id: one.kind for one in harm(compare(data, changed))}[name] is Kind.REPLACED


class TestStacks:
    def test_the_service_comes_after_both_others(self) -> None:
        app = build_registration(load_registration(SAMPLES["everything"]))
        stacks = {one.stack_name: one for one in app.node.children if isinstance(one, cdk.Stack)}
        assert [one.stack_name for one in stacks["registration-service"].dependencies] == [
            "registration-data",
            "registration-mail",
        ]

    def test_doubts_are_said_at_synthesis(self) -> None:
        said = load_registration(single("database_multi_az")).warnings
        app = build_registration(load_registration(single("database_multi_az")))
        messages = [one.entry.data for stack in app.synth().stacks for one in stack.messages]
        assert len(said) == 2
        assert all(any(line in str(message) for message in messages) for line in said)

    @pytest.mark.parametrize("sample", SAMPLES)
    def test_the_templates_of_a_sample_are_the_ones_that_were_looked_at(self, sample: str) -> None:
        """UPDATE_SNAPSHOTS=1 writes them anew, to be read before they are kept."""
        texts = {name: without_assets(one) for name, one in synthesize(SAMPLES[sample]).stacks.items()}
        check_snapshots("registration", sample, texts)

    def test_no_snapshot_is_left_over(self) -> None:
        for path in (SNAPSHOTS / "registration").iterdir():
            assert path.name.rpartition("-")[0] in SAMPLES, path


def without_assets(template: Mapping[str, Any]) -> dict[str, Any]:
    """The hash of the image that `cdk deploy` builds changes with every line of the service's code."""
    text = re.sub(r":[0-9a-f]{64}\b", ":(the checkout)", json.dumps(template))
    read: dict[str, Any] = json.loads(text)
    return read


class TestModule:
    def test_it_writes_the_templates_where_the_cdk_wants_them(self, tmp_path: Any) -> None:
        ended = run_app(tmp_path, "registration", context=SAMPLES["everything"])
        assert (ended.returncode, ended.stderr) == (0, "")
        written = json.loads((tmp_path / "out" / "registration-mail.template.json").read_text())
        assert written == json.loads(json.dumps(synthesize(SAMPLES["everything"]).mail))

    def test_wrong_settings_are_told_all_at_once_before_anything_is_made(self, tmp_path: Any) -> None:
        ended = run_app(tmp_path, "registration", context={"host": "reg.example.org", "ses_region": "here"})
        assert ended.returncode == 2
        assert "host is no setting of hostemr; did you mean host_name?" in ended.stderr
        assert "ses_region" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert not (tmp_path / "out").exists()


@pytest.mark.real
class TestCommandLine:
    """No account, no network, no Docker: what works before any."""

    def test_ls_names_the_three_stacks_in_the_order_of_their_deployment(self, tmp_path: Any) -> None:
        listed = run_cdk(new_deployment(tmp_path, "registration"), "ls", "-c", "ses_region=us-west-2")
        assert listed.returncode == 0, listed.stderr
        assert listed.stdout.split() == ["registration-data", "registration-mail", "registration-service"]

    def test_synth_of_the_folder_that_is_shipped_gives_the_mail_stack(self, tmp_path: Any) -> None:
        ended = run_cdk(new_deployment(tmp_path, "registration"), "synth", "registration-mail")
        assert ended.returncode == 0, ended.stderr
        assert "AWS::SES::EmailIdentity" in ended.stdout
