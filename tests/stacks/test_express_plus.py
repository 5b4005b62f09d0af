"""Every variant of Express Plus and every setting flipped: sound, free of findings, within CloudFormation's limits."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from hostemr.deployment.express_plus_rows import INSTANCE_SIZES, SETTINGS
from hostemr.host.configuration import Configuration, Recovery
from hostemr.host.configuration import parse as parse_configuration
from hostemr.operate.iam_grammar import check_statements
from hostemr.operate.order import creation_order
from hostemr.stacks.express_plus_acknowledgements import OF_EXPRESS_PLUS
from hostemr.stacks.express_plus_template import LONGEST_TEMPLATE
from hostemr.stacks.launch import LIMIT as LONGEST_USER_DATA
from tests.stacks.express_plus import AGENT, ANSWERS, DIGEST, FLIPPED, VARIANTS, Resolved, single, synthesize
from tests.stacks.shared import shared

WHOLE: Mapping[str, Mapping[str, Any]] = {**VARIANTS, "everything flipped": FLIPPED}
# Those that make other resources or statements; the rest are values, which are flipped all at once.
ALONE = {
    name: single(name)
    for name in (
        "domain",
        "object_lock_days",
        "object_lock_mode",
        "open_smtp_port",
        "enable_cloudtrail",
        "backup_engine",
    )
}
UNATTENDED = re.compile(r"[^\x00-\x7f]")


@cache
def complaints(template: str) -> tuple[str, ...]:
    def judged() -> tuple[str, ...]:
        matches = lint(template, config=ManualArgs(regions=["us-east-1"]))
        return tuple(f"{match.rule.id} {match.path}: {match.message}" for match in matches)

    return shared(f"complaints {template}", judged)


def test_every_setting_is_flipped_somewhere() -> None:
    assert set(FLIPPED) == {row.name for row in SETTINGS}
    for row in SETTINGS:
        assert FLIPPED[row.name] != row.default, row.name


@pytest.mark.parametrize("name", [*WHOLE, *ALONE])
def test_no_finding_is_open_and_every_reason_holds(name: str) -> None:
    made = synthesize({**WHOLE, **ALONE}[name])
    assert made.findings == ()
    for entry in OF_EXPRESS_PLUS:
        assert entry.evidence(made.template), entry.reason


@pytest.mark.parametrize("name", [*WHOLE, *ALONE])
def test_a_template_is_sound(name: str) -> None:
    made = synthesize({**WHOLE, **ALONE}[name])
    assert check_statements(made.template) == []
    assert creation_order(made.template)
    assert "BootstrapVersion" not in made.template["Parameters"]
    assert "cdk-bootstrap" not in made.text, "no asset lies anywhere else"
    assert "Transform" not in made.template, "nothing asks for CAPABILITY_AUTO_EXPAND"
    assert UNATTENDED.search(json.dumps(made.template, ensure_ascii=False)) is None, "CloudFormation shows ? for it"


# The recovery as it ships is judged below, and everything flipped is a developer's recovery: each takes seconds.
@pytest.mark.parametrize("name", ["OpenEMR-Express-Plus", "everything flipped"])
def test_cfn_lint_says_nothing(name: str) -> None:
    assert complaints(synthesize(WHOLE[name]).text) == ()


@pytest.mark.parametrize("name", VARIANTS)
def test_the_stack_is_named_as_the_originals_file_was(name: str) -> None:
    assert synthesize(VARIANTS[name]).name == name


def test_way_out_comes_before_the_server_and_the_alarms_after_it_is_ready() -> None:
    order = creation_order(synthesize({"recovery": True}).template)
    wave = {name: number for number, names in enumerate(order) for name in names}
    for earlier in ("PublicRoute", "PublicSubnetRoutes", "ServerProfile", "RecoveryPolicy", "DataVolume", "Address"):
        assert wave[earlier] < wave["ServerGroup"], earlier
    assert wave["ServerGroup"] < wave["Ready"]
    for alarm in synthesize({}).of("AWS::CloudWatch::Alarm"):
        assert wave["Ready"] < wave[alarm]


class TestProgram:
    """What ships: the real agent and the real script, in the variant that asks the most."""

    made = staticmethod(lambda: synthesize({"recovery": True}, agent=b""))

    def test_the_template_is_within_cloudformations_limits(self) -> None:
        assert len(json.dumps(self.made().template, indent=1)) < LONGEST_TEMPLATE

    def test_the_user_data_is_within_ec2s_limit_with_the_longest_answers(self) -> None:
        made = self.made()
        longest = {**ANSWERS, "Domain": f"{'a' * 60}." * 3 + "example", "Email": f"{'a' * 64}@{'b' * 60}.example"}
        text = Resolved(made.template, longest).value(
            made.properties("LaunchTemplate")["LaunchTemplateData"]["UserData"]
        )
        assert len(text.encode()) < LONGEST_USER_DATA

    def test_the_script_checks_the_agent_that_the_metadata_carries(self) -> None:
        made = self.made()
        carried = made.template["Resources"]["LaunchTemplate"]["Metadata"]["hostemr"]["agent"]
        digest = hashlib.sha256(base64.b64decode(carried, validate=True)).hexdigest()
        text = made.properties("LaunchTemplate")["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"][0]
        assert digest in text
        assert "LaunchTemplate" in text

    def test_every_place_in_the_script_is_filled(self) -> None:
        made = self.made()
        data = made.properties("LaunchTemplate")["LaunchTemplateData"]["UserData"]
        text = Resolved(made.template, ANSWERS).value(data)
        assert text.startswith("#!")
        assert "{ReadyHandle}" in text
        assert "${AWS::" not in text

    def test_cfn_lint_says_nothing_of_what_ships(self) -> None:
        assert complaints(self.made().text) == ()


class TestConfiguration:
    """The document in the metadata, as the server will read it: by the agent's own parser."""

    @staticmethod
    def told(context: Mapping[str, Any], answers: Mapping[str, str]) -> Configuration:
        made = synthesize(context)
        document = made.template["Resources"]["LaunchTemplate"]["Metadata"]["hostemr"]["configuration"]
        return parse_configuration(Resolved(made.template, {**ANSWERS, **answers}).value(document))

    def test_the_least_that_a_person_answers_is_enough(self) -> None:
        told = self.told({}, {})
        assert told.name == "Clinic"
        assert told.region == "us-east-1"
        assert told.engine == "restic"
        assert told.prefix == "Backup"
        assert told.domain is None
        assert told.email is None
        assert told.recovery is None
        assert told.openemr_image == "openemr/openemr:8.1.0"
        assert told.database_image == "mariadb:11.8.9"
        assert told.web_image == "caddy:2.11.4"
        assert told.group_resource == "ServerGroup"
        assert (told.keep_daily, told.keep_weekly, told.keep_monthly, told.full_every_days) == (14, 8, 12, 7)

    def test_what_only_aws_knows_comes_from_its_resource(self) -> None:
        told = self.told({}, {})
        assert told.bucket == "{BackupBucket}"
        assert told.key_arn == "{Key.Arn}"
        assert told.volume_id == "{DataVolume}"
        assert (told.address, told.allocation_id) == ("{Address}", "{Address.AllocationId}")
        assert told.ready_url == "{ReadyHandle}"
        secrets = (told.passphrase_secret, told.administrator_secret, told.database_secret)
        assert secrets == ("{PassphraseSecret}", "{AdministratorSecret}", "{DatabaseSecret}")

    def test_parameters_reach_the_server(self) -> None:
        answers = {"Domain": "emr.example.org", "Email": "it@clinic.example", "OpenEMRVersion": "8.2.0"}
        told = self.told({}, answers)
        assert (told.domain, told.email) == ("emr.example.org", "it@clinic.example")
        assert told.openemr_image == "openemr/openemr:8.2.0"

    def test_every_setting_of_the_agent_reaches_it(self) -> None:
        told = self.told(FLIPPED, {})
        assert told.engine == "duplicity"
        kept = (told.keep_daily, told.keep_weekly, told.keep_monthly, told.full_every_days, told.keep_previous_days)
        assert kept == (7, 4, 6, 14, 3)
        assert told.openemr_image == f"clinic/openemr:7.0.4@{DIGEST}"
        assert told.database_image == f"registry.example/mariadb@{DIGEST}"
        assert told.web_image == f"registry.example:5000/caddy@{DIGEST}"

    def test_a_recovery_is_told_of_our_bucket(self) -> None:
        assert self.told({"recovery": True}, {}).recovery == Recovery(
            bucket=ANSWERS["RecoveryS3Bucket"],
            key_arn=ANSWERS["RecoveryKMSKey"],
            passphrase_secret=ANSWERS["RecoveryPassphraseSecret"],
        )

    def test_a_recovery_is_told_of_the_originals_bucket(self) -> None:
        answers = {"RecoveryPassphraseSecret": "", "RecoveryEngine": "duplicity", "RecoveryLayout": "original"}
        assert self.told({"recovery": True}, answers).recovery == Recovery(
            bucket=ANSWERS["RecoveryS3Bucket"],
            key_arn=ANSWERS["RecoveryKMSKey"],
            engine="duplicity",
            layout="original",
        )

    def test_a_pinned_image_takes_no_other_version(self) -> None:
        context = {"openemr_image_digest": DIGEST}
        assert self.told(context, {}).openemr_image == f"openemr/openemr:8.1.0@{DIGEST}"
        assert synthesize(context).template["Parameters"]["OpenEMRVersion"]["AllowedValues"] == ["8.1.0"]


class TestNewServer:
    """What makes CloudFormation launch another server: another version of the launch template."""

    @staticmethod
    def launched(context: Mapping[str, Any], answers: Mapping[str, str], agent: bytes = AGENT) -> Any:
        made = synthesize(context, agent=agent)
        return Resolved(made.template, {**ANSWERS, **answers}).value(made.properties("LaunchTemplate"))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Domain", "emr.example.org"),
            ("Email", "it@clinic.example"),
            ("OpenEMRVersion", "8.2.0"),
            ("InstanceSize", "t4g.small"),
            ("EC2KeyPair", "mine"),
        ],
    )
    def test_another_answer_that_the_server_is_told_of(self, name: str, value: str) -> None:
        context = {} if name != "Email" else {"domain": "emr.example.org", "email": "other@clinic.example"}
        assert self.launched(context, {name: value}) != self.launched(context, {})

    @pytest.mark.parametrize(
        ("name", "value"),
        [("PracticeStorage", "50"), ("AllowedAddressRange", "198.51.100.0/24"), ("AlarmAddress", "a@b.example")],
    )
    def test_no_other_answer_does(self, name: str, value: str) -> None:
        assert self.launched({}, {name: value}) == self.launched({}, {})

    @pytest.mark.parametrize("name", ["backup_engine", "keep_daily"])
    def test_another_setting_that_the_server_is_told_of(self, name: str) -> None:
        assert self.launched(single(name), {}) != self.launched({}, {})

    def test_another_agent(self) -> None:
        assert self.launched({}, {}, agent=b"another") != self.launched({}, {})


class TestAnswers:
    """What CloudFormation takes from whoever launches the stack."""

    @staticmethod
    def takes(name: str, value: str) -> bool:
        parameter = synthesize({"recovery": True}).template["Parameters"][name]
        if "AllowedValues" in parameter:
            return value in parameter["AllowedValues"]
        fits = re.fullmatch(parameter["AllowedPattern"], value) is not None
        return fits and len(value) <= parameter.get("MaxLength", 4096)

    @pytest.mark.parametrize(
        ("name", "good", "bad"),
        [
            (
                "AllowedAddressRange",
                ["203.0.113.7/32", "0.0.0.0/0", "10.0.0.0/8"],
                ["", "203.0.113.7", "256.0.0.1/8", "10.0.0.0/33", "2001:db8::/48", "10.0.0.0/8,10.0.0.0/9"],
            ),
            (
                "Domain",
                ["", "emr.example.org", "a-b.clinic.co.uk"],
                [
                    "EMR.example.org",
                    "https://emr.example.org",
                    "example",
                    "-a.example.org",
                    "a.example.org\nb",
                    "a b.org",
                ],
            ),
            (
                "Email",
                ["", "it@clinic.example", "o-hara+x@a.example"],
                ["it", "it@clinic", "a b@c.example", "a@b.example\n"],
            ),
            ("OpenEMRVersion", ["8.1.0", "latest", "7.0.4-r1"], ["", "-x", "8.1.0 ", "8.1.0;reboot", "a/b", "$(x)"]),
            ("EC2KeyPair", ["", "my key_pair-1"], ["`x`", "a\nb"]),
            ("RecoveryS3Bucket", [ANSWERS["RecoveryS3Bucket"]], ["", "A", "s3://bucket", "bucket/Backup"]),
            ("RecoveryKMSKey", [ANSWERS["RecoveryKMSKey"]], ["", "0f0e0d0c", "alias/x", "*"]),
            ("RecoveryPassphraseSecret", ["", ANSWERS["RecoveryPassphraseSecret"]], ["*", "PassphraseSecret"]),
            ("InstanceSize", ["t3.small", "t4g.2xlarge"], ["t2.micro", "m5.large", ""]),
        ],
    )
    def test_a_parameter_takes_what_is_meant_and_refuses_what_is_not(
        self, name: str, good: list[str], bad: list[str]
    ) -> None:
        assert [value for value in good if not self.takes(name, value)] == []
        assert [value for value in bad if self.takes(name, value)] == []

    def test_every_parameter_is_grouped_labelled_described_and_says_what_it_expects(self) -> None:
        for context in VARIANTS.values():
            template = synthesize(context).template
            interface = template["Metadata"]["AWS::CloudFormation::Interface"]
            grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
            assert sorted(grouped) == sorted(template["Parameters"]) == sorted(interface["ParameterLabels"])
            for name, one in template["Parameters"].items():
                assert one["Description"].endswith("."), name
                assert ("AllowedPattern" in one) <= ("ConstraintDescription" in one), name

    def test_only_what_nobody_can_guess_has_no_default(self) -> None:
        def asked(context: Mapping[str, Any]) -> set[str]:
            parameters = synthesize(context).template["Parameters"]
            return {name for name, one in parameters.items() if "Default" not in one}

        assert asked({}) == {"AllowedAddressRange"}
        assert asked({"recovery": True}) == {"AllowedAddressRange", "RecoveryS3Bucket", "RecoveryKMSKey"}
        assert asked({"allowed_address_range": "203.0.113.0/24"}) == set()

    @pytest.mark.parametrize(
        ("answers", "said"),
        [
            ({}, []),
            ({"Domain": "emr.example.org"}, ["With a Domain"]),
            ({"Domain": "emr.example.org", "Email": "it@clinic.example"}, []),
            ({"Email": "it@clinic.example"}, []),
            ({"RecoveryPassphraseSecret": ""}, ["Give RecoveryPassphraseSecret"]),
            ({"RecoveryPassphraseSecret": "", "RecoveryLayout": "original"}, ["The original"]),
            ({"RecoveryPassphraseSecret": "", "RecoveryLayout": "original", "RecoveryEngine": "duplicity"}, []),
        ],
    )
    def test_answers_that_do_not_go_together_are_refused_before_anything_is_made(
        self, answers: Mapping[str, str], said: list[str]
    ) -> None:
        broken = Resolved(synthesize({"recovery": True}).template, {**ANSWERS, **answers}).broken_rules()
        assert len(broken) == len(said)
        assert all(line.startswith(start) for line, start in zip(broken, said, strict=True))

    def test_settings_are_the_defaults_of_parameters(self) -> None:
        parameters = synthesize(FLIPPED).template["Parameters"]
        defaults = {name: one.get("Default") for name, one in parameters.items()}
        assert defaults["InstanceSize"] == "t4g.medium"
        assert defaults["PracticeStorage"] == 100
        assert defaults["EC2KeyPair"] == "my pair"
        assert defaults["AllowedAddressRange"] == "203.0.113.0/24"
        assert defaults["Domain"] == "emr.example.org"
        assert defaults["Email"] == defaults["AlarmAddress"] == "it@clinic.example"
        assert defaults["OpenEMRVersion"] == "7.0.4"
        assert (parameters["PracticeStorage"]["MinValue"], parameters["PracticeStorage"]["MaxValue"]) == (10, 16384)

    @pytest.mark.parametrize("size", INSTANCE_SIZES)
    def test_every_size_has_the_ubuntu_of_its_processor(self, size: str) -> None:
        made = synthesize({})
        data = made.properties("LaunchTemplate")["LaunchTemplateData"]
        resolved = Resolved(made.template, {**ANSWERS, "InstanceSize": size})
        architecture = "arm64" if size.startswith("t4g") else "amd64"
        assert resolved.value(data["ImageId"]) == (
            f"resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/{architecture}/hvm/ebs-gp3/ami-id"
        )
