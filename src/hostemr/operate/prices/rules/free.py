"""Types that cost nothing themselves, and why."""

from __future__ import annotations

_IAM = "IAM is free"
_NETWORK = "free part of a network"
_PART = "part of a resource that is charged by itself"
_IDLE = "costs nothing until something runs in it; what runs and what users store is not counted"
_SETTING = "a setting"

FREE = {
    "AWS::ApplicationAutoScaling::ScalableTarget": _SETTING,
    "AWS::ApplicationAutoScaling::ScalingPolicy": _SETTING,
    "AWS::AutoScaling::LifecycleHook": _SETTING,
    "AWS::AutoScaling::ScalingPolicy": _SETTING,
    "AWS::Backup::BackupSelection": _PART,
    "AWS::Backup::BackupVault": "what lies in it counts with the plan",
    "AWS::CertificateManager::Certificate": "public certificates are free",
    "AWS::CDK::Metadata": "no resource",
    "AWS::CloudFormation::CustomResource": "costs what its function costs; what that makes is not in the template",
    "AWS::CloudFormation::WaitCondition": "CloudFormation's own",
    "AWS::CloudFormation::WaitConditionHandle": "CloudFormation's own",
    "AWS::EC2::EIPAssociation": _NETWORK,
    "AWS::EC2::EgressOnlyInternetGateway": _NETWORK,
    "AWS::EC2::InternetGateway": _NETWORK,
    "AWS::EC2::KeyPair": _SETTING,
    "AWS::EC2::LaunchTemplate": "counts where it is launched from",
    "AWS::EC2::NetworkAcl": _NETWORK,
    "AWS::EC2::NetworkAclEntry": _NETWORK,
    "AWS::EC2::Route": _NETWORK,
    "AWS::EC2::RouteTable": _NETWORK,
    "AWS::EC2::SecurityGroup": _NETWORK,
    "AWS::EC2::SecurityGroupEgress": _NETWORK,
    "AWS::EC2::SecurityGroupIngress": _NETWORK,
    "AWS::EC2::Subnet": _NETWORK,
    "AWS::EC2::SubnetNetworkAclAssociation": _NETWORK,
    "AWS::EC2::SubnetRouteTableAssociation": _NETWORK,
    "AWS::EC2::VPC": _NETWORK,
    "AWS::EC2::VPCCidrBlock": _NETWORK,
    "AWS::EC2::VPCDHCPOptionsAssociation": _NETWORK,
    "AWS::EC2::VPCGatewayAttachment": _NETWORK,
    "AWS::EC2::VolumeAttachment": _SETTING,
    "AWS::ECS::TaskDefinition": "counts where a service or a schedule runs it",
    "AWS::ECS::ClusterCapacityProviderAssociations": _SETTING,
    "AWS::EFS::AccessPoint": _PART,
    "AWS::EFS::MountTarget": _PART,
    "AWS::ElastiCache::User": _PART,
    "AWS::ElastiCache::UserGroup": _PART,
    "AWS::ElasticLoadBalancingV2::Listener": _PART,
    "AWS::ElasticLoadBalancingV2::ListenerRule": _PART,
    "AWS::ElasticLoadBalancingV2::TargetGroup": _PART,
    "AWS::EMRServerless::Application": _IDLE,
    "AWS::GlobalAccelerator::EndpointGroup": _PART,
    "AWS::GlobalAccelerator::Listener": _PART,
    "AWS::IAM::InstanceProfile": _IAM,
    "AWS::IAM::ManagedPolicy": _IAM,
    "AWS::IAM::Policy": _IAM,
    "AWS::IAM::Role": _IAM,
    "AWS::IAM::User": _IAM,
    "AWS::IAM::AccessKey": _IAM,
    "AWS::KMS::Alias": _PART,
    "AWS::Lambda::Permission": _SETTING,
    "AWS::RDS::DBClusterParameterGroup": _PART,
    "AWS::RDS::DBParameterGroup": _PART,
    "AWS::RDS::DBSubnetGroup": _PART,
    "AWS::Route53::RecordSet": "counts with its zone; queries to AWS's own endpoints are free",
    "AWS::S3::BucketPolicy": _SETTING,
    "AWS::SecretsManager::ResourcePolicy": _SETTING,
    "AWS::SecretsManager::RotationSchedule": _SETTING,
    "AWS::SecretsManager::SecretTargetAttachment": _SETTING,
    "AWS::SNS::Subscription": "counts with its topic",
    "AWS::SNS::TopicPolicy": _SETTING,
    "AWS::SSM::Document": "documents of one's own are free, on instances of EC2",
    "AWS::SageMaker::Domain": _IDLE,
    "AWS::SageMaker::UserProfile": _IDLE,
    "AWS::WAFv2::LoggingConfiguration": _SETTING,
    "AWS::WAFv2::WebACLAssociation": _SETTING,
}

CUSTOM = "costs what its function costs; what that makes is not in the template"


def free(kind: str) -> str | None:
    """Why a type costs nothing, None for a type of which that is not known."""
    return CUSTOM if kind.startswith("Custom::") else FREE.get(kind)
