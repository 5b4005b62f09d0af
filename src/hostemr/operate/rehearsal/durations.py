"""How long CloudFormation takes to create a resource, by its type: figures with where they come from.

AWS publishes no table of this. What is public are the acceptance tests of Terraform's AWS provider, which create
and destroy real resources and print how long that took. Such a figure is the life of a whole test, so it stands here
as `high`; `low` and `typical` are then estimates below it. Everything else is from memory, and says so. A row is
good for minutes, never for seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hostemr.operate.template import canonical

Basis = Literal["looked up", "from memory", "the template"]


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds that a creation takes; `source` says whose figure it is."""

    low: float
    typical: float
    high: float
    basis: Basis
    source: str

    def as_data(self) -> dict[str, Any]:
        """As JSON's types."""
        return {
            "low": self.low,
            "typical": self.typical,
            "high": self.high,
            "basis": self.basis,
            "source": self.source,
        }


def _tests(low: float, typical: float, high: float, request: int, figures: str) -> Duration:
    source = f"terraform-provider-aws, pull request {request}, acceptance tests with their clean-up: {figures}"
    return Duration(low, typical, high, "looked up", source)


def _memory(low: float, typical: float, high: float, why: str = "what deployments usually show") -> Duration:
    return Duration(low, typical, high, "from memory", why)


_QUICK = _memory(2, 5, 30, "most types need one or two calls of an API")
_SETTLES = "IAM: CloudFormation waits until it is known everywhere"

DURATIONS: Mapping[str, Duration] = {
    "AWS::EC2::VPC": _tests(5, 15, 57, 50039, "25 to 57 s"),
    "AWS::EC2::Subnet": _tests(3, 10, 33, 50041, "25 to 33 s, VPC included"),
    "AWS::EC2::EIP": _tests(10, 20, 57, 15070, "45 to 57 s"),
    "AWS::EC2::NatGateway": _tests(75, 110, 212, 38363, "189 to 212 s; another run shows 106 s for creation alone"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _tests(90, 140, 221, 36969, "171 (15170) to 221 s"),
    "AWS::RDS::DBCluster": _tests(45, 90, 400, 32846, "206 to 400 s"),
    "AWS::RDS::DBInstance": _tests(240, 480, 781, 5124, "597 to 781 s, cluster included"),
    "AWS::ElastiCache::ServerlessCache": _tests(120, 180, 387, 46134, "301 (48380) to 387 s"),
    "AWS::ECS::Service": _tests(60, 180, 240, 15070, "199 to 240 s, with tasks that start at once"),
    "AWS::EFS::FileSystem": _tests(5, 15, 120, 15070, "120 s, with an update"),
    "AWS::EC2::InternetGateway": _memory(10, 17, 30),
    "AWS::EC2::VPCCidrBlock": _memory(5, 15, 60),
    "AWS::EC2::VPCEndpoint": _memory(30, 75, 240),
    "AWS::EC2::Volume": _memory(5, 15, 60),
    "AWS::EC2::Instance": _memory(15, 35, 120),
    "AWS::EFS::MountTarget": _memory(60, 90, 180),
    "AWS::ElastiCache::ReplicationGroup": _memory(300, 540, 1200),
    "AWS::ElastiCache::CacheCluster": _memory(240, 420, 900),
    "AWS::ElastiCache::User": _memory(5, 15, 60),
    "AWS::ElastiCache::UserGroup": _memory(15, 60, 180),
    "AWS::IAM::Role": _memory(12, 18, 30, _SETTLES),
    "AWS::IAM::ManagedPolicy": _memory(10, 17, 30, _SETTLES),
    "AWS::IAM::Policy": _memory(10, 16, 30, _SETTLES),
    "AWS::IAM::User": _memory(15, 35, 60, _SETTLES),
    "AWS::IAM::InstanceProfile": _memory(60, 120, 150, _SETTLES),
    "AWS::S3::Bucket": _memory(10, 22, 45),
    "AWS::KMS::Key": _memory(10, 60, 150),
    "AWS::Lambda::Function": _memory(5, 12, 60),
    "AWS::Logs::LogGroup": _memory(2, 10, 30),
    "AWS::CloudTrail::Trail": _memory(3, 10, 60),
    "AWS::WAFv2::WebACL": _memory(5, 20, 90),
    "AWS::WAFv2::WebACLAssociation": _memory(5, 60, 300, "tried again until WAF and the load balancer know each other"),
    "AWS::CloudFront::Distribution": _memory(120, 240, 900),
    "AWS::CertificateManager::Certificate": _memory(60, 180, 1800, "until DNS shows the record that proves the domain"),
    "AWS::GlobalAccelerator::Accelerator": _memory(30, 60, 300),
    "AWS::GlobalAccelerator::EndpointGroup": _memory(15, 45, 180),
    "AWS::Route53::RecordSet": _memory(30, 60, 120, "CloudFormation waits until all name servers answer with it"),
    "AWS::Route53::HostedZone": _memory(30, 45, 90),
    "AWS::ECS::Cluster": _memory(3, 10, 30),
    "AWS::ECS::TaskDefinition": _memory(2, 5, 15),
    "AWS::AutoScaling::AutoScalingGroup": _memory(20, 60, 180),
    "AWS::SageMaker::Domain": _memory(240, 420, 900),
    "AWS::EMRServerless::Application": _memory(10, 30, 120),
    "AWS::OpenSearchService::Domain": _memory(600, 1200, 2400),
    "AWS::Backup::BackupVault": _memory(2, 6, 30),
    "AWS::SNS::Topic": _memory(5, 12, 30),
    "AWS::SQS::Queue": _memory(30, 65, 70),
}
"""By resource type. What is not here is taken for `_QUICK`."""

_ALONE = _memory(240, 420, 900, "an instance of MySQL or MariaDB by itself, with its first backup")
_WITH_STANDBY = _memory(540, 900, 1_500, "a Multi-AZ instance: its standby is made from a snapshot of the first")
_BY_HAND = _memory(60, 300, 3_600, "until your DNS shows the record that ACM asks for; CloudFormation waits for you")

_CUSTOM_DEFAULT_SECONDS = 3600
"""CloudFormation Template Reference, AWS::CloudFormation::CustomResource, ServiceTimeout."""


def duration(resource: Mapping[str, Any]) -> Duration:
    """How long the creation of a resource of a template takes.

    What waits for a signal is bounded by its own timeout: the template tells `high`, and how soon the signal comes
    is an estimate.
    """
    type_name = str(resource["Type"])
    properties = resource.get("Properties") or {}
    if type_name == "AWS::CloudFormation::WaitCondition":
        longest = _seconds(properties.get("Timeout")) or 0.0
        return _bounded(longest, "its Timeout; the signal comes when the server is set up")
    if type_name.startswith("Custom::") or type_name == "AWS::CloudFormation::CustomResource":
        # A timeout of the work itself, if the template tells one, is nearer than CloudFormation's patience.
        longest = _seconds(properties.get("ServiceTimeout")) or _CUSTOM_DEFAULT_SECONDS
        return _bounded(longest, "its ServiceTimeout; the handler answers when its work is done")
    if type_name == "AWS::RDS::DBInstance" and "DBClusterIdentifier" not in properties:
        return _WITH_STANDBY if canonical(properties.get("MultiAZ")) == "true" else _ALONE
    if type_name == "AWS::CertificateManager::Certificate" and by_hand(properties):
        return _BY_HAND
    patience = _signal(resource.get("CreationPolicy"))
    if patience:
        return _bounded(patience, "the Timeout of its CreationPolicy")
    return DURATIONS.get(type_name, _QUICK)


def by_hand(certificate: Mapping[str, Any]) -> bool:
    """Whether a certificate, by its properties, waits for a record that no hosted zone of the account takes.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-certificatemanager-certificate.html
    """
    options = certificate.get("DomainValidationOptions")
    zones = options if isinstance(options, list) else []
    return not any(isinstance(one, Mapping) and "HostedZoneId" in one for one in zones)


def _bounded(longest: float, what: str) -> Duration:
    return Duration(min(10.0, longest), min(600.0, longest / 4), longest, "the template", what)


def _seconds(value: Any) -> float | None:
    text = canonical(value)
    return float(text) if isinstance(text, str) and text.isdigit() else None


def _signal(policy: Any) -> float | None:
    """Seconds of a CreationPolicy's `Timeout`, written as ISO 8601 (`PT1H30M`); PT5M if it is not said."""
    signal = policy.get("ResourceSignal") if isinstance(policy, Mapping) else None
    if not isinstance(signal, Mapping):
        return None
    text = str(signal.get("Timeout", "PT5M")).upper().removeprefix("PT")
    total, number = 0.0, ""
    for character in text:
        if character.isdigit():
            number += character
        else:
            total += float(number or 0) * {"H": 3600, "M": 60, "S": 1}.get(character, 0)
            number = ""
    return total or None
