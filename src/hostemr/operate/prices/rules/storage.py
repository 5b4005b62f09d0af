"""Buckets, file systems and container images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from hostemr.operate.prices.rules import backups
from hostemr.operate.prices.sheet import Charge, NotPriced, Resource, Sheet, items


def bucket(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::S3::Bucket, all in the standard class.

    A bucket that a trail writes to has a trail's usage; if it is the only one, a bucket's too, since whatever else
    is stored can only be there. One that takes other buckets' access logs holds little.
    """
    trails = sheet.of_type("AWS::CloudTrail::Trail")
    holds_trail = any(trail.target("S3BucketName") == resource.name for trail in trails)
    if holds_trail:
        yield sheet.used("a trail's storage, standard", "s3.standard", "trail_storage_gb", resource)
        yield sheet.used("a trail's requests", "s3.put", "trail_put_requests", resource)
    buckets = list(sheet.of_type("AWS::S3::Bucket"))
    holds_logs = any(
        one.target("LoggingConfiguration", "DestinationBucketName") == resource.name
        for one in buckets
        if one.name != resource.name
    )
    if holds_logs and not holds_trail:
        yield sheet.used("logs, standard", "s3.standard", "log_storage_gb", resource)
        yield sheet.used("requests that write logs", "s3.put", "log_put_requests", resource)
    elif not holds_trail or len(buckets) == 1:
        yield sheet.used("storage, standard", "s3.standard", "bucket_storage_gb", resource)
        yield sheet.used("requests that write or list", "s3.put", "bucket_put_requests", resource)
        yield sheet.used("requests that read", "s3.get", "bucket_get_requests", resource)
    if "ReplicationConfiguration" in resource.properties:
        raise NotPriced("what replication stores and sends elsewhere is not counted")


def file_system(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::EFS::FileSystem with several zones. With a lifecycle, part of it lies in infrequent access."""
    if resource.get("AvailabilityZoneName") is not None:
        raise NotPriced("file systems in one zone are not in the table")
    mode = resource.get("ThroughputMode", default="bursting")
    seldom = Decimal(0)
    for one in items(resource.get("LifecyclePolicies"), "LifecyclePolicies"):
        if isinstance(one, Mapping) and "TransitionToIA" in one:
            seldom = min(Decimal(1), sheet.usage.amount("files_infrequent_percent", resource.name) / 100)
    size = sheet.usage.amount("files_storage_gb", resource.name)
    assumption = "files_storage_gb, files_infrequent_percent" if seldom else "files_storage_gb"
    yield Charge("storage, standard", "efs.standard", size * (1 - seldom), assumption)
    if seldom:
        key = "efs.infrequent.elastic" if mode == "elastic" else "efs.infrequent"
        yield Charge("storage, infrequent access", key, size * seldom, assumption)
        yield sheet.used("moved there", "efs.moved", "files_written_gb", resource)
    if mode == "elastic":
        yield sheet.used("read", "efs.read", "files_read_gb", resource)
        yield sheet.used("written", "efs.written", "files_written_gb", resource)
    if resource.get("BackupPolicy", "Status") == "ENABLED":
        yield from backups.automatic(resource, sheet)
    if mode not in {"elastic", "bursting"}:
        raise NotPriced(f"throughput of mode {mode} is not in the table")


def images(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::ECR::Repository, and the repositories that a pull-through cache fills."""
    yield sheet.used("container images", "ecr.storage", "image_storage_gb", resource)
