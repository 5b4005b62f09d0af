"""What ECS, EC2 and the programs themselves demand of a template, over both applications with little and with much."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hostemr.deployment.application import Places
from hostemr.deployment.applications import APPLICATIONS
from hostemr.deployment.load import load
from hostemr.deployment.openmrs import OPENMRS
from hostemr.stacks.programs import program_text
from tests.stacks.configurations import MAIL, SAMPLES, single
from tests.stacks.reading import environment, rendered, secrets
from tests.stacks.synthesis import Synthesized, synthesize
from tests.stacks.test_promises import containers, found

EVERYTHING = SAMPLES["openmrs"]["everything"]
CONTEXTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "openemr": ("openemr", {}),
    "openemr with mail": ("openemr", MAIL),
    "openemr hospital": ("openemr", SAMPLES["openemr"]["hospital"]),
    "openmrs": ("openmrs", {}),
    "openmrs with everything": ("openmrs", EVERYTHING),
    "openmrs with search": ("openmrs", single("openmrs_search_uris", "https://search.example.org")),
}
everywhere = pytest.mark.parametrize("name", CONTEXTS)
GUIDE = Path(__file__).parents[2] / "docs"
LARGEST_DEFINITION = 64 * 1024
ROOM_FOR_IDS = 4 * 1024
SECRETIVE = re.compile(r"PASS|SECRET|TOKEN|CREDENTIAL|PRIVATE|ACCESS_KEY", re.IGNORECASE)


def made_of(name: str) -> Synthesized:
    application, context = CONTEXTS[name]
    return synthesize(context, application)


def each_container(made: Synthesized) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """With the name of the program that each runs: setup, rotation, worker and so on; the image's own is none."""
    for task, definition in found(made, "AWS::ECS::TaskDefinition").items():
        if not task.startswith("Tasks"):
            continue
        for container in definition["ContainerDefinitions"]:
            yield re.sub(r"^Tasks|[0-9A-F]{8}$", "", task), container


class TestDefinitions:
    @everywhere
    def test_each_fits_into_what_ecs_takes_in_every_region(self, name: str) -> None:
        """64 KiB for a whole definition: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html."""
        made = made_of(name)
        roots = made.templates.service["Mappings"]["DatabaseRoots"]
        longest = max(roots, key=lambda region: len(roots[region]["Root"] or "") + len(region))
        for task, definition in found(made, "AWS::ECS::TaskDefinition").items():
            size = len(json.dumps(rendered(definition, made.templates.service, longest)).encode())
            assert 1024 < size < LARGEST_DEFINITION - ROOM_FOR_IDS, task

    @everywhere
    def test_no_secret_stands_in_a_plain_variable(self, name: str) -> None:
        made = made_of(name)
        plain = [(task, one) for task, container in each_container(made) for one in container["Environment"]]
        assert plain
        assert not [one["Name"] for _, one in plain if SECRETIVE.search(one["Name"])]
        for function in found(made, "AWS::Lambda::Function").values():
            for variable, value in function["Environment"]["Variables"].items():
                # The ARN of a secret is no secret.
                assert not SECRETIVE.search(variable) or variable == "SECRET_ARN", variable
                assert "resolve:secretsmanager" not in json.dumps(value)
        assert not found(made, "AWS::IAM::AccessKey")

    @everywhere
    def test_every_key_of_a_secret_exists_and_the_task_may_read_it(self, name: str) -> None:
        made = made_of(name)
        keys = {
            logical_id: {one["GenerateSecretString"]["GenerateStringKey"],
                         *json.loads(one["GenerateSecretString"]["SecretStringTemplate"])}
            for logical_id, one in found(made, "AWS::SecretsManager::Secret").items()
        }  # fmt: skip
        exported = {
            one["Export"]["Name"]: one["Value"] for one in made.templates.data["Outputs"].values() if "Export" in one
        }
        policies = found(made, "AWS::IAM::ManagedPolicy")
        asked = 0
        for task, definition in found(made, "AWS::ECS::TaskDefinition").items():
            if not task.startswith("Tasks"):
                continue
            role = found(made, "AWS::IAM::Role")[definition["ExecutionRoleArn"]["Fn::GetAtt"][0]]
            may = json.dumps([policies[one["Ref"]] for one in role["ManagedPolicyArns"]])
            for secret in (one for container in definition["ContainerDefinitions"] for one in container["Secrets"]):
                _, [arn, rest] = secret["ValueFrom"]["Fn::Join"]
                _, key, stage, version = rest.split(":")
                assert json.dumps(arn) in may, secret["Name"]
                source = exported[arn["Fn::ImportValue"]] if "Fn::ImportValue" in arn else arn
                # RDS' own secret has these two: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-secrets-manager.html
                assert key in (keys[source["Ref"]] if "Ref" in source else {"username", "password"}), secret["Name"]
                assert stage in {"", "AWSCURRENT", "AWSPENDING"}
                assert not version
                asked += 1
        assert asked >= 10


def checked(program: str) -> dict[str, str]:
    """What a program's `check NAME 'PATTERN'` lines want of the environment; patterns that it makes up are left out."""
    return dict(re.findall(r"\bcheck ([A-Z_]+) '([^']*)'", program))


# What the image reads, not our programs. OpenEMR's settings are read by their prefix.
READ_BY_THE_IMAGE = re.compile("OMRS_EXTRA_MAIL_.*|OMRS_SEARCH.*|OPENEMR_SETTING_.*")
# Checked in one of two branches of a program.
IF_IT_IS_GIVEN = {"DATABASE_CA", "DATABASE_CA_URL"}
OF_ONE_MODE = {
    "Setup": {"NEXT_DB_USERNAME", "NEXT_DB_PASSWORD", "NEXT_MYSQL_USER", "NEXT_MYSQL_PASS"},
    "Rotation": {"ADMINISTRATOR_USERNAME", "OMRS_ADMIN_USER_PASSWORD", "OE_USER", "OE_PASS"},
}


class TestEnvironment:
    @everywhere
    def test_a_program_is_given_what_it_requires_in_the_form_that_it_requires(self, name: str) -> None:
        made, judged = made_of(name), 0
        for task, container in each_container(made):
            if "Command" not in container:
                continue
            plain = {key: rendered(one, made.templates.service) for key, one in environment(container).items()}
            for variable, pattern in checked(container["Command"][0]).items():
                if variable in IF_IT_IS_GIVEN | OF_ONE_MODE.get(task, set()):
                    continue
                if variable in plain:
                    told = re.sub(r"\{[^}]*\}", "x1", plain[variable]).replace("\n", "\x01")
                    assert re.fullmatch(pattern, told), (task, variable)
                    judged += 1
                elif not re.fullmatch(pattern, ""):
                    assert variable in secrets(container), (task, variable)
                    judged += 1
        assert judged >= 12

    @everywhere
    def test_a_program_reads_what_it_is_given(self, name: str) -> None:
        for task, container in each_container(made_of(name)):
            if "Command" not in container:
                continue
            for variable in (*environment(container), *secrets(container)):
                read = re.search(rf"\b{variable}\b", container["Command"][0]) or READ_BY_THE_IMAGE.fullmatch(variable)
                assert read, (task, variable)

    @pytest.mark.parametrize("application", APPLICATIONS)
    def test_every_variable_of_a_record_is_in_the_template(self, application: str) -> None:
        """The CDK leaves out a variable without a value, so a record must have none that is empty."""
        record, settings = APPLICATIONS[application], load(application, {})
        given = {task: environment(one) for task, one in each_container(synthesize({}, application))}
        assert record.configuration(settings, "http://a").keys() <= given["Setup"].keys()
        definitions = containers(synthesize({}, application), "Worker")
        for container in record.containers:
            if not container.wanted(settings):
                continue
            told = container.environment(settings, Places())
            assert told.keys() <= environment(definitions[container.name]).keys()

    def test_passwords_are_made_of_what_the_programs_take(self) -> None:
        program = program_text(OPENMRS, "setup")
        made = found(synthesize({}, "openmrs"), "AWS::SecretsManager::Secret")
        alphabet = string.ascii_letters + string.digits + string.punctuation + " "
        for name, variable in (("Administrator", "OMRS_ADMIN_USER_PASSWORD"), ("Database", "OMRS_DB_PASSWORD")):
            [generated] = [
                one["GenerateSecretString"] for key, one in made.items() if key.startswith(f"Credentials{name}")
            ]
            left_out = set(generated.get("ExcludeCharacters", "")) | set(
                string.punctuation if generated["ExcludePunctuation"] else ""
            )
            # Secrets Manager makes no blanks unless asked, and has one of each kind that is not left out.
            password = "".join(sorted(set(alphabet) - left_out - {" "}))
            pattern = checked(program)[variable].replace("{16,64}", "+")
            assert re.fullmatch(pattern, password)
            assert generated["PasswordLength"] == 32
        [user] = [one for key, one in made.items() if key.startswith("CredentialsDatabase")]
        username = json.loads(user["GenerateSecretString"]["SecretStringTemplate"])["username"]
        assert re.fullmatch(checked(program)["OMRS_DB_USERNAME"], username)


def security_rules(made: Synthesized) -> list[tuple[str, ...]]:
    """Each rule of a group as EC2 tells them apart: group, direction, protocol, ports and peer."""
    exports = made.templates.data["Outputs"].values()
    exported = {one["Export"]["Name"]: one["Value"] for one in exports if "Export" in one}
    data_stack = next(iter(made.stacks))

    def known(stack: str, value: Any) -> str:
        """A group by the stack that makes it, however it is referred to."""
        if isinstance(value, str):
            return value
        if "Fn::ImportValue" in value:
            return known(data_stack, exported[value["Fn::ImportValue"]])
        return f"{stack} {json.dumps(value)}"

    rules: list[tuple[str, ...]] = []
    for stack, template in made.stacks.items():
        for name, one in template["Resources"].items():
            kind, properties = one["Type"], one.get("Properties", {})
            own = {"Fn::GetAtt": [name, "GroupId"]}
            if kind == "AWS::EC2::SecurityGroup":
                inside = [(way, rule) for way in _WAYS for rule in properties.get(f"SecurityGroup{way}", [])]
            else:
                inside = [(way, properties) for way in _WAYS if kind == f"AWS::EC2::SecurityGroup{way}"]
            for way, rule in inside:
                [peer] = [known(stack, rule[key]) for key in _PEERS if key in rule]
                ports = (rule["IpProtocol"], str(rule["FromPort"]), str(rule["ToPort"]))
                rules.append((known(stack, rule.get("GroupId", own)), way, *ports, peer))
    return rules


_WAYS = ("Ingress", "Egress")
_PEERS = ("CidrIp", "CidrIpv6", "SourceSecurityGroupId", "DestinationSecurityGroupId")


class TestRules:
    @everywhere
    def test_no_rule_of_a_security_group_is_made_twice(self, name: str) -> None:
        """EC2 refuses a second one with the same group, ports and peer, and CloudFormation's whole update with it."""
        rules = security_rules(made_of(name))
        assert len(rules) > 10
        assert len(set(rules)) == len(rules)

    @everywhere
    def test_every_output_says_what_it_is(self, name: str) -> None:
        for template in made_of(name).stacks.values():
            told = {key: one for key, one in template["Outputs"].items() if "Export" not in one}
            assert told
            assert all(one["Description"] for one in told.values())

    def test_every_output_is_in_the_guide(self) -> None:
        guide = "\n".join(page.read_text(encoding="utf-8") for page in GUIDE.glob("*.md"))
        templates = [template for name in CONTEXTS for template in made_of(name).stacks.values()]
        told = {key for one in templates for key, output in one["Outputs"].items() if "Export" not in output}
        assert {key for key in told if not re.search(rf"\b{key}\b", guide)} == set()
