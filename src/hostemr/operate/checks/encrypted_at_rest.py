"""What holds data is encrypted."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Templates, rows

SWITCHES = {
    "AWS::RDS::DBCluster": "StorageEncrypted",
    "AWS::RDS::DBInstance": "StorageEncrypted",
    "AWS::DocDB::DBCluster": "StorageEncrypted",
    "AWS::Neptune::DBCluster": "StorageEncrypted",
    "AWS::EFS::FileSystem": "Encrypted",
    "AWS::EC2::Volume": "Encrypted",
}


def _find(templates: Templates) -> Iterator[Found]:
    for resource in templates.of(*SWITCHES):
        name = SWITCHES[resource.type]
        if not templates.is_member(resource) and not templates.is_true(resource, name):
            yield Found(resource, "what it holds is not encrypted", f"set {name} to true, with a key of your own", name)
    for server in templates.of("AWS::EC2::Instance", "AWS::EC2::LaunchTemplate"):
        place = (
            ("BlockDeviceMappings",)
            if server.type == "AWS::EC2::Instance"
            else ("LaunchTemplateData", "BlockDeviceMappings")
        )
        disks = [disk for mapping in server.at(*place) for disk in rows(mapping, "Ebs")]
        open_disks = [disk for disk in disks if templates.text(server.stack, disk.get("Encrypted")).lower() != "true"]
        image = server.has("ImageId") or server.has("LaunchTemplateData", "ImageId")
        if open_disks or (not disks and image):
            yield Found(
                server,
                "its own disk is encrypted only if the account does so by default: swap, logs and temporary files "
                "are on it",
                "map the root device with Ebs.Encrypted set to true",
                ".".join(place),
                "warning",
            )


CHECK = Check(
    id="HOSTEMR-EncryptedAtRest",
    title="What holds data is encrypted",
    severity="error",
    reason="Encryption of a database, a file system or a disk is chosen when it is made, and never later.",
    source="https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption.html",
    find=_find,
)
