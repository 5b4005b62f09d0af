"""What runs of the registration service on AWS, and what it may do: each promise by name."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from cryptography import x509

from hostemr.deployment.load import load_registration
from hostemr.errors import SettingsError
from hostemr.operate.iam_grammar import check_statements
from hostemr.registration.environment import load_settings
from hostemr.registration.preparation import load_preparation
from hostemr.stacks import registration_image
from hostemr.stacks.app import empty_app
from hostemr.stacks.registration_tasks import SETUP_SECONDS, built_image
from hostemr.stacks.roots import root_certificates
from tests.stacks.configurations import DIGEST, REGISTRY
from tests.stacks.reading import environment, rendered, secrets
from tests.stacks.registration import RESTORED, RESTORED_SECRET, SAMPLES, single, synthesize

Template = Mapping[str, Any]
ROOT = Path(__file__).parents[2]
DATA = "registration-data:"


@pytest.fixture
def default() -> Template:
    return synthesize(SAMPLES["default"]).service


@pytest.fixture
def everything() -> Template:
    return synthesize(SAMPLES["everything"]).service


def found(template: Template, kind: str) -> dict[str, Mapping[str, Any]]:
    """The properties of all resources of a type, by logical id."""
    return {name: one.get("Properties", {}) for name, one in template["Resources"].items() if one["Type"] == kind}


def task(template: Template, name: str) -> Mapping[str, Any]:
    [one] = [
        properties
        for logical_id, properties in found(template, "AWS::ECS::TaskDefinition").items()
        if re.fullmatch(f"Tasks{name}[0-9A-F]{{8}}", logical_id)
    ]
    return one


def containers(template: Template, name: str) -> dict[str, Mapping[str, Any]]:
    return {one["Name"]: one for one in task(template, name)["ContainerDefinitions"]}


def everywhere(template: Template) -> list[Mapping[str, Any]]:
    return [one for name in ("Service", "Setup", "Rotation") for one in containers(template, name).values()]


def told(template: Template, container: Mapping[str, Any], region: str = "us-east-1") -> dict[str, str]:
    """The container's whole environment as it would find it, with a stand-in for each secret."""
    plain = {name: str(rendered(value, template, region)) for name, value in environment(container).items()}
    account = {name: value.replace("{AWS::AccountId}", "111122223333") for name, value in plain.items()}
    kept = {name: f"the secret {name.lower()} of forty characters" for name in secrets(container)}
    return {name: re.sub(r"\{[^}]+\}", "db.example", value) for name, value in account.items()} | kept


def policies_of(template: Template, role: str) -> list[Mapping[str, Any]]:
    """The statements of a role that a task definition refers to."""
    [name] = [one for one in found(template, "AWS::IAM::Role") if re.fullmatch(f"Tasks{role}[0-9A-F]{{8}}", one)]
    attached = found(template, "AWS::IAM::Role")[name]["ManagedPolicyArns"]
    documents = [found(template, "AWS::IAM::ManagedPolicy")[one["Ref"]]["PolicyDocument"] for one in attached]
    return [statement for document in documents for statement in document["Statement"]]


class TestTheContainers:
    def test_a_task_is_a_server_and_a_worker_of_one_image(self, default: Template) -> None:
        one = containers(default, "Service")
        assert {name: container["Command"] for name, container in one.items()} == {
            "web": ["serve"],
            "worker": ["worker"],
        }
        assert len({json.dumps(container["Image"]) for container in everywhere(default)}) == 1

    def test_a_worker_that_dies_is_started_again_and_takes_no_server_with_it(self, default: Template) -> None:
        one = containers(default, "Service")
        assert one["web"]["Essential"] is True
        assert one["worker"]["Essential"] is False
        assert one["worker"]["RestartPolicy"] == {"Enabled": True, "RestartAttemptPeriod": 60}

    def test_none_runs_as_root_or_writes_into_its_image(self, default: Template) -> None:
        for container in everywhere(default):
            assert container["User"] == "10001:10001"
            assert container["ReadonlyRootFilesystem"] is True
            assert container["LinuxParameters"]["InitProcessEnabled"] is True
            [mount] = container["MountPoints"]
            assert mount["ContainerPath"] == "/tmp"

    def test_only_with_exec_a_server_may_write_into_its_image(self, everything: Template) -> None:
        """The agent of ECS Exec writes there; AWS does not support it otherwise."""
        assert [one["ReadonlyRootFilesystem"] for one in everywhere(everything)] == [False, False, True, True]

    def test_no_two_containers_share_a_folder(self, default: Template) -> None:
        volumes = [
            mount["SourceVolume"] for one in containers(default, "Service").values() for mount in one["MountPoints"]
        ]
        assert len(set(volumes)) == 2
        for name in ("Service", "Setup", "Rotation"):
            wanted = [
                mount["SourceVolume"] for one in containers(default, name).values() for mount in one["MountPoints"]
            ]
            assert task(default, name)["Volumes"] == [{"Name": volume} for volume in wanted]

    def test_each_says_whether_it_is_well_and_has_time_to_end(self, default: Template) -> None:
        one = containers(default, "Service")
        command = ["CMD", "hostemr", "registration", "health"]
        assert one["web"]["HealthCheck"]["Command"] == command
        assert one["worker"]["HealthCheck"]["Command"] == [*command, "--worker"]
        assert {container["StopTimeout"] for container in one.values()} == {120}

    def test_logs_go_to_the_group_that_lasts_and_never_stop_the_service(self, default: Template) -> None:
        for container in everywhere(default):
            options = container["LogConfiguration"]["Options"]
            assert options["awslogs-group"] == {"Fn::ImportValue": f"{DATA}TaskLog"}
            assert options["awslogs-stream-prefix"] == container["Name"]
            assert options["mode"] == "non-blocking"

    def test_size_and_processor_are_the_settings(self, default: Template) -> None:
        assert (task(default, "Service")["Cpu"], task(default, "Service")["Memory"]) == ("512", "1024")
        larger = synthesize(single("registration_service_fargate_cpu")).service
        assert (task(larger, "Service")["Cpu"], task(larger, "Service")["Memory"]) == ("1024", "2048")
        arm = synthesize(single("cpu_architecture")).service
        for template, wanted in ((default, "X86_64"), (arm, "ARM64")):
            for name in ("Service", "Setup", "Rotation"):
                assert task(template, name)["RuntimePlatform"]["CpuArchitecture"] == wanted


class TestWhatTheyAreTold:
    @pytest.mark.parametrize("region", ["us-east-1", "ca-west-1"])
    @pytest.mark.parametrize("name", ["web", "worker"])
    def test_the_service_accepts_its_environment(self, default: Template, name: str, region: str) -> None:
        settings = load_settings(told(default, containers(default, "Service")[name], region))
        assert settings.effective_database_url.database == "product_registration"
        assert settings.database_username is not None
        assert (settings.database_ca is None) == (region not in root_certificates())
        assert settings.base_url == "https://reg.open-emr.org"
        assert settings.proxy_hops == 1
        assert (settings.sender, settings.ses_region) == ("ses", region)
        assert settings.console_problem is None
        assert settings.effective_log_format == "json"

    def test_the_server_speaks_tls_where_the_load_balancer_asks(self, default: Template) -> None:
        web = containers(default, "Service")["web"]
        settings = load_settings(told(default, web))
        assert (settings.host, settings.port, settings.tls) == ("0.0.0.0", 8443, "self-signed")
        assert web["PortMappings"] == [{"ContainerPort": 8443, "Protocol": "tcp"}]
        assert "PortMappings" not in containers(default, "Service")["worker"]

    @pytest.mark.parametrize(("name", "mode"), [("Setup", "configure"), ("Rotation", "credentials")])
    def test_the_set_up_accepts_its_environment(self, default: Template, name: str, mode: str) -> None:
        [container] = containers(default, name).values()
        assert container["Command"] == ["registration", "prepare-database"]
        variables = told(default, container)
        names = {"HOSTEMR_DATABASE_USERNAME": "registration_a", "HOSTEMR_NEXT_USERNAME": "registration_b"}
        plan = load_preparation(variables | {one: names[one] for one in names if one in variables})
        assert plan.mode == mode
        assert plan.timeout_seconds < SETUP_SECONDS
        assert (plan.following is not None) == (mode == "credentials")

    def test_a_rotation_reads_the_credential_that_comes_next(self, default: Template) -> None:
        [container] = containers(default, "Rotation").values()
        arn = f"{{{DATA}DatabaseSecretArn}}"
        assert secrets(container)["HOSTEMR_NEXT_PASSWORD"] == f"{arn}:password:AWSPENDING:"
        assert secrets(container)["HOSTEMR_DATABASE_PASSWORD"] == f"{arn}:password:AWSCURRENT:"

    def test_no_secret_stands_in_a_plain_variable(self, default: Template, everything: Template) -> None:
        for template in (default, everything):
            for container in everywhere(template):
                assert not [name for name in environment(container) if re.search("PASSWORD|SECRET|PIN|KEY|TOKEN", name)]
                assert "@" not in json.dumps(environment(container)["HOSTEMR_DATABASE_URL"])

    def test_only_the_set_up_is_told_the_masters_password(self, default: Template) -> None:
        for container in containers(default, "Service").values():
            assert not [name for name in secrets(container) if "MASTER" in name]
        for name in ("Setup", "Rotation"):
            [container] = containers(default, name).values()
            assert "HOSTEMR_SECRET_KEY" not in secrets(container)

    def test_the_database_is_verified_against_its_regions_root(self, default: Template) -> None:
        for container in everywhere(default):
            root = rendered(environment(container)["HOSTEMR_DATABASE_CA"], default, "eu-central-1")
            assert x509.load_pem_x509_certificate(root.encode()).subject
            bundle = rendered(environment(container)["HOSTEMR_DATABASE_CA_URL"], default, "il-central-1")
            assert bundle == "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"

    def test_a_restored_database_takes_the_place_of_the_stacks_own(self, everything: Template) -> None:
        for container in everywhere(everything):
            assert environment(container)["HOSTEMR_DATABASE_URL"] == f"mysql://{RESTORED}:3306/product_registration"
        for name in ("Setup", "Rotation"):
            [container] = containers(everything, name).values()
            assert secrets(container)["HOSTEMR_MASTER_PASSWORD"] == f"{RESTORED_SECRET}:password::"


class TestRights:
    def test_every_action_and_resource_is_one_that_there_is(self, default: Template, everything: Template) -> None:
        assert check_statements(default) == check_statements(everything) == []

    def test_the_service_sends_under_one_name_and_confirms_one_subscription(self, default: Template) -> None:
        send, bulk, account, confirm = policies_of(default, "TaskRole")
        assert send["Action"] == ["ses:SendEmail", "ses:SendBulkTemplatedEmail"]
        # This one knows no sender, and would allow nothing under a condition on it.
        assert (bulk["Action"], "Condition" in bulk, bulk["Resource"]) == (
            ["ses:SendBulkEmail"],
            False,
            send["Resource"],
        )
        assert send["Condition"] == {"StringEquals": {"ses:FromAddress": "noreply@open-emr.org"}}
        where = "arn:aws:ses:us-east-1:{AWS::AccountId}"
        assert rendered(send["Resource"], default) == [
            f"{where}:identity/open-emr.org",
            f"{where}:identity/noreply@open-emr.org",
            f"{where}:configuration-set/registration-mail",
            f"{where}:template/*",
        ]
        # How fast the account may send is asked of no resource.
        assert (account["Action"], account["Resource"]) == (["ses:GetAccount"], "*")
        assert confirm["Action"] == ["sns:ConfirmSubscription"]
        topic = "arn:aws:sns:us-east-1:{AWS::AccountId}:registration-mail-events"
        assert rendered(confirm["Resource"], default) == topic

    def test_mail_of_another_region_is_reached_there(self, everything: Template) -> None:
        send, bulk, _, confirm, *_ = policies_of(everything, "TaskRole")
        places = [*send["Resource"], *bulk["Resource"], confirm["Resource"]]
        assert all(":us-west-2:" in one for one in rendered(places, everything))
        web = told(everything, containers(everything, "Service")["web"])
        assert load_settings(web).ses_region == "us-west-2"
        assert load_settings(web).sns_topic_arns == ("arn:aws:sns:us-west-2:111122223333:registration-mail-events",)

    def test_only_the_set_ups_execution_role_reads_the_masters_secret(self, default: Template) -> None:
        text = {name: json.dumps(one) for name, one in found(default, "AWS::IAM::ManagedPolicy").items()}
        [policy] = [name for name, one in text.items() if f"{DATA}MasterSecretArn" in one]
        roles = found(default, "AWS::IAM::Role")
        [role] = [name for name, one in roles.items() if {"Ref": policy} in one["ManagedPolicyArns"]]
        users = [
            name
            for name, one in found(default, "AWS::ECS::TaskDefinition").items()
            if one["ExecutionRoleArn"] == {"Fn::GetAtt": [role, "Arn"]}
        ]
        assert sorted(name[:-8] for name in users) == ["TasksRotation", "TasksSetup"]

    def test_the_set_up_calls_no_service_of_aws(self, default: Template) -> None:
        assert not [name for name in ("Setup", "Rotation") if "TaskRoleArn" in task(default, name)]

    def test_secrets_are_decrypted_by_way_of_secrets_manager_alone(self, default: Template) -> None:
        for role in ("ExecutionRole", "SetupExecutionRole"):
            [decrypt] = [one for one in policies_of(default, role) if one["Action"] == ["kms:Decrypt"]]
            assert decrypt["Resource"] == {"Fn::ImportValue": f"{DATA}DataKeyArn"}
            assert "kms:ViaService" in decrypt["Condition"]["StringEquals"]

    def test_what_is_allowed_on_everything_takes_no_resource_or_is_bound_by_a_condition(
        self, default: Template, everything: Template
    ) -> None:
        unbound = set()
        for template in (default, everything):
            for one in found(template, "AWS::IAM::ManagedPolicy").values():
                for statement in one["PolicyDocument"]["Statement"]:
                    if statement["Resource"] == "*" and "Condition" not in statement:
                        unbound |= set(statement["Action"])
        channels = {f"ssmmessages:{verb}{kind}Channel" for verb in ("Create", "Open") for kind in ("Control", "Data")}
        assert unbound == {"ses:GetAccount", "ecr:GetAuthorizationToken", "logs:DescribeLogGroups", *channels}

    def test_only_with_exec_a_task_may_open_a_session(self, default: Template) -> None:
        assert "ssmmessages" not in json.dumps(found(default, "AWS::IAM::ManagedPolicy"))
        with_exec = synthesize(single("enable_ecs_exec")).service
        assert "ssmmessages:OpenDataChannel" in json.dumps(policies_of(with_exec, "TaskRole"))
        assert "ssmmessages" not in json.dumps(policies_of(with_exec, "SetupExecutionRole"))


def checkout(folder: Path) -> Path:
    """A small checkout with our own Dockerfile and .dockerignore."""
    for name in (registration_image.DOCKERFILE, registration_image.IGNORE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in ("pyproject.toml", "constraints.txt", "src/hostemr/errors.py", "src/hostemr/registration/app.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")
    return folder


def asset(root: Path, context: Mapping[str, Any]) -> tuple[str, Path, Mapping[str, Any]]:
    """The built image's hash, what was copied for it, and how Docker is told to build it."""
    out = root.parent / f"{root.name}-out"
    app = empty_app(str(out))
    stack = cdk.Stack(app, "S")
    tag = built_image(stack, load_registration(context), root).asset_hash
    assembly = app.synth()
    [image] = json.loads((Path(assembly.directory) / "S.assets.json").read_text(encoding="utf-8"))[
        "dockerImages"
    ].values()
    return tag, Path(assembly.directory) / image["source"]["directory"], image["source"]


class TestTheImage:
    def test_by_default_it_is_built_from_this_checkout(self, default: Template) -> None:
        image = everywhere(default)[0]["Image"]["Fn::Sub"]
        assert re.fullmatch(r"\$\{AWS::AccountId\}\.dkr\.ecr\..*/cdk-.*-container-assets-.*:[0-9a-f]{64}", image)
        pull = [one for one in policies_of(default, "ExecutionRole") if "ecr:BatchGetImage" in one["Action"]]
        assert "container-assets" in json.dumps(pull[0]["Resource"])

    def test_what_the_image_does_not_contain_changes_nothing(self, tmp_path: Path) -> None:
        # Three folders: the CDK remembers what it has seen in one.
        clean, used, changed = (checkout(tmp_path / name) for name in ("clean", "used", "changed"))
        before, copied, source = asset(clean, {})
        assert "FROM" in (copied / source["dockerFile"]).read_text(encoding="utf-8")
        assert (copied / "src/hostemr/registration/app.py").is_file()
        for name in (
            "docs/new.md",
            ".git/HEAD",
            ".venv/x",
            "src/hostemr.egg-info/PKG-INFO",
            "src/hostemr/registration/__pycache__/app.pyc",
            "data/registration.sqlite3",
        ):
            (used / name).parent.mkdir(parents=True, exist_ok=True)
            (used / name).write_text("new", encoding="utf-8")
        assert asset(used, {})[0] == before
        (changed / "src/hostemr/registration/app.py").write_text("another service", encoding="utf-8")
        assert asset(changed, {})[0] != before

    @pytest.mark.parametrize(
        ("context", "platform", "arguments"),
        [
            ({}, "linux/amd64", {}),
            ({"cpu_architecture": "ARM64"}, "linux/arm64", {}),
            (
                {"registration_image_digest": DIGEST},
                "linux/amd64",
                {"BASE": f"docker.io/library/python@{DIGEST}"},
            ),
        ],
    )
    def test_docker_is_told_the_processor_and_the_base(
        self, tmp_path: Path, context: Mapping[str, Any], platform: str, arguments: Mapping[str, str]
    ) -> None:
        _, _, source = asset(checkout(tmp_path / "one"), context)
        assert (source["platform"], source["dockerBuildArgs"]) == (platform, arguments)

    def test_the_dockerfile_takes_that_base(self) -> None:
        text = (ROOT / registration_image.DOCKERFILE).read_text(encoding="utf-8")
        assert re.search(rf"^ARG BASE={re.escape(registration_image.BASE)}:", text, re.MULTILINE)

    def test_the_volume_that_a_task_mounts_is_one_that_its_user_may_write(self, default: Template) -> None:
        """Where the image has no VOLUME at the path, ECS mounts a folder of root's, mode 0755 (bind-mounts.html)."""
        text = (ROOT / registration_image.DOCKERFILE).read_text(encoding="utf-8")
        last = text[text.rindex("\nFROM ") :]
        paths = {mount["ContainerPath"] for one in everywhere(default) for mount in one["MountPoints"]}
        assert {f'VOLUME ["{path}"]' for path in paths} <= set(last.splitlines())

    def test_one_made_elsewhere_is_pulled_by_its_digest(self, everything: Template) -> None:
        assert {one["Image"] for one in everywhere(everything)} == {f"{REGISTRY}/registration@{DIGEST}"}
        [pull] = [one for one in policies_of(everything, "ExecutionRole") if "ecr:BatchGetImage" in one["Action"]]
        repository = "arn:aws:ecr:us-east-1:111122223333:repository/registration"
        assert rendered(pull["Resource"], everything) == [repository]

    def test_one_of_another_registry_needs_no_right_to_pull(self) -> None:
        template = synthesize({"registration_image": "ghcr.io/example/registration:2"}).service
        assert everywhere(template)[0]["Image"] == "ghcr.io/example/registration:2"
        assert "ecr:" not in json.dumps(found(template, "AWS::IAM::ManagedPolicy"))

    def test_without_a_checkout_it_says_what_to_give(self, tmp_path: Path) -> None:
        package = tmp_path / "lib" / "site-packages" / "hostemr"
        with pytest.raises(SettingsError) as caught:
            registration_image.checkout(package=package)
        [problem] = caught.value.problems
        assert "registration_image is null" in problem
        assert "give registration_image" in caught.value.hint
        assert registration_image.checkout() == ROOT
