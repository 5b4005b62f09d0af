"""Checks that a deployment works, and goes on working."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operate.checks.finding import allow, found, problems, role
from tests.operate.templates import att, ref, resource, sub

SERVICE = "AWS::ECS::Service"
CONTAINER = {"Name": "emr", "Image": "openemr/openemr@sha256:" + "0" * 64}


class TestPolicyGrammar:
    def test_an_action_that_does_not_exist_is_found_where_it_stands(self) -> None:
        one = found("PolicyGrammar", {"R": role(allow("elasticfilesystem:PutFileSystemProtection"))})[0]
        assert (one.place, one.resource.logical_id) == ("Policies[0].PolicyDocument.Statement[0]", "R")

    def test_one_that_exists_is_fine(self) -> None:
        assert not found("PolicyGrammar", {"R": role(allow("elasticfilesystem:UpdateFileSystemProtection"))})


def shell(*statements: dict[str, Any]) -> dict[str, Any]:
    return {
        "Service": resource(SERVICE, EnableExecuteCommand=True, Cluster=ref("Cluster"), TaskDefinition=ref("Task")),
        "Cluster": resource(
            "AWS::ECS::Cluster",
            Configuration={"ExecuteCommandConfiguration": {"KmsKeyId": "key", "Logging": "OVERRIDE"}},
        ),
        "Task": resource("AWS::ECS::TaskDefinition", TaskRoleArn=att("Role", "Arn"), ContainerDefinitions=[CONTAINER]),
        "Role": role(*statements, service="ecs-tasks.amazonaws.com"),
    }


class TestExecPermissions:
    def test_a_task_that_may_not_use_the_key_is_found(self) -> None:
        told = problems("ExecPermissions", shell(allow("ssmmessages:*")))
        assert told == ["Service: the task role Role may not kms:Decrypt, so `aws ecs execute-command` fails"]

    def test_with_the_key_or_without_a_shell_it_is_fine(self) -> None:
        assert not found("ExecPermissions", shell(allow("ssmmessages:*"), allow("kms:Decrypt")))
        closed = shell()
        del closed["Service"]["Properties"]["EnableExecuteCommand"]
        assert not found("ExecPermissions", closed)


BREAKER = {"DeploymentCircuitBreaker": {"Enable": True, "Rollback": True}}


class TestServiceRollout:
    @pytest.mark.parametrize("given", [{}, {"HealthCheckGracePeriodSeconds": 60}])
    def test_no_breaker_and_a_short_grace_are_found(self, given: dict[str, Any]) -> None:
        service = resource(SERVICE, LoadBalancers=[{"ContainerPort": 443}], **given)
        assert [one.place for one in found("ServiceRollout", {"S": service})] == [
            "DeploymentConfiguration.DeploymentCircuitBreaker",
            "HealthCheckGracePeriodSeconds",
        ]

    def test_a_breaker_with_time_is_fine_and_without_load_balancer_no_grace_is_needed(self) -> None:
        patient = resource(
            SERVICE, LoadBalancers=[{}], HealthCheckGracePeriodSeconds=600, DeploymentConfiguration=BREAKER
        )
        worker = resource(SERVICE, DeploymentConfiguration=BREAKER)
        assert not found("ServiceRollout", {"S": patient, "W": worker})

    def test_a_breaker_without_rollback_is_found(self) -> None:
        half = {"DeploymentCircuitBreaker": {"Enable": True, "Rollback": False}}
        assert found("ServiceRollout", {"S": resource(SERVICE, DeploymentConfiguration=half)})


def mailing(*egress: dict[str, Any], port: str = "587") -> dict[str, Any]:
    container = {
        **CONTAINER,
        "Environment": [{"Name": "SMTP_HOST", "Value": "mail.example"}],
        "Secrets": [{"Name": "SMTP_PORT", "ValueFrom": sub("arn:aws:ssm:*:*:parameter/${Port}")}],
    }
    return {
        "Service": resource(
            SERVICE,
            TaskDefinition=ref("Task"),
            NetworkConfiguration={"AwsvpcConfiguration": {"SecurityGroups": [att("Group", "GroupId")]}},
        ),
        "Task": resource("AWS::ECS::TaskDefinition", ContainerDefinitions=[container]),
        "Port": resource("AWS::SSM::Parameter", Type="String", Value=port),
        "Group": resource("AWS::EC2::SecurityGroup", SecurityGroupEgress=list(egress)),
    }


def out(first: int, last: int, protocol: str = "tcp") -> dict[str, Any]:
    return {"IpProtocol": protocol, "FromPort": first, "ToPort": last, "CidrIp": "0.0.0.0/0"}


class TestMailEgress:
    def test_a_port_that_no_rule_opens_is_found(self) -> None:
        told = problems("MailEgress", mailing(out(443, 443), out(3306, 3306)))
        assert told[0].endswith("no rule of Group lets them out to port 587")
        assert "port 2465" in problems("MailEgress", mailing(out(443, 443), port="2465"))[0]

    @pytest.mark.parametrize("rule", [out(587, 587), out(0, 65535), {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}])
    def test_an_open_port_is_fine(self, rule: dict[str, Any]) -> None:
        assert not found("MailEgress", mailing(out(443, 443), rule))

    def test_a_group_without_rules_lets_everything_out_and_no_mail_needs_no_port(self) -> None:
        assert not found("MailEgress", mailing())
        silent = mailing(out(443, 443))
        silent["Task"] = resource("AWS::ECS::TaskDefinition", ContainerDefinitions=[CONTAINER])
        assert not found("MailEgress", silent)


def firewall(group: dict[str, Any] | None = None, **rule: Any) -> dict[str, Any]:
    managed = {"Name": "AWSManagedRulesCommonRuleSet", "VendorName": "AWS", **(group or {})}
    rules = [{"Name": "common", "Statement": {"ManagedRuleGroupStatement": managed}, **rule}]
    return {"Acl": resource("AWS::WAFv2::WebACL", Rules=rules)}


def rate(limit: int, **statement: Any) -> dict[str, Any]:
    content = {"RateBasedStatement": {"Limit": limit, "AggregateKeyType": "IP", **statement}}
    return {"Acl": resource("AWS::WAFv2::WebACL", Rules=[{"Name": "r", "Action": {"Block": {}}, "Statement": content}])}


class TestUploadSize:
    def test_the_rule_that_blocks_documents_is_found(self) -> None:
        assert found("UploadSize", firewall(OverrideAction={"None": {}}))

    @pytest.mark.parametrize(
        "made",
        [
            firewall({"RuleActionOverrides": [{"Name": "SizeRestrictions_BODY", "ActionToUse": {"Count": {}}}]}),
            firewall({"ExcludedRules": [{"Name": "SizeRestrictions_BODY"}]}),
            firewall({"ScopeDownStatement": {"NotStatement": {}}}),
            firewall(OverrideAction={"Count": {}}),
        ],
    )
    def test_a_rule_that_counts_or_leaves_paths_out_is_fine(self, made: dict[str, Any]) -> None:
        assert not found("UploadSize", made)

    def test_a_rate_that_a_clinic_reaches_is_found(self) -> None:
        assert "6.7 requests a second" in problems("UploadSize", rate(2000))[0]
        assert not found("UploadSize", rate(20000))
        assert not found("UploadSize", rate(300, ScopeDownStatement={}))
        assert not found("UploadSize", rate(2000, EvaluationWindowSec=60))


class TestInstanceRoute:
    def test_a_server_that_does_not_wait_for_its_route_is_found(self) -> None:
        made = {"Out": resource("AWS::EC2::Route", GatewayId=ref("G")), "Server": resource("AWS::EC2::Instance")}
        assert problems("InstanceRoute", made)[0].startswith("Server: it may start before the route Out exists")
        made["Server"] = resource("AWS::EC2::Instance", attributes={"DependsOn": "Out"})
        assert not found("InstanceRoute", made)


class TestMutableCode:
    @pytest.mark.parametrize(
        ("image", "severity"),
        [("openemr/openemr:8.1.0", "note"), ("openemr/openemr:latest", "warning"), ("localhost:5000/emr", "warning")],
    )
    def test_a_tag_is_a_note_and_no_version_a_warning(self, image: str, severity: str) -> None:
        task = resource("AWS::ECS::TaskDefinition", ContainerDefinitions=[{"Image": image}])
        assert [one.severity for one in found("MutableCode", {"T": task})] == [severity]

    @pytest.mark.parametrize("image", [CONTAINER["Image"], f"111122223333.dkr.ecr.x/assets:{'a' * 64}", ref("Image")])
    def test_a_digest_is_fine(self, image: Any) -> None:
        assert not found(
            "MutableCode", {"T": resource("AWS::ECS::TaskDefinition", ContainerDefinitions=[{"Image": image}])}
        )

    @pytest.mark.parametrize(
        "line",
        [
            "curl -L https://raw.githubusercontent.com/clinic/tools/master/launch.sh | bash",
            "git clone --depth 1 https://github.com/clinic/tools.git",
            "docker run -d mysql:latest",
        ],
    )
    def test_a_script_of_a_branch_is_found_and_one_of_a_commit_is_fine(self, line: str) -> None:
        assert found(
            "MutableCode", {"S": resource("AWS::EC2::Instance", UserData={"Fn::Base64": f"#!/bin/sh\n{line}\n"})}
        )
        fixed = f"curl -L https://raw.githubusercontent.com/clinic/tools/{'a' * 40}/launch.sh | sha256sum -c"
        assert not found("MutableCode", {"S": resource("AWS::EC2::Instance", UserData=fixed)})


class TestMachineImage:
    def test_a_table_of_images_is_found_and_a_public_parameter_is_fine(self) -> None:
        table = {"Regions": {"us-east-1": {"Ami": "ami-1"}, "eu-west-1": {"Ami": "ami-2"}}}
        mapped = {"Fn::FindInMap": ["Regions", ref("AWS::Region"), "Ami"]}
        server = {"S": resource("AWS::EC2::Instance", ImageId=mapped)}
        assert "ami-1 and 1 more, one for each region" in problems("MachineImage", server, Mappings=table)[0]
        newest = "{{resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id}}"
        assert not found("MachineImage", {"S": resource("AWS::EC2::Instance", ImageId=newest)})


class TestFixedName:
    def test_a_name_without_the_stacks_own_is_found(self) -> None:
        made = {
            "Fixed": resource("AWS::SSM::Parameter", Name="swarm_mode"),
            "Own": resource("AWS::SSM::Parameter", Name="clinic-swarm_mode"),
            "Named": resource("AWS::SSM::Parameter", Name=sub("${AWS::StackName}-x")),
            "Free": resource("AWS::SSM::Parameter", Value="x"),
        }
        assert problems("FixedName", made) == ["Fixed: its name is fixed: swarm_mode"]


class TestExportTask:
    def test_a_constant_identifier_is_found_and_one_with_the_time_is_fine(self) -> None:
        def function(code: str) -> dict[str, Any]:
            return {"F": resource("AWS::Lambda::Function", Code={"ZipFile": code})}

        assert found("ExportTask", function("rds.start_export_task(ExportTaskIdentifier='records', SourceArn=arn)"))
        assert not found("ExportTask", function("rds.start_export_task(ExportTaskIdentifier=f'records-{now}', S=a)"))
