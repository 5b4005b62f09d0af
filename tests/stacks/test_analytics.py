"""What the analytics environment promises, each by name. The stack is built by itself: it needs only exports."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import aws_cdk as cdk
import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from hostemr.deployment.application import Application
from hostemr.deployment.load import load
from hostemr.deployment.openemr import OPENEMR
from hostemr.deployment.openmrs import OPENMRS
from hostemr.deployment.outputs import analytics_stack_name
from hostemr.operate.order import creation_order
from hostemr.operate.stacks import stack_order
from hostemr.stacks.analytics import AnalyticsStack
from hostemr.stacks.data import DataStack
from tests.stacks.shared import shared

APPLICATIONS = {application.name: application for application in (OPENEMR, OPENMRS)}


@cache
def made(application: str, suffix: str = "") -> Mapping[str, Any]:
    return shared(f"analytics {application} {suffix}", lambda: _made(AnalyticsStack, APPLICATIONS[application], suffix))


@cache
def data(application: str) -> Mapping[str, Any]:
    return shared(f"data beside analytics {application}", lambda: _made(DataStack, APPLICATIONS[application], ""))


def _made(kind: type[AnalyticsStack | DataStack], application: Application, suffix: str) -> Mapping[str, Any]:
    context = {f"{application.name}_resource_suffix": suffix} if suffix else {}
    with tempfile.TemporaryDirectory(prefix="hostemr-synthesis-") as folder:
        app = cdk.App(
            outdir=folder,
            analytics_reporting=False,
            stack_traces=False,
            tree_metadata=False,
            builtin_cloud_formation_validation=False,
        )
        kind(app, application=application, settings=load(application.name, context))
        template: Mapping[str, Any] = app.synth().stacks[0].template
        return template


@pytest.fixture(params=APPLICATIONS)
def template(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    return made(request.param)


@pytest.fixture
def openemr() -> Mapping[str, Any]:
    return made("openemr")


def found(template: Mapping[str, Any], kind: str) -> dict[str, Mapping[str, Any]]:
    """The properties of all resources of a type, by logical id."""
    return {name: one.get("Properties", {}) for name, one in template["Resources"].items() if one["Type"] == kind}


def only(template: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    [properties] = found(template, kind).values()
    return properties


def one(template: Mapping[str, Any], kind: str, start: str) -> tuple[str, Mapping[str, Any]]:
    """The one resource of a type whose logical id begins so."""
    [(name, properties)] = [item for item in found(template, kind).items() if item[0].startswith(start)]
    return name, properties


def allowed(template: Mapping[str, Any], role: str) -> dict[str, list[Mapping[str, Any]]]:
    """What a role may, by action: the statements that allow it."""
    name, properties = one(template, "AWS::IAM::Role", role)
    referred = [policy["Ref"] for policy in properties["ManagedPolicyArns"]]
    by_action: dict[str, list[Mapping[str, Any]]] = {}
    for policy, document in found(template, "AWS::IAM::ManagedPolicy").items():
        if policy in referred or {"Ref": name} in document.get("Roles", []):
            for statement in document["PolicyDocument"]["Statement"]:
                assert statement["Effect"] == "Allow"
                for action in as_list(statement["Action"]):
                    by_action.setdefault(action, []).append(statement)
    return by_action


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def resources(by_action: dict[str, list[Mapping[str, Any]]], action: str) -> list[str]:
    """Where an action is allowed: ARNs as text, references in angle brackets."""
    return sorted({_text(where) for statement in by_action[action] for where in as_list(statement["Resource"])})


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    [(function, argument)] = value.items()
    if function == "Fn::Join":
        return str(argument[0]).join(_text(part) for part in argument[1])
    if function == "Fn::GetAtt":
        return f"<{'.'.join(argument)}>"
    return f"<{argument if isinstance(argument, str) else _text(argument)}>"


def _statements(template: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, policy in found(template, "AWS::IAM::ManagedPolicy").items():
        for statement in policy["PolicyDocument"]["Statement"]:
            yield name, statement


class TestTheStack:
    def test_cfn_lint_finds_nothing(self, template: Mapping[str, Any]) -> None:
        text = json.dumps(template)
        found = shared(f"complaints {text}", lambda: _complaints(text))
        assert found == ()
        assert len(text.encode()) < 1_000_000
        creation_order(template)

    def test_it_has_a_name_of_its_own_beside_another_copy(self) -> None:
        assert analytics_stack_name("openemr") == "openemr-analytics"
        assert analytics_stack_name("openmrs", "north") == "openmrs-analytics-north"
        north = json.dumps(made("openemr", "north"))
        assert "openemr-data-north:VpcId" in north
        assert "openemr-data:" not in north
        assert "openemr-analytics-north-files" in north

    @pytest.mark.parametrize("application", APPLICATIONS)
    def test_it_needs_the_data_stack_and_nothing_else(self, application: str) -> None:
        stacks = {f"{application}-data": data(application), f"{application}-analytics": made(application)}
        assert stack_order(stacks) == [(f"{application}-data",), (f"{application}-analytics",)]

    def test_nothing_in_it_costs_by_the_hour(self, template: Mapping[str, Any]) -> None:
        costly = (
            "AWS::EC2::NatGateway",
            "AWS::EC2::EIP",
            "AWS::EC2::Instance",
            "AWS::ECS::Service",
            "AWS::SageMaker::App",
            "AWS::SageMaker::Space",
            "AWS::SageMaker::Endpoint",
            "AWS::SageMaker::NotebookInstance",
            "AWS::SageMaker::MlflowTrackingServer",
            "AWS::EMR::Cluster",
        )
        assert not [kind for kind in costly if found(template, kind)]
        endpoints = found(template, "AWS::EC2::VPCEndpoint").values()
        assert [endpoint["VpcEndpointType"] for endpoint in endpoints] == ["Gateway"]
        application = only(template, "AWS::EMRServerless::Application")
        assert "InitialCapacity" not in application
        assert application["AutoStopConfiguration"] == {"Enabled": True, "IdleTimeoutMinutes": 15}

    def test_the_way_to_s3_is_free_from_every_zone(self, openemr: Mapping[str, Any]) -> None:
        endpoint = only(openemr, "AWS::EC2::VPCEndpoint")
        tables = ["openemr-data:TaskRouteTableId1", "openemr-data:TaskRouteTableId2"]
        assert [table["Fn::ImportValue"] for table in endpoint["RouteTableIds"]] == tables

    def test_what_people_made_survives_the_stack(self, template: Mapping[str, Any]) -> None:
        kinds = ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::KMS::Key", "AWS::SageMaker::Domain")
        for kind in (*kinds, "AWS::SageMaker::UserProfile"):
            names = list(found(template, kind))
            assert names, kind
            for name in names:
                resource = template["Resources"][name]
                assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain", name

    def test_the_retained_domain_keeps_the_role_and_the_group_that_it_names(self, template: Mapping[str, Any]) -> None:
        studio = {name: each for name, each in template["Resources"].items() if name.startswith("Studio")}
        assert {each["Type"] for each in studio.values()} >= {"AWS::IAM::Role", "AWS::EC2::SecurityGroup"}
        assert all(each["DeletionPolicy"] == "Retain" for each in studio.values())

    def test_a_domain_of_a_stack_that_is_made_again_has_another_name(self, openemr: Mapping[str, Any]) -> None:
        name = only(openemr, "AWS::SageMaker::Domain")["DomainName"]
        assert "AWS::StackId" in json.dumps(name)
        # At most 63, of which the stack's id gives eight.
        assert len(analytics_stack_name("openemr", "s" * 20)) + len("-01234567") <= 63

    def test_one_key_of_its_own_encrypts_everything(self, template: Mapping[str, Any]) -> None:
        [(name, key)] = found(template, "AWS::KMS::Key").items()
        arn = {"Fn::GetAtt": [name, "Arn"]}
        assert key["EnableKeyRotation"] is True
        for bucket in found(template, "AWS::S3::Bucket").values():
            [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}
        assert only(template, "AWS::SageMaker::Domain")["KmsKeyId"] == arn
        monitoring = only(template, "AWS::EMRServerless::Application")["MonitoringConfiguration"]
        assert monitoring["ManagedPersistenceMonitoringConfiguration"]["EncryptionKeyArn"] == arn

    def test_outputs_name_what_a_notebook_needs(self, openemr: Mapping[str, Any]) -> None:
        outputs = {name: output["Value"] for name, output in openemr["Outputs"].items()}
        assert outputs["StudioUserProfile"] == "ServerlessAnalyticsUser"
        assert outputs["FilesExportFunction"] == {"Ref": "EFStoS3ExportLambda"}
        assert outputs["DatabaseExportFunction"] == {"Ref": "RDStoS3ExportLambda"}
        assert outputs["FilesExportBucket"] == {"Ref": "EFSExportBucket"}
        assert outputs["DatabaseExportBucket"] == {"Ref": "S3ExportBucket"}
        url = "https://<AWS::Region>.console.aws.amazon.com/sagemaker/home?region=<AWS::Region>#/studio-landing"
        assert _text(outputs["StudioUrl"]) == url
        assert {"StudioDomainId", "SparkApplicationId", "SparkJobRoleArn", "AnalyticsKeyArn"} <= set(outputs)
        assert not any("Export" in output for output in openemr["Outputs"].values())


def _complaints(text: str) -> tuple[str, ...]:
    matches = lint(text, config=ManualArgs(regions=["us-east-1"]))
    return tuple(f"{match.rule.id} {match.path}: {match.message}" for match in matches)


class TestLeastPrivilege:
    def test_no_action_has_a_wildcard_but_those_that_aws_prescribes_for_exports(
        self, template: Mapping[str, Any]
    ) -> None:
        stars = {
            (name, action)
            for name, statement in _statements(template)
            for action in as_list(statement["Action"])
            if "*" in action
        }
        # docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_StartExportTask.html
        assert {action for _, action in stars} == {"s3:DeleteObject*", "s3:GetObject*", "s3:PutObject*"}
        assert all(name.startswith("DatabaseExportWrite") for name, _ in stars)

    def test_for_everything_there_are_only_actions_that_know_no_resource(self, template: Mapping[str, Any]) -> None:
        actions = {
            action
            for _, statement in _statements(template)
            if "*" in as_list(statement["Resource"])
            for action in as_list(statement["Action"])
        }
        assert actions == {
            "ecs:ListTasks",
            "emr-serverless:ListApplications",
            "rds:DescribeExportTasks",
            "s3:ListAllMyBuckets",
            "sagemaker-mlflow:AccessUI",
            "sagemaker:ListApps",
            "sagemaker:ListDomains",
            "sagemaker:ListMlflowTrackingServers",
            "sagemaker:ListSpaces",
            "sagemaker:ListUserProfiles",
        }

    def test_there_is_no_policy_of_awss_own(self, template: Mapping[str, Any]) -> None:
        for role in found(template, "AWS::IAM::Role").values():
            assert all(set(policy) == {"Ref"} for policy in role["ManagedPolicyArns"])

    def test_each_role_trusts_one_service_for_this_account(self, template: Mapping[str, Any]) -> None:
        trusted = {}
        for name, role in found(template, "AWS::IAM::Role").items():
            [statement] = role["AssumeRolePolicyDocument"]["Statement"]
            [(kind, service)] = statement["Principal"].items()
            assert kind == "Service"
            trusted[name] = service
            if service != "lambda.amazonaws.com":
                assert "aws:SourceAccount" in statement["Condition"]["StringEquals"]
        assert sorted(trusted.values()) == [
            "ecs-tasks.amazonaws.com",
            "ecs-tasks.amazonaws.com",
            "emr-serverless.amazonaws.com",
            "export.rds.amazonaws.com",
            "lambda.amazonaws.com",
            "lambda.amazonaws.com",
            "sagemaker.amazonaws.com",
        ]

    def test_a_role_is_passed_to_its_own_service_only(self, template: Mapping[str, Any]) -> None:
        for name, statement in _statements(template):
            if "iam:PassRole" in as_list(statement["Action"]):
                assert statement["Condition"]["StringEquals"]["iam:PassedToService"], name
                assert all(set(role) == {"Fn::GetAtt"} for role in as_list(statement["Resource"])), name

    def test_grants_of_the_key_are_for_aws_services_only(self, template: Mapping[str, Any]) -> None:
        granting = [each for _, each in _statements(template) if "kms:CreateGrant" in as_list(each["Action"])]
        assert len(granting) == 2
        for statement in granting:
            assert any(word in json.dumps(statement["Condition"]) for word in ("ViaService", "GrantIsForAWSResource"))

    def test_groups_let_nobody_in_and_only_https_out(self, template: Mapping[str, Any]) -> None:
        groups = found(template, "AWS::EC2::SecurityGroup")
        assert len(groups) == 3
        assert not any(group.get("SecurityGroupIngress") for group in groups.values())
        assert not found(template, "AWS::EC2::SecurityGroupIngress")
        rules = found(template, "AWS::EC2::SecurityGroupEgress").values()
        assert [(rule["FromPort"], rule["ToPort"]) for rule in rules] == [(443, 443)] * 3


class TestBuckets:
    def test_they_have_the_seeds_logical_ids(self, template: Mapping[str, Any]) -> None:
        assert set(found(template, "AWS::S3::Bucket")) == {"EFSExportBucket", "S3ExportBucket"}

    def test_they_are_versioned_private_logged_and_reached_over_tls(self, openemr: Mapping[str, Any]) -> None:
        for name, bucket in found(openemr, "AWS::S3::Bucket").items():
            assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
            assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
            logging = bucket["LoggingConfiguration"]
            assert logging["DestinationBucketName"] == {"Fn::ImportValue": "openemr-data:AccessLogsBucket"}
            assert logging["LogFilePrefix"].startswith("s3/openemr-analytics/")
            [policy] = [
                each for each in found(openemr, "AWS::S3::BucketPolicy").values() if each["Bucket"] == {"Ref": name}
            ]
            [statement] = policy["PolicyDocument"]["Statement"]
            assert (statement["Effect"], statement["Condition"]) == (
                "Deny",
                {"Bool": {"aws:SecureTransport": "false"}},
            )

    def test_old_versions_go_and_what_is_there_stays(self, template: Mapping[str, Any]) -> None:
        for bucket in found(template, "AWS::S3::Bucket").values():
            [rule] = bucket["LifecycleConfiguration"]["Rules"]
            assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
            assert "ExpirationInDays" not in rule


class TestFilesExport:
    def test_it_copies_and_deletes_below_one_folder(self, template: Mapping[str, Any]) -> None:
        [container] = only(template, "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
        command = container["Command"]
        assert command[:3] == ["s3", "sync", "/export"]
        assert _text(command[3]) == "s3://<EFSExportBucket>/files/"
        assert {"--delete", "--only-show-errors", "--no-follow-symlinks"} <= set(command[4:])
        repository, _, tag = container["Image"].partition(":")
        assert repository == "public.ecr.aws/aws-cli/aws-cli"
        assert tag.startswith("2.")
        assert tag.count(".") == 2

    @pytest.mark.parametrize(
        ("application", "patterns"),
        [
            ("openemr", {"*sqlconf.php*", "*/documents/certificates/*"}),
            ("openmrs", {"hostemr/*", "*-runtime.properties*"}),
        ],
    )
    def test_credentials_stay_where_they_are(self, application: str, patterns: set[str]) -> None:
        [container] = only(made(application), "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
        left_out = {part.removeprefix("--exclude=") for part in container["Command"] if "--exclude" in str(part)}
        assert left_out == patterns

    @pytest.mark.parametrize(("application", "owner"), [("openemr", "1000:1000"), ("openmrs", "1001:0")])
    def test_it_reads_as_the_files_owner_from_a_mount_that_takes_no_writes(self, application: str, owner: str) -> None:
        task = only(made(application), "AWS::ECS::TaskDefinition")
        [container] = task["ContainerDefinitions"]
        assert container["User"] == owner
        [mount] = container["MountPoints"]
        assert mount == {"ContainerPath": "/export", "ReadOnly": True, "SourceVolume": "files"}
        [volume] = task["Volumes"]
        configuration = volume["EFSVolumeConfiguration"]
        assert configuration["TransitEncryption"] == "ENABLED"
        assert configuration["AuthorizationConfig"]["IAM"] == "ENABLED"
        assert (task["Cpu"], task["Memory"], task["RuntimePlatform"]["CpuArchitecture"]) == ("256", "512", "ARM64")

    def test_its_role_mounts_without_writing_and_writes_one_folder(self, openemr: Mapping[str, Any]) -> None:
        may = allowed(openemr, "FilesExportTaskRole")
        assert [action for action in may if action.startswith("elasticfilesystem:")] == [
            "elasticfilesystem:ClientMount"
        ]
        [mount] = may["elasticfilesystem:ClientMount"]
        assert "openemr-data:AccessPointId" in json.dumps(mount["Condition"])
        for action in ("s3:PutObject", "s3:DeleteObject"):
            assert resources(may, action) == ["<EFSExportBucket.Arn>/files/*"]
        [listing] = may["s3:ListBucket"]
        assert listing["Condition"] == {"StringLike": {"s3:prefix": "files/*"}}
        assert "s3:GetObject" not in may

    def test_the_function_starts_this_task_in_this_cluster_only(self, openemr: Mapping[str, Any]) -> None:
        function = found(openemr, "AWS::Lambda::Function")["EFStoS3ExportLambda"]
        given = json.loads(_text(function["Environment"]["Variables"]["TASK"]))
        task, definition = one(openemr, "AWS::ECS::TaskDefinition", "FilesExportTask")
        assert given["TaskDefinition"] == f"<{task}>"
        assert given["Family"] == definition["Family"] == "openemr-analytics-files"
        assert given["Subnets"] == ["<openemr-data:TaskSubnetId1>", "<openemr-data:TaskSubnetId2>"]
        assert "<openemr-data:ClientsGroupId>" in given["SecurityGroups"]
        may = allowed(openemr, "FilesExportStarterRole")
        assert resources(may, "ecs:RunTask") == [f"<{task}>"]
        for action in ("ecs:RunTask", "ecs:ListTasks", "ecs:DescribeTasks"):
            [statement] = may[action]
            assert statement["Condition"] == {"ArnEquals": {"ecs:cluster": _cluster_arn(openemr)}}
        assert not [action for action in may if action.startswith(("s3:", "elasticfilesystem:"))]


def _cluster_arn(template: Mapping[str, Any]) -> dict[str, Any]:
    [name] = found(template, "AWS::ECS::Cluster")
    return {"Fn::GetAtt": [name, "Arn"]}


class TestDatabaseExport:
    def test_the_function_exports_this_cluster_with_this_key(self, openemr: Mapping[str, Any]) -> None:
        function = found(openemr, "AWS::Lambda::Function")["RDStoS3ExportLambda"]
        given = json.loads(_text(function["Environment"]["Variables"]["EXPORT"]))
        assert given["SourceArn"].endswith(":cluster:<openemr-data:DatabaseClusterId>")
        assert given["Bucket"] == "<S3ExportBucket>"
        may = allowed(openemr, "DatabaseExportStarterRole")
        assert resources(may, "rds:StartExportTask") == [given["SourceArn"]]
        assert resources(may, "iam:PassRole") == [given["RoleArn"]]
        assert resources(may, "kms:CreateGrant") == [given["KeyArn"]]
        [grant] = may["kms:CreateGrant"]
        assert "rds." in _text(grant["Condition"]["StringEquals"]["kms:ViaService"])
        assert not [action for action in may if action.startswith("s3:")]

    def test_rdss_role_writes_this_bucket_only(self, openemr: Mapping[str, Any]) -> None:
        may = allowed(openemr, "DatabaseExportRole")
        assert resources(may, "s3:PutObject*") == ["<S3ExportBucket.Arn>/*"]
        assert resources(may, "s3:ListBucket") == ["<S3ExportBucket.Arn>"]


class TestFunctions:
    def test_they_have_the_seeds_logical_ids_and_run_on_graviton(self, template: Mapping[str, Any]) -> None:
        functions = found(template, "AWS::Lambda::Function")
        assert set(functions) == {"EFStoS3ExportLambda", "RDStoS3ExportLambda"}
        assert all(function["Architectures"] == ["arm64"] for function in functions.values())
        assert not any("VpcConfig" in function for function in functions.values())

    def test_their_logs_are_encrypted_and_end(self, openemr: Mapping[str, Any]) -> None:
        logs = found(openemr, "AWS::Logs::LogGroup")
        assert len(logs) == 2
        for log in logs.values():
            assert log["KmsKeyId"] == {"Fn::ImportValue": "openemr-data:LogsKeyArn"}
            assert log["RetentionInDays"] > 0


class TestSpark:
    def test_it_runs_in_the_vpc_bounded_and_answers_notebooks(self, openemr: Mapping[str, Any]) -> None:
        application = only(openemr, "AWS::EMRServerless::Application")
        assert (application["Type"], application["Architecture"]) == ("SPARK", "ARM64")
        assert application["ReleaseLabel"].startswith("emr-7.")
        assert len(application["NetworkConfiguration"]["SubnetIds"]) == 2
        assert set(application["MaximumCapacity"]) == {"Cpu", "Memory", "Disk"}
        assert application["InteractiveConfiguration"] == {"LivyEndpointEnabled": True}
        assert application["AutoStartConfiguration"] == {"Enabled": True}

    def test_a_job_reads_the_exports_and_writes_results_only(self, openemr: Mapping[str, Any]) -> None:
        may = allowed(openemr, "SparkJobRole")
        results = "<S3ExportBucket.Arn>/results/*"
        assert resources(may, "s3:GetObject") == [
            "<EFSExportBucket.Arn>/files/*",
            "<S3ExportBucket.Arn>/database/*",
            results,
        ]
        assert resources(may, "s3:PutObject") == resources(may, "s3:DeleteObject") == [results]
        assert {action.split(":")[0] for action in may} == {"s3", "kms"}

    def test_only_this_application_may_take_the_jobs_role(self, openemr: Mapping[str, Any]) -> None:
        name, _ = one(openemr, "AWS::EMRServerless::Application", "Spark")
        _, role = one(openemr, "AWS::IAM::Role", "SparkJobRole")
        [statement] = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Condition"]["ArnLike"] == {"aws:SourceArn": {"Fn::GetAtt": [name, "Arn"]}}


class TestStudio:
    def test_it_is_inside_the_vpc_behind_iam(self, openemr: Mapping[str, Any]) -> None:
        domain = only(openemr, "AWS::SageMaker::Domain")
        assert (domain["AppNetworkAccessType"], domain["AuthMode"]) == ("VpcOnly", "IAM")
        subnets = ["openemr-data:TaskSubnetId1", "openemr-data:TaskSubnetId2"]
        assert [subnet["Fn::ImportValue"] for subnet in domain["SubnetIds"]] == subnets
        assert domain["DefaultUserSettings"]["SecurityGroups"]
        assert "DomainSettings" not in domain

    def test_it_has_the_one_profile_that_the_seed_names(self, template: Mapping[str, Any]) -> None:
        profile = only(template, "AWS::SageMaker::UserProfile")
        assert profile["UserProfileName"] == "ServerlessAnalyticsUser"
        # Anything more would stand in place of the domain's settings.
        assert set(profile["UserSettings"]) == {"ExecutionRole"}

    def test_home_is_on_the_shared_file_system_and_outputs_are_not_shared(self, template: Mapping[str, Any]) -> None:
        settings = only(template, "AWS::SageMaker::Domain")["DefaultUserSettings"]
        assert settings["AutoMountHomeEFS"] == "Enabled"
        assert settings["SharingSettings"] == {"NotebookOutputOption": "Disabled"}
        assert "StudioWebPortalSettings" not in settings, "no app of the seed's six is hidden"

    def test_apps_stop_when_nobody_uses_them(self, template: Mapping[str, Any]) -> None:
        domain = only(template, "AWS::SageMaker::Domain")
        user, space = domain["DefaultUserSettings"], domain["DefaultSpaceSettings"]
        for apps in (user["JupyterLabAppSettings"], user["CodeEditorAppSettings"], space["JupyterLabAppSettings"]):
            idle = apps["AppLifecycleManagement"]["IdleSettings"]
            assert (idle["LifecycleManagement"], idle["IdleTimeoutInMinutes"]) == ("ENABLED", 60)

    def test_a_notebook_can_submit_and_follow_a_spark_job(self, openemr: Mapping[str, Any]) -> None:
        name, _ = one(openemr, "AWS::EMRServerless::Application", "Spark")
        role, _ = one(openemr, "AWS::IAM::Role", "SparkJobRole")
        may = allowed(openemr, "StudioRole")
        # The attribute is `arn:…:/applications/ID`, with its slash.
        for action in ("StartJobRun", "ListJobRuns", "GetApplication", "StartApplication", "AccessLivyEndpoints"):
            assert resources(may, f"emr-serverless:{action}") == [f"<{name}.Arn>"]
        for action in ("GetJobRun", "CancelJobRun", "GetDashboardForJobRun"):
            assert resources(may, f"emr-serverless:{action}") == [f"<{name}.Arn>/jobruns/*"]
        passed = [each for each in may["iam:PassRole"] if each["Resource"] == {"Fn::GetAtt": [role, "Arn"]}]
        assert [each["Condition"]["StringEquals"]["iam:PassedToService"] for each in passed] == [
            "emr-serverless.amazonaws.com"
        ]

    def test_a_notebook_can_start_and_follow_both_exports(self, openemr: Mapping[str, Any]) -> None:
        may = allowed(openemr, "StudioRole")
        functions = ["<EFStoS3ExportLambda.Arn>", "<RDStoS3ExportLambda.Arn>"]
        assert resources(may, "lambda:InvokeFunction") == functions
        [cluster] = found(openemr, "AWS::ECS::Cluster")
        [tasks] = resources(may, "ecs:DescribeTasks")
        assert tasks.endswith(f":task/<{cluster}>/*")
        [followed] = may["ecs:DescribeTasks"]
        assert "Condition" not in followed
        assert resources(may, "rds:DescribeExportTasks") == ["*"]

    def test_a_notebook_can_read_and_write_both_buckets(self, openemr: Mapping[str, Any]) -> None:
        may = allowed(openemr, "StudioRole")
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
            assert resources(may, action) == ["<EFSExportBucket.Arn>/*", "<S3ExportBucket.Arn>/*"]
        assert resources(may, "s3:ListBucket") == ["<EFSExportBucket.Arn>", "<S3ExportBucket.Arn>"]
        key = [f"<{name}.Arn>" for name in found(openemr, "AWS::KMS::Key")]
        assert resources(may, "kms:Decrypt") == resources(may, "kms:GenerateDataKey") == key

    def test_a_notebook_reaches_neither_database_nor_files_nor_secrets(self, openemr: Mapping[str, Any]) -> None:
        services = {action.split(":")[0] for action in allowed(openemr, "StudioRole")}
        expected = {"ecs", "emr-serverless", "iam", "kms", "lambda", "rds", "s3", "sagemaker", "sagemaker-mlflow"}
        assert services == expected
        assert "ClientsGroupId" not in json.dumps(only(openemr, "AWS::SageMaker::Domain"))

    def test_spaces_and_apps_are_made_in_this_domain_by_their_owner(self, openemr: Mapping[str, Any]) -> None:
        [domain] = found(openemr, "AWS::SageMaker::Domain")
        may = allowed(openemr, "StudioRole")
        for action, kind in (("CreateApp", "app"), ("CreateSpace", "space"), ("DeleteSpace", "space")):
            [where] = resources(may, f"sagemaker:{action}")
            assert where.endswith(f":{kind}/<{domain}>/*")
            assert all("sagemaker:OwnerUserProfileArn" in json.dumps(each) for each in may[f"sagemaker:{action}"])
        [profile] = resources(may, "sagemaker:CreatePresignedDomainUrl")
        assert profile.endswith(f":user-profile/<{domain}>/ServerlessAnalyticsUser")
        assert not [action for action in may if action in {"sagemaker:UpdateDomain", "sagemaker:DeleteDomain"}]

    def test_a_tracking_server_can_be_made_under_the_stacks_name(self, openemr: Mapping[str, Any]) -> None:
        may = allowed(openemr, "StudioRole")
        for action in ("sagemaker:CreateMlflowTrackingServer", "sagemaker-mlflow:LogMetric"):
            [where] = resources(may, action)
            assert where.endswith(":mlflow-tracking-server/openemr-analytics*")
