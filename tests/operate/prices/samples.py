"""Templates to price: one server with backups, and the sizes that the seeds' tables of costs are of."""

from __future__ import annotations

from typing import Any

from tests.operate.templates import att, choose, ref, resource, sub, template


def express_plus(**parameters: Any) -> dict[str, Any]:
    """One server as Express Plus has it: a group of one, its volumes and address, and what keeps its backups."""
    alarms = {
        f"Alarm{name}": resource(
            "AWS::CloudWatch::Alarm",
            Namespace="hostemr/ExpressPlus",
            MetricName=name,
            Dimensions=[{"Name": "Server", "Value": ref("AWS::StackName")}],
            Period=3600,
            AlarmActions=[ref("Topic")],
        )
        for name in ("BackupSucceeded", "BackupAge", "DrillSucceeded", "DiskUsed")
    }
    return template(
        {
            "Network": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16"),
            "Subnet": resource("AWS::EC2::Subnet", VpcId=ref("Network"), MapPublicIpOnLaunch=True),
            "Launch": resource(
                "AWS::EC2::LaunchTemplate",
                LaunchTemplateData={
                    "ImageId": sub("resolve:ssm:${Image}"),
                    "InstanceType": ref("InstanceSize"),
                    "BlockDeviceMappings": [
                        {"DeviceName": "/dev/sda1", "Ebs": {"VolumeType": "gp3", "VolumeSize": 16, "Encrypted": True}}
                    ],
                },
            ),
            "Server": resource(
                "AWS::AutoScaling::AutoScalingGroup",
                MinSize="1",
                MaxSize="1",
                LaunchTemplate={
                    "LaunchTemplateId": ref("Launch"),
                    "Version": att("Launch", "LatestVersionNumber"),
                },
                VPCZoneIdentifier=[ref("Subnet")],
            ),
            "Data": resource("AWS::EC2::Volume", VolumeType="gp3", Size=ref("PracticeStorage"), Encrypted=True),
            "Address": resource("AWS::EC2::EIP", Domain="vpc"),
            "Key": resource("AWS::KMS::Key", EnableKeyRotation=True),
            "Backups": resource("AWS::S3::Bucket"),
            "Audit": resource("AWS::S3::Bucket"),
            "Trail": resource("AWS::CloudTrail::Trail", S3BucketName=ref("Audit"), IsLogging=True),
            "Passphrase": resource("AWS::SecretsManager::Secret"),
            "Administrator": resource("AWS::SecretsManager::Secret"),
            "Database": resource("AWS::SecretsManager::Secret"),
            "Topic": resource("AWS::SNS::Topic"),
            "Mail": resource(
                "AWS::SNS::Subscription",
                attributes={"Condition": "HasMail"},
                TopicArn=ref("Topic"),
                Protocol="email",
                Endpoint=ref("AlarmAddress"),
            ),
            "Ready": resource("AWS::CloudFormation::WaitCondition", Handle=ref("Handle"), Timeout="1200"),
            "Handle": resource("AWS::CloudFormation::WaitConditionHandle"),
            "Role": resource("AWS::IAM::Role", AssumeRolePolicyDocument={"Statement": []}),
            **alarms,
        },
        Parameters={
            "InstanceSize": {"Type": "String", "Default": "t3.small", "AllowedValues": ["t3.small", "t4g.medium"]},
            "PracticeStorage": {"Type": "Number", "Default": 10, "MinValue": 10, "MaxValue": 16384},
            "AlarmAddress": {"Type": "String", "Default": ""},
            "Image": {"Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>", "Default": "/aws/service/x"},
            **parameters,
        },
        Conditions={"HasMail": {"Fn::Not": [{"Fn::Equals": [ref("AlarmAddress"), ""]}]}},
    )


def fargate(*, cpu: int, memory: int, keys: int, database: bool) -> dict[str, Any]:
    """What the seeds' tables of costs count: tasks, load balancer, gateways, secrets, firewall and the rest."""
    parts = {
        "Task": resource(
            "AWS::ECS::TaskDefinition",
            Cpu=str(cpu),
            Memory=str(memory),
            RuntimePlatform={"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"},
        ),
        "Service": resource("AWS::ECS::Service", LaunchType="FARGATE", TaskDefinition=ref("Task")),
        "Scaling": resource(
            "AWS::ApplicationAutoScaling::ScalableTarget",
            MinCapacity=2,
            MaxCapacity=100,
            ResourceId={"Fn::Join": ["/", ["service", ref("Cluster"), att("Service", "Name")]]},
        ),
        "Cluster": resource("AWS::ECS::Cluster"),
        "Balancer": resource("AWS::ElasticLoadBalancingV2::LoadBalancer", Scheme="internal"),
        "GatewayA": resource("AWS::EC2::NatGateway", AllocationId=att("AddressA", "AllocationId")),
        "GatewayB": resource("AWS::EC2::NatGateway", AllocationId=att("AddressB", "AllocationId")),
        "SecretA": resource("AWS::SecretsManager::Secret"),
        "SecretB": resource("AWS::SecretsManager::Secret"),
        "Firewall": resource("AWS::WAFv2::WebACL"),
        **{f"Key{number}": resource("AWS::KMS::Key") for number in range(keys)},
    }
    if database:
        parts |= {
            "Cache": resource("AWS::ElastiCache::ServerlessCache", Engine="valkey"),
            "Aurora": resource(
                "AWS::RDS::DBCluster",
                Engine="aurora-mysql",
                ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 256},
            ),
            **{
                name: resource(
                    "AWS::RDS::DBInstance", DBClusterIdentifier=ref("Aurora"), DBInstanceClass="db.serverless"
                )
                for name in ("Writer", "Reader")
            },
        }
    return template(parts)


def either(condition: Any) -> dict[str, Any]:
    """A volume of 20 GB if the condition holds, of 10 GB otherwise."""
    return template(
        {"Volume": resource("AWS::EC2::Volume", VolumeType="gp3", Size=choose("Big", 20, 10))},
        Conditions={"Big": condition},
    )
