"""A small deployment to draw, whose parts tests change: a balancer, tasks, a database and files in a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hostemr.operate.diagram.facts import picture
from hostemr.operate.diagram.model import Component, Picture
from tests.operate.templates import KEEP, att, ref, resource, template

CERTIFICATE = "arn:aws:acm:us-east-1:111122223333:certificate/0f0e0d0c"


def zone(number: int) -> dict[str, Any]:
    return {"Fn::Select": [number, {"Fn::GetAZs": ""}]}


def network() -> dict[str, Any]:
    """Two zones with a public and a closed subnet each; one route leads to the internet."""
    made = {
        "Vpc": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16"),
        "Gateway": resource("AWS::EC2::InternetGateway"),
        "PublicRoutes": resource("AWS::EC2::RouteTable", VpcId=ref("Vpc")),
        "Out": resource(
            "AWS::EC2::Route",
            RouteTableId=ref("PublicRoutes"),
            DestinationCidrBlock="0.0.0.0/0",
            GatewayId=ref("Gateway"),
        ),
        "FlowLog": resource("AWS::EC2::FlowLog", ResourceId=ref("Vpc"), ResourceType="VPC"),
    }
    for number, letter in enumerate("AB"):
        made[f"Public{letter}"] = resource(
            "AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=zone(number)
        )
        made[f"Data{letter}"] = resource(
            "AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock=f"10.0.1{number}.0/24", AvailabilityZone=zone(number)
        )
        made[f"Tie{letter}"] = resource(
            "AWS::EC2::SubnetRouteTableAssociation", RouteTableId=ref("PublicRoutes"), SubnetId=ref(f"Public{letter}")
        )
    return made


def group(**rule: Any) -> dict[str, Any]:
    return resource("AWS::EC2::SecurityGroup", VpcId=ref("Vpc"), SecurityGroupIngress=[rule] if rule else [])


def door(port: int, **source: Any) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **source}


def deployment() -> dict[str, Any]:
    """Everything as it should be: TLS on each way, one customer's key for all that rests."""
    made = network()
    made |= {
        "Key": resource(
            "AWS::KMS::Key", attributes=KEEP, Description="Patients' data", EnableKeyRotation=True, KeyPolicy={}
        ),
        "BalancerGroup": group(**door(443, CidrIp="203.0.113.0/24")),
        "TaskGroup": group(**door(443, SourceSecurityGroupId=att("BalancerGroup", "GroupId"))),
        "DatabaseGroup": group(**door(3306, SourceSecurityGroupId=att("TaskGroup", "GroupId"))),
        "FilesGroup": group(**door(2049, SourceSecurityGroupId=att("TaskGroup", "GroupId"))),
        "Balancer": resource(
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
            Scheme="internet-facing",
            Subnets=[ref("PublicA"), ref("PublicB")],
            SecurityGroups=[att("BalancerGroup", "GroupId")],
        ),
        "Targets": resource("AWS::ElasticLoadBalancingV2::TargetGroup", Protocol="HTTPS", Port=443, VpcId=ref("Vpc")),
        "Listener": resource(
            "AWS::ElasticLoadBalancingV2::Listener",
            LoadBalancerArn=ref("Balancer"),
            Port=443,
            Protocol="HTTPS",
            Certificates=[{"CertificateArn": CERTIFICATE}],
            DefaultActions=[{"Type": "forward", "TargetGroupArn": ref("Targets")}],
        ),
        "Task": resource(
            "AWS::ECS::TaskDefinition",
            Cpu="1024",
            Memory="2048",
            ContainerDefinitions=[{"Name": "emr"}],
            Volumes=[
                {
                    "Name": "files",
                    "EFSVolumeConfiguration": {"FilesystemId": ref("Files"), "TransitEncryption": "ENABLED"},
                }
            ],
        ),
        "Service": resource(
            "AWS::ECS::Service",
            LaunchType="FARGATE",
            DesiredCount=2,
            TaskDefinition=ref("Task"),
            LoadBalancers=[{"TargetGroupArn": ref("Targets")}],
            NetworkConfiguration={
                "AwsvpcConfiguration": {
                    "Subnets": [ref("DataA"), ref("DataB")],
                    "SecurityGroups": [att("TaskGroup", "GroupId")],
                }
            },
        ),
        "Parameters": resource(
            "AWS::RDS::DBClusterParameterGroup", Family="aurora-mysql8.0", Parameters={"require_secure_transport": "ON"}
        ),
        "DatabaseSubnets": resource("AWS::RDS::DBSubnetGroup", SubnetIds=[ref("DataA"), ref("DataB")]),
        "Database": resource(
            "AWS::RDS::DBCluster",
            attributes=KEEP,
            Engine="aurora-mysql",
            StorageEncrypted=True,
            KmsKeyId=att("Key", "Arn"),
            DBSubnetGroupName=ref("DatabaseSubnets"),
            DBClusterParameterGroupName=ref("Parameters"),
            VpcSecurityGroupIds=[att("DatabaseGroup", "GroupId")],
            DeletionProtection=True,
            BackupRetentionPeriod=35,
        ),
        "Writer": resource("AWS::RDS::DBInstance", DBClusterIdentifier=ref("Database"), Engine="aurora-mysql"),
        "Files": resource("AWS::EFS::FileSystem", attributes=KEEP, Encrypted=True, KmsKeyId=att("Key", "Arn")),
        "MountA": resource(
            "AWS::EFS::MountTarget",
            FileSystemId=ref("Files"),
            SubnetId=ref("DataA"),
            SecurityGroups=[att("FilesGroup", "GroupId")],
        ),
        "Vault": resource(
            "AWS::Backup::BackupVault", attributes=KEEP, BackupVaultName="v", EncryptionKeyArn=att("Key", "Arn")
        ),
        "Plan": resource(
            "AWS::Backup::BackupPlan",
            BackupPlan={
                "BackupPlanRule": [
                    {
                        "RuleName": "Daily",
                        "TargetBackupVault": ref("Vault"),
                        "ScheduleExpression": "cron(0 5 * * ? *)",
                        "Lifecycle": {"DeleteAfterDays": 35},
                    }
                ]
            },
        ),
        "Selection": resource(
            "AWS::Backup::BackupSelection",
            BackupPlanId=ref("Plan"),
            BackupSelection={"Resources": [att("Database", "DBClusterArn"), att("Files", "Arn")]},
        ),
    }
    return made


def changed(name: str, **properties: Any) -> dict[str, Any]:
    """The deployment with other properties of one resource; None takes a property away."""
    made = deployment()
    merged = made[name]["Properties"] | properties
    made[name]["Properties"] = {key: value for key, value in merged.items() if value is not None}
    return made


def drawn(resources: Mapping[str, Any], **sections: Any) -> Picture:
    return picture({"stack": template(dict(resources), **sections)}, title="A deployment")


def box(found: Picture, name: str) -> Component:
    """The box that a resource is in."""
    return next(one for one in found.components if any(node.logical_id == name for node in one.members))


def marks(found: Picture, name: str) -> list[str]:
    return [key.mark for key in box(found, name).keys]


def said(found: Picture, name: str) -> dict[str, str]:
    """What a box says, with its tones."""
    return {one.text: str(one.tone) for one in box(found, name).details}


def travel(found: Picture, source: str, target: str) -> dict[str, str]:
    """What the arrow between two boxes says, with its tones."""
    start = "internet" if source == "internet" else box(found, source).id
    flow = next(one for one in found.flows if (one.source, one.target) == (start, box(found, target).id))
    return {one.text: str(one.tone) for one in flow.says}
