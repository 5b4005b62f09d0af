"""Which rule prices which type of resource."""

from __future__ import annotations

from hostemr.operate.prices.rules import containers, databases, monitoring, network, security, server, storage
from hostemr.operate.prices.sheet import Rule

RULES: dict[str, Rule] = {
    "AWS::AutoScaling::AutoScalingGroup": server.group,
    "AWS::EC2::Instance": server.instance,
    "AWS::EC2::Volume": server.volume,
    "AWS::EC2::EIP": server.address,
    "AWS::EC2::NatGateway": network.nat_gateway,
    "AWS::EC2::VPCEndpoint": network.endpoint,
    "AWS::EC2::FlowLog": network.flow_log,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": network.load_balancer,
    "AWS::WAFv2::WebACL": network.web_acl,
    "AWS::GlobalAccelerator::Accelerator": network.accelerator,
    "AWS::Route53::HostedZone": network.hosted_zone,
    "AWS::S3::Bucket": storage.bucket,
    "AWS::EFS::FileSystem": storage.file_system,
    "AWS::Backup::BackupPlan": storage.backup_plan,
    "AWS::KMS::Key": security.key,
    "AWS::KMS::ReplicaKey": security.key,
    "AWS::SecretsManager::Secret": security.secret,
    "AWS::SSM::Parameter": security.parameter,
    "AWS::CloudTrail::Trail": security.trail,
    "AWS::CloudWatch::Alarm": monitoring.alarm,
    "AWS::CloudWatch::CompositeAlarm": monitoring.composite_alarm,
    "AWS::CloudWatch::Dashboard": monitoring.dashboard,
    "AWS::Logs::LogGroup": monitoring.log_group,
    "AWS::Logs::MetricFilter": monitoring.metric_filter,
    "AWS::SNS::Topic": monitoring.topic,
    "AWS::ECS::Cluster": containers.cluster,
    "AWS::ECS::Service": containers.service,
    "AWS::Events::Rule": containers.schedule,
    "AWS::Lambda::Function": containers.function,
    "AWS::RDS::DBCluster": databases.cluster,
    "AWS::RDS::DBInstance": databases.instance,
    "AWS::ElastiCache::ServerlessCache": databases.cache,
}
