"""A Fargate deployment as it is in AWS: its stacks, what they tell, and the pair of database and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from hostemr.deployment import outputs
from hostemr.deployment.application import Application
from hostemr.errors import OutsideWorldError, RefusedError
from hostemr.operate.aws import Aws, error_code, pages, stack_outputs

CLUSTER, INSTANCE = "AWS::RDS::DBCluster", "AWS::RDS::DBInstance"
FILE_SYSTEM, MOUNT_TARGET, ACCESS_POINT = "AWS::EFS::FileSystem", "AWS::EFS::MountTarget", "AWS::EFS::AccessPoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A database and its files, by the ids that AWS knows them by. `mount_targets` are ids by subnet."""

    cluster: str
    writer: str
    file_system: str
    access_point: str
    mount_targets: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """For the journal, and for --json."""
        return {**asdict(self), "mount_targets": dict(self.mount_targets)}


@dataclass(frozen=True, slots=True)
class StackResource:
    """A resource of a stack, by what CloudFormation and AWS call it."""

    type: str
    physical: str


@dataclass(frozen=True, slots=True)
class Site:
    """One deployment in one account and region."""

    aws: Aws
    application: Application
    data_stack: str
    service_stack: str

    def outputs(self, stack: str) -> Mapping[str, str]:
        """What a stack tells. Raises OutsideWorldError where it is not there."""
        return stack_outputs(self.aws, stack)

    def output(self, stack: str, name: str) -> str:
        """One output of a stack; see `output`."""
        return output(self.aws, stack, name)

    def exports(self, stack: str) -> dict[str, str]:
        """What a stack exports now, by the exports' names."""
        found = self.aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {one["ExportName"]: one["OutputValue"] for one in found.get("Outputs", ()) if "ExportName" in one}

    def vault(self) -> str:
        """The backup vault's name. Raises OutsideWorldError where the data stack has none."""
        return self.output(self.data_stack, outputs.BACKUP_VAULT)

    def resources(self) -> dict[str, StackResource]:
        """The data stack's resources by logical id."""
        found = pages(
            self.aws.client("cloudformation").list_stack_resources,
            "StackResourceSummaries",
            "NextToken",
            StackName=self.data_stack,
        )
        return {
            one["LogicalResourceId"]: StackResource(one["ResourceType"], one.get("PhysicalResourceId", ""))
            for one in found
            # DELETE_SKIPPED is what the stack let go of and kept: it is the stack's no more.
            if not one["ResourceStatus"].startswith("DELETE_") or one["ResourceStatus"] == "DELETE_FAILED"
        }


def output(aws: Aws, stack: str, name: str) -> str:
    """One output of a stack. Raises OutsideWorldError where the stack, or the output, is not there."""
    found = stack_outputs(aws, stack).get(name)
    if not found:
        raise OutsideWorldError(f"The stack {stack} tells of no {name}.", hint="is it hostemr's, and whole?")
    return found


def site(aws: Aws, application: Application, suffix: str = "") -> Site:
    """The deployment of an application; `suffix` as in its settings."""
    data, service = outputs.stack_names(application.name, suffix)
    return Site(aws, application, data, service)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """Which logical ids of the data stack the pair has. `mount_targets` are by subnet."""

    cluster: str
    writer: str
    file_system: str
    access_point: str
    mount_targets: Mapping[str, str]

    def physical(self, pair: Pair) -> dict[str, str]:
        """A pair's ids by logical id."""
        named = {
            self.cluster: pair.cluster,
            self.writer: pair.writer,
            self.file_system: pair.file_system,
            self.access_point: pair.access_point,
        }
        return named | {logical: pair.mount_targets[subnet] for subnet, logical in self.mount_targets.items()}

    def as_json(self) -> dict[str, Any]:
        """For the journal."""
        return {**asdict(self), "mount_targets": dict(self.mount_targets)}


def dissect(where: Site, template: Mapping[str, Any]) -> tuple[Anatomy, Pair]:
    """The pair that a data stack holds now, and where in its template it stands.

    Raises RefusedError where the template has none, or several, of what there should be one: it is not hostemr's.
    """
    found = where.resources()

    def one(kind: str, *, kept: bool = False) -> str:
        names = [
            name
            for name, resource in found.items()
            if resource.type == kind
            and (not kept or template["Resources"].get(name, {}).get("DeletionPolicy") == "Retain")
        ]
        if len(names) != 1:
            message = f"The stack {where.data_stack} has {len(names)} of {kind}, where one is expected."
            raise RefusedError(message, hint="an unfinished restore? `hostemr restore status` tells")
        return names[0]

    # The reader is no part of the pair: it holds nothing, and CloudFormation makes another.
    cluster, writer = one(CLUSTER), one(INSTANCE, kept=True)
    file_system, access_point = one(FILE_SYSTEM), one(ACCESS_POINT)
    try:
        mounted = mount_targets(where.aws, found[file_system].physical)
    except ClientError as error:
        if error_code(error) != "FileSystemNotFound":
            raise
        message = f"The file system {found[file_system].physical} is gone: a new one takes its settings from it."
        raise RefusedError(message, hint="restore its recovery point with `aws backup start-restore-job`") from error
    subnets = {target["MountTargetId"]: target["SubnetId"] for target in mounted}
    targets = {name: resource.physical for name, resource in found.items() if resource.type == MOUNT_TARGET}
    strange = sorted(set(targets.values()) ^ set(subnets))
    if strange:
        raise RefusedError(f"Mount targets of stack and file system differ: {', '.join(strange)}.")
    pair = Pair(
        cluster=found[cluster].physical,
        writer=found[writer].physical,
        file_system=found[file_system].physical,
        access_point=found[access_point].physical,
        mount_targets={subnets[id_]: id_ for id_ in targets.values()},
    )
    anatomy = Anatomy(
        cluster=cluster,
        writer=writer,
        file_system=file_system,
        access_point=access_point,
        mount_targets={subnets[id_]: name for name, id_ in targets.items()},
    )
    return anatomy, pair


def mount_targets(aws: Aws, file_system: str) -> list[dict[str, Any]]:
    """The mount targets of a file system, as EFS describes them."""
    call = aws.client("efs").describe_mount_targets
    answer = call(FileSystemId=file_system)
    found = list(answer["MountTargets"])
    while answer.get("NextMarker"):
        answer = call(FileSystemId=file_system, Marker=answer["NextMarker"])
        found += answer["MountTargets"]
    return found


def cluster_of(aws: Aws, identifier: str) -> dict[str, Any]:
    """A database cluster, as RDS describes it; botocore's error where there is none."""
    answer: dict[str, Any] = aws.client("rds").describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0]
    return answer
