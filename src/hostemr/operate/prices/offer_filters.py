"""Which product of AWS's price list each price of the table is.

A usage type begins with a code of its region in most files (`USW2-LoadBalancerUsage`), in us-east-1 often with none.
Each filter is exact, so that what AWS renames is found missing rather than taken for something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from hostemr.operate.prices.offer_file import Product

PREFIXES: Mapping[str, tuple[str, ...]] = {
    "us-east-1": ("", "USE1-"),
    "us-east-2": ("USE2-",),
    "us-west-1": ("USW1-",),
    "us-west-2": ("USW2-",),
    "ca-central-1": ("CAN1-",),
    "eu-west-1": ("EU-", "EUW1-"),
    "eu-west-2": ("EUW2-",),
    "eu-west-3": ("EUW3-",),
    "eu-central-1": ("EUC1-",),
    "eu-north-1": ("EUN1-",),
    "ap-southeast-1": ("APS1-",),
    "ap-southeast-2": ("APS2-",),
    "ap-northeast-1": ("APN1-",),
    "ap-northeast-2": ("APN2-",),
    "sa-east-1": ("SAE1-",),
}
"""What usage types of a region begin with (AWS Billing User Guide, "Region billing codes"); KMS has its whole name."""
_UNITS: Mapping[str, frozenset[str]] = {
    "hour": frozenset({"hr", "hour"}),
    "vCPU-hour": frozenset({"hour", "hr", "vcpu-hour"}),
    "GB-hour": frozenset({"hour", "hr", "gb-hour", "gb-hr"}),
    "ACU-hour": frozenset({"acu-hr", "acu-hour"}),
    "LCU-hour": frozenset({"lcu-hr", "lcu-hour"}),
    "GB-month": frozenset({"gb-mo", "gb-month"}),
    "IOPS-month": frozenset({"iops-mo"}),
    "GB": frozenset({"gb", "gigabyte"}),
    "GB-second": frozenset({"lambda-gb-second", "gb-second", "second"}),
    "request": frozenset({"request", "api request", "io", "api call"}),
    "message": frozenset({"message", "notification", "count"}),
    "event": frozenset({"event"}),
    "ECPU": frozenset({"ecpu", "elasticacheprocessingunit"}),
    "month": frozenset(
        {"month", "mo", "metric", "alarm", "dashboard", "key", "secret", "hostedzone", "web acl", "rule", "month-rule"}
    ),
}
"""The table's units as offer files write them, in small letters and singular."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A product: its service, its usage type without region, and attributes that tell it from others.

    `factors` say by how much a price in another unit is multiplied.
    """

    service: str
    usage: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    regional: bool = True
    factors: Mapping[str, Decimal] = field(default_factory=dict)

    def fits(self, product: Product, region: str) -> bool:
        """Whether it is this product in a region proper, rather than in one of its local zones."""
        found = product.attributes
        return (
            found.get("usagetype") in self.usage_types(region)
            and (not self.regional or found.get("locationType", "AWS Region") == "AWS Region")
            and all(found.get(name) == value for name, value in self.attributes.items())
        )

    def usage_types(self, region: str) -> frozenset[str]:
        """How the usage type can be written for a region."""
        prefixes = (*PREFIXES[region], f"{region}-") if self.regional else ("", "Global-")
        return frozenset(prefix + self.usage for prefix in prefixes)

    def factor(self, unit: str, ours: str) -> Decimal | None:
        """What a price of `unit` is multiplied by for the table's unit, None if the units do not match."""
        # "Hrs" and "hours", "GB-Mo" and "GB-month": the files write a unit in several ways.
        written = unit.lower().removesuffix("s")
        if written in self.factors:
            return self.factors[written]
        return Decimal(1) if written in _UNITS.get(ours, frozenset()) else None


def _application_balancer(usage: str) -> Filter:
    return Filter("AWSELB", usage, {"operation": "LoadBalancing:Application"})


def _classic_balancer(usage: str) -> Filter:
    return Filter("AWSELB", usage, {"operation": "LoadBalancing"})


_LINUX = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
_MYSQL, _AURORA = {"databaseEngine": "MySQL"}, {"databaseEngine": "Aurora MySQL"}
_PER_MIB = {"gibps-mo": Decimal(1) / 1024, "mibps-mo": Decimal(1)}
_FILTERS: Mapping[str, Filter] = {
    "ec2.surplus.t3": Filter("AmazonEC2", "CPUCredits:t3", {"operatingSystem": "Linux"}),
    "ec2.surplus.t4g": Filter("AmazonEC2", "CPUCredits:t4g", {"operatingSystem": "Linux"}),
    "ebs.gp3": Filter("AmazonEC2", "EBS:VolumeUsage.gp3"),
    "ebs.gp2": Filter("AmazonEC2", "EBS:VolumeUsage.gp2"),
    "ebs.standard": Filter("AmazonEC2", "EBS:VolumeUsage"),
    "ebs.st1": Filter("AmazonEC2", "EBS:VolumeUsage.st1"),
    "ebs.sc1": Filter("AmazonEC2", "EBS:VolumeUsage.sc1"),
    "ebs.gp3.iops": Filter("AmazonEC2", "EBS:VolumeP-IOPS.gp3"),
    "ebs.gp3.throughput": Filter("AmazonEC2", "EBS:VolumeP-Throughput.gp3", factors=_PER_MIB),
    "nat.hour": Filter("AmazonEC2", "NatGateway-Hours", {"productFamily": "NAT Gateway"}),
    "nat.processed": Filter("AmazonEC2", "NatGateway-Bytes", {"productFamily": "NAT Gateway"}),
    "fargate.x86.vcpu": Filter("AmazonECS", "Fargate-vCPU-Hours:perCPU"),
    "fargate.x86.memory": Filter("AmazonECS", "Fargate-GB-Hours"),
    "fargate.arm.vcpu": Filter("AmazonECS", "Fargate-ARM-vCPU-Hours:perCPU"),
    "fargate.arm.memory": Filter("AmazonECS", "Fargate-ARM-GB-Hours"),
    "fargate.storage": Filter("AmazonECS", "Fargate-EphemeralStorage-GB-Hours"),
    "lambda.requests": Filter("AWSLambda", "Request", {"group": "AWS-Lambda-Requests"}),
    "lambda.x86.seconds": Filter("AWSLambda", "Lambda-GB-Second", {"group": "AWS-Lambda-Duration"}),
    "lambda.arm.seconds": Filter("AWSLambda", "Lambda-GB-Second-ARM", {"group": "AWS-Lambda-Duration-ARM"}),
    "aurora.acu": Filter("AmazonRDS", "Aurora:ServerlessV2Usage", _AURORA),
    "aurora.storage": Filter("AmazonRDS", "Aurora:StorageUsage"),
    "aurora.io": Filter("AmazonRDS", "Aurora:StorageIOUsage"),
    "aurora.backup": Filter("AmazonRDS", "Aurora:BackupUsage"),
    "rds.gp2": Filter("AmazonRDS", "RDS:GP2-Storage", _MYSQL),
    "rds.gp3": Filter("AmazonRDS", "RDS:GP3-Storage", _MYSQL),
    "rds.gp2.multi": Filter("AmazonRDS", "RDS:Multi-AZ-GP2-Storage", _MYSQL),
    "rds.gp3.multi": Filter("AmazonRDS", "RDS:Multi-AZ-GP3-Storage", _MYSQL),
    "rds.backup": Filter("AmazonRDS", "RDS:ChargedBackupUsage"),
    "cache.valkey.storage": Filter("AmazonElastiCache", "CachedData:Valkey"),
    "cache.redis.storage": Filter("AmazonElastiCache", "CachedData:Redis"),
    "cache.valkey.units": Filter("AmazonElastiCache", "ElastiCacheProcessingUnits:Valkey"),
    "cache.redis.units": Filter("AmazonElastiCache", "ElastiCacheProcessingUnits:Redis"),
    "ipv4": Filter("AmazonVPC", "PublicIPv4:InUseAddress"),
    "endpoint.hour": Filter("AmazonVPC", "VpcEndpoint-Hours"),
    "endpoint.processed": Filter("AmazonVPC", "VpcEndpoint-Bytes"),
    "traffic.out": Filter("AWSDataTransfer", "DataTransfer-Out-Bytes", {"transferType": "AWS Outbound"}),
    "alb.hour": _application_balancer("LoadBalancerUsage"),
    "alb.lcu": _application_balancer("LCUUsage"),
    "clb.hour": _classic_balancer("LoadBalancerUsage"),
    "clb.processed": _classic_balancer("DataProcessing-Bytes"),
    "waf.acl": Filter("awswaf", "WebACLV2"),
    "waf.rule": Filter("awswaf", "RuleV2"),
    "waf.requests": Filter("awswaf", "RequestV2-Tier1"),
    "route53.zone": Filter("AmazonRoute53", "HostedZone", regional=False),
    "kms.key": Filter("awskms", "KMS-Keys"),
    "kms.requests": Filter("awskms", "KMS-Requests"),
    "secret": Filter("AWSSecretsManager", "AWSSecretsManager-Secrets"),
    "secret.requests": Filter("AWSSecretsManager", "AWSSecretsManagerAPIRequest"),
    "trail.copied": Filter("AWSCloudTrail", "PaidEventsRecorded"),
    "trail.data": Filter("AWSCloudTrail", "DataEventsRecorded"),
    "s3.standard": Filter("AmazonS3", "TimedStorage-ByteHrs", {"volumeType": "Standard"}),
    "s3.put": Filter("AmazonS3", "Requests-Tier1"),
    "s3.get": Filter("AmazonS3", "Requests-Tier2"),
    "efs.standard": Filter("AmazonEFS", "TimedStorage-ByteHrs", {"storageClass": "General Purpose"}),
    "efs.infrequent": Filter("AmazonEFS", "IATimedStorage-ByteHrs", {"storageClass": "Infrequent Access"}),
    "efs.infrequent.elastic": Filter("AmazonEFS", "IATimedStorage-ET-ByteHrs"),
    "efs.moved": Filter(
        "AmazonEFS", "IADataAccess-Bytes", {"storageClass": "Infrequent Access", "accessType": "Write"}
    ),
    "efs.read": Filter("AmazonEFS", "ETDataAccess-Bytes", {"accessType": "Read"}),
    "efs.written": Filter("AmazonEFS", "ETDataAccess-Bytes", {"accessType": "Write"}),
    "ecr.storage": Filter("AmazonECR", "TimedStorage-ByteHrs"),
    "backup.warm": Filter("AWSBackup", "WarmStorage-ByteHrs-EFS"),
    "backup.cold": Filter("AWSBackup", "ColdStorage-ByteHrs-EFS"),
    "cloudwatch.metric": Filter("AmazonCloudWatch", "CW:MetricMonitorUsage"),
    "cloudwatch.alarm": Filter("AmazonCloudWatch", "CW:AlarmMonitorUsage"),
    "cloudwatch.alarm.fast": Filter("AmazonCloudWatch", "CW:HighResAlarmMonitorUsage"),
    "cloudwatch.alarm.composite": Filter("AmazonCloudWatch", "CW:CompositeAlarmMonitorUsage"),
    "cloudwatch.dashboard": Filter("AmazonCloudWatch", "DashboardsUsageHour", regional=False),
    "logs.ingested": Filter("AmazonCloudWatch", "DataProcessing-Bytes"),
    "logs.ingested.infrequent": Filter("AmazonCloudWatch", "DataProcessingIA-Bytes"),
    "logs.stored": Filter("AmazonCloudWatch", "TimedStorage-ByteHrs"),
    "sns.published": Filter("AmazonSNS", "Requests-Tier1"),
    "sns.https": Filter("AmazonSNS", "DeliveryAttempts-HTTP"),
    "sqs.requests": Filter("AWSQueueService", "Requests-Tier1", {"queueType": "Standard"}),
    "ses.sent": Filter("AmazonSES", "Recipients"),
    "ses.attached": Filter("AmazonSES", "AttachmentsSize-Bytes"),
    "sns.email": Filter("AmazonSNS", "DeliveryAttempts-SMTP"),
}


_INSTANCES: Mapping[str, Filter] = {
    "ec2.": Filter("AmazonEC2", "BoxUsage", _LINUX),
    "rds.db.": Filter("AmazonRDS", "InstanceUsage", _MYSQL),
    "aurora.db.": Filter("AmazonRDS", "InstanceUsage", _AURORA),
}
"""By what their keys begin with; the rest of the key is the instance's type."""


def filter_of(key: str) -> Filter | None:
    """The filter of a price's key, None where no product of the price list is known for it."""
    if key in _FILTERS:
        return _FILTERS[key]
    for beginning, one in _INSTANCES.items():
        if key.startswith(beginning):
            kind = "db." * beginning.endswith("db.") + key.removeprefix(beginning)
            usage = "Multi-AZUsage" if kind.endswith(".multi") else one.usage
            return Filter(one.service, f"{usage}:{kind.removesuffix('.multi')}", one.attributes)
    return None


def by_service(keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, bool], dict[str, Filter]]]:
    """The filters of keys by offer file: its service, and whether there is one for each region."""
    files: dict[tuple[str, bool], dict[str, Filter]] = {}
    for key in keys:
        found = filter_of(key)
        if found is not None:
            files.setdefault((found.service, found.regional), {})[key] = found
    yield from files.items()
