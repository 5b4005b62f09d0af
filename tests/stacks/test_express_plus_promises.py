"""What Express Plus promises, by name, wherever the template can show it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from hostemr.deployment import outputs
from hostemr.stacks.express_plus_alarms import WATCHES
from tests.stacks.express_plus import ANSWERS, VARIANTS, Made, Resolved, single, synthesize

ROOT = Path(__file__).parents[2]
every = pytest.mark.parametrize("context", VARIANTS.values(), ids=VARIANTS)


def launched(made: Made) -> dict[str, Any]:
    found: dict[str, Any] = made.properties("LaunchTemplate")["LaunchTemplateData"]
    return found


def statements(made: Made) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, statement)
        for name, policy in made.of("AWS::IAM::ManagedPolicy").items()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]


def actions(made: Made) -> set[str]:
    return {action for _, statement in statements(made) for action in statement["Action"]}


class TestServer:
    @every
    def test_it_answers_only_version_2_of_the_metadata_service_and_containers_not_at_all(
        self, context: Mapping[str, Any]
    ) -> None:
        options = launched(synthesize(context))["MetadataOptions"]
        assert options == {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1}

    @every
    def test_both_its_volumes_are_encrypted(self, context: Mapping[str, Any]) -> None:
        made = synthesize(context)
        [disk] = launched(made)["BlockDeviceMappings"]
        assert disk["Ebs"]["Encrypted"] is True
        assert disk["Ebs"]["KmsKeyId"] == "alias/aws/ebs", "Auto Scaling would need a grant on any other key"
        assert made.properties("DataVolume")["Encrypted"] is True
        assert made.properties("DataVolume")["KmsKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}

    @pytest.mark.parametrize("context", [{}, {"recovery": True}])
    def test_ssh_is_closed_with_a_key_pair_too(self, context: Mapping[str, Any]) -> None:
        made = synthesize(context)
        assert {one["Properties"]["FromPort"] for one in made.of("AWS::EC2::SecurityGroupIngress").values()} == {
            80,
            443,
        }

    def test_port_80_is_open_to_everybody_only_with_a_domain(self) -> None:
        made = synthesize({})
        without, with_one = (
            Resolved(made.template, {**ANSWERS, **more}).value(made.properties("HttpIn"))["CidrIp"]
            for more in ({}, {"Domain": "emr.example.org", "Email": "it@clinic.example"})
        )
        assert (without, with_one) == ("203.0.113.0/24", "0.0.0.0/0")
        resolved = Resolved(made.template, {**ANSWERS, "Domain": "emr.example.org"})
        assert resolved.value(made.properties("HttpsIn"))["CidrIp"] == "203.0.113.0/24"

    def test_it_reaches_out_by_https_and_http_and_by_mail_only_if_asked(self) -> None:
        def ports(context: Mapping[str, Any]) -> set[int]:
            rules = synthesize(context).of("AWS::EC2::SecurityGroupEgress").values()
            return {rule["Properties"]["FromPort"] for rule in rules}

        assert ports({}) == {80, 443}
        assert ports(single("open_smtp_port")) == {80, 443, 465, 587}

    def test_a_server_that_says_nothing_is_waited_for_as_long_in_every_variant(self) -> None:
        """CloudFormation updates no wait condition, and a recovery stack may become a standard one."""
        for variant in ({}, {"recovery": True}):
            assert synthesize(variant).properties("Ready")["Timeout"] == "14400"

    def test_it_is_found_and_followed_by_the_outputs(self) -> None:
        made = synthesize({})
        told = {name: one["Value"] for name, one in made.template["Outputs"].items()}
        assert set(told) == {value for name, value in vars(outputs).items() if name.startswith("EXPRESS_PLUS_")}
        plain = Resolved(made.template, ANSWERS)
        assert plain.value(told["OpenEMR"]) == "https://{Address}"
        named = Resolved(made.template, {**ANSWERS, "Domain": "emr.example.org"})
        assert named.value(told["OpenEMR"]) == "https://emr.example.org"
        assert plain.value(told["Session"]).startswith("aws ssm start-session --region us-east-1 --target $(aws ec2 ")
        assert "/tmp/launch.log" in told["Log"]


class TestRights:
    def test_the_server_may_do_what_its_program_asks_of_aws_and_no_more_of_ec2(self) -> None:
        """The agent's own calls, read from its source, against the statements of the role."""
        text = "\n".join(
            path.read_text()
            for folder in ("src/hostemr/host", "src/hostemr/stacks/containers/server")
            for path in (ROOT / folder).rglob("*")
            if path.suffix in {".py", ".sh"}
        )
        calls = set(re.findall(r'"(ec2|cloudformation)",\s+"([a-z-]+)"', text))
        calls |= set(re.findall(r"aws (ec2|cloudformation) ([a-z-]+)", text))
        asked = {f"{service}:{name.title().replace('-', '')}" for service, name in calls}
        allowed = {one for one in actions(synthesize({})) if one.startswith(("ec2:", "cloudformation:"))}
        assert asked == allowed

    @every
    def test_no_policy_of_awss_is_attached(self, context: Mapping[str, Any]) -> None:
        made = synthesize(context)
        for role in made.of("AWS::IAM::Role").values():
            assert all(one["Ref"] in made.template["Resources"] for one in role["Properties"]["ManagedPolicyArns"])
            assert "Policies" not in role["Properties"]

    @every
    def test_it_may_not_change_what_it_may_do(self, context: Mapping[str, Any]) -> None:
        services = {action.partition(":")[0] for action in actions(synthesize(context))}
        assert services == {"cloudformation", "cloudwatch", "ec2", "kms", "s3", "secretsmanager", "ssm", "ssmmessages"}

    def test_the_key_is_used_by_way_of_aws_services_only(self) -> None:
        for context in ({}, {"recovery": True}):
            for name, statement in statements(synthesize(context)):
                if any(action.startswith("kms:") for action in statement["Action"]):
                    assert "kms:ViaService" in str(statement["Condition"]), name

    def test_only_a_grant_for_ebs_can_be_made(self) -> None:
        [grant] = [one for _, one in statements(synthesize({})) if "kms:CreateGrant" in one["Action"]]
        assert grant["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}

    def test_a_recovery_reads_its_own_passphrase_where_the_original_has_no_secret(self) -> None:
        made = synthesize({"recovery": True})
        [reads] = [one for name, one in statements(made) if name == "RecoveryPolicy" and "GetSecretValue" in str(one)]
        ours, originals = (
            Resolved(made.template, {**ANSWERS, **more}).value(reads["Resource"])
            for more in ({}, {"RecoveryPassphraseSecret": ""})
        )
        assert (ours, originals) == (ANSWERS["RecoveryPassphraseSecret"], "{PassphraseSecret}")


class TestWhatLasts:
    @every
    def test_backups_keys_and_secrets_outlive_the_stack(self, context: Mapping[str, Any]) -> None:
        made = synthesize(context)
        kinds = ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::KMS::Key", "AWS::SecretsManager::Secret")
        for kind in kinds:
            assert made.of(kind)
            for name, one in made.of(kind).items():
                assert (one["DeletionPolicy"], one["UpdateReplacePolicy"]) == ("Retain", "Retain"), name

    @every
    def test_the_data_volume_never_goes_with_an_update_and_with_the_stack_only_in_dev(
        self, context: Mapping[str, Any]
    ) -> None:
        volume = synthesize(context).template["Resources"]["DataVolume"]
        assert volume["UpdateReplacePolicy"] == "Retain"
        assert volume["DeletionPolicy"] == ("Delete" if context.get("dev") else "Retain")
        assert volume["Properties"]["AvailabilityZone"] == {"Fn::GetAtt": ["PublicSubnet", "AvailabilityZone"]}

    def test_the_key_rotates_and_can_be_called_back_for_a_month(self) -> None:
        key = synthesize({}).properties("Key")
        assert (key["EnableKeyRotation"], key["PendingWindowInDays"]) == (True, 30)

    def test_a_stack_that_cdk_deploys_refuses_to_be_deleted(self) -> None:
        assert synthesize({}).protected
        assert not synthesize(single("enable_stack_termination_protection")).protected

    def test_passwords_are_generated_of_what_no_shell_or_ini_file_breaks_on(self) -> None:
        for name, secret in synthesize({}).of("AWS::SecretsManager::Secret").items():
            generated = secret["Properties"]["GenerateSecretString"]
            assert generated["PasswordLength"] >= 32, name
            # What the set-up takes for the database: `host/compose.py` has letters and digits alone.
            assert generated["ExcludePunctuation"] is True, name
            assert "SecretStringTemplate" not in generated, "the whole value is the password"
            assert "SecretString" not in secret["Properties"]


class TestBackupBucket:
    def test_what_is_deleted_can_be_brought_back_and_nothing_is_left_over(self) -> None:
        bucket = synthesize(single("deleted_backups_days")).properties("BackupBucket")
        [rule] = bucket["LifecycleConfiguration"]["Rules"]
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
        assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
        assert rule["ExpiredObjectDeleteMarker"] is True
        assert "ExpirationInDays" not in rule, "what is current never expires"

    def test_a_lock_is_a_rule_of_a_bucket_that_could_always_have_one(self) -> None:
        without, with_one = (synthesize(one).properties("BackupBucket") for one in ({}, single("object_lock_mode")))
        assert without["ObjectLockEnabled"] is with_one["ObjectLockEnabled"] is True
        assert "Rule" not in without["ObjectLockConfiguration"]
        assert with_one["ObjectLockConfiguration"]["Rule"] == {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}

    ALGORITHM = "s3:x-amz-server-side-encryption"
    KEY = f"{ALGORITHM}-aws-kms-key-id"
    CUSTOMERS = f"{ALGORITHM}-customer-algorithm"

    @pytest.mark.parametrize(
        ("headers", "allowed"),
        [
            ({}, True),
            ({ALGORITHM: "aws:kms", KEY: "{Key.Arn}"}, True),
            ({ALGORITHM: "aws:kms"}, False),
            ({ALGORITHM: "AES256"}, False),
            ({ALGORITHM: "aws:kms:dsse", KEY: "{Key.Arn}"}, False),
            ({ALGORITHM: "aws:kms", KEY: "arn:aws:kms:us-east-1:111122223333:key/other"}, False),
            ({CUSTOMERS: "AES256"}, False),
        ],
    )
    def test_every_object_is_encrypted_with_our_key(self, headers: Mapping[str, str], allowed: bool) -> None:
        """A request without headers gets the bucket's default, which is our key; any other key is refused."""
        made = synthesize({})
        policy = Resolved(made.template, ANSWERS).value(made.properties("BackupBucketPolicy"))
        context = {"aws:SecureTransport": "true", **headers}
        refused = [
            statement["Sid"]
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Principal"] == "*"
            and any(fnmatchcase("s3:PutObject", one) for one in _listed(statement["Action"]))
            and _holds(statement["Condition"], context)
        ]
        assert (refused == []) is allowed, refused
        [default] = made.properties("BackupBucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert default["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == {"Fn::GetAtt": ["Key", "Arn"]}

    @every
    def test_no_bucket_is_public_and_all_want_tls(self, context: Mapping[str, Any]) -> None:
        made = synthesize(context)
        for bucket in made.of("AWS::S3::Bucket").values():
            assert all(bucket["Properties"]["PublicAccessBlockConfiguration"].values())
        policies = {one["Properties"]["Bucket"]["Ref"]: one for one in made.of("AWS::S3::BucketPolicy").values()}
        assert policies.keys() == made.of("AWS::S3::Bucket").keys()
        for policy in policies.values():
            first = policy["Properties"]["PolicyDocument"]["Statement"][0]
            assert first["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _holds(condition: Mapping[str, Mapping[str, str]], context: Mapping[str, str]) -> bool:
    """Whether IAM's condition holds: a negated operator holds where the key is absent, the others do not.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    judged = []
    for operator, keys in condition.items():
        for key, value in keys.items():
            there = context.get(key)
            judged.append(
                {
                    "Null": (there is None) is (value == "true"),
                    "Bool": there == value,
                    "StringEquals": there == value,
                    "StringNotEquals": there != value,
                    "ArnNotEquals": there != value,
                }[operator]
            )
    return all(judged)


class TestAlarms:
    def test_every_alarm_is_on_a_metric_that_the_server_puts(self) -> None:
        text = "\n".join(path.read_text() for path in (ROOT / "src/hostemr/host").rglob("*.py"))
        for watch in WATCHES:
            assert f'"{watch.metric}"' in text, watch.metric

    def test_they_watch_this_stacks_own_server(self) -> None:
        for name, alarm in synthesize({}).of("AWS::CloudWatch::Alarm").items():
            properties = alarm["Properties"]
            assert properties["Namespace"] == "hostemr/ExpressPlus", name
            assert properties["Dimensions"] == [{"Name": "Server", "Value": {"Ref": "AWS::StackName"}}]
            assert properties["AlarmActions"] == properties["OKActions"] == [{"Ref": "Notices"}]

    def test_a_missed_backup_is_heard_of_within_a_little_more_than_a_day(self) -> None:
        alarm = synthesize({}).properties("BackupIsOld")
        assert alarm["Threshold"] == 26
        assert alarm["Period"] * alarm["EvaluationPeriods"] <= 2 * 3600
        assert alarm["TreatMissingData"] == "breaching"

    def test_they_are_within_what_cloudwatch_evaluates(self) -> None:
        """At most a day for periods below an hour, in steps of a minute."""
        for watch in WATCHES:
            assert watch.minutes * watch.periods <= 24 * 60

    def test_only_who_is_named_is_written_to(self) -> None:
        made = synthesize({})
        assert made.template["Resources"]["AlarmSubscription"]["Condition"] == "HasAlarmAddress"
        assert made.properties("Notices")["KmsMasterKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}
        key = {one["Sid"]: one for one in made.properties("Key")["KeyPolicy"]["Statement"]}
        assert key["AlarmsToAnEncryptedTopic"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
