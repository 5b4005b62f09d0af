"""The cut-over, and the way back: the same steps with the pairs in each other's place.

First the service stack gets the other pair's ids as literals in the place of the data stack's exports, which frees
them: that is the moment of the cut-over, and CloudFormation undoes it by itself where the set-up task refuses the
pair. Then the data stack lets go of the one pair, which stays, and takes in the other under the same logical ids.
Then both have the templates again that the CDK wrote, so that the next `cdk deploy` finds what it expects.

Each step asks first whether it is done. Killed anywhere and begun again, it goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from hostemr.deployment.outputs import export_name
from hostemr.errors import OutsideWorldError, RefusedError
from hostemr.operate.aws import error_code, pages
from hostemr.operate.recovery.journal import RETURNED, RETURNING, SERVING, SWITCHING, Journal
from hostemr.operate.recovery.patience import Patience
from hostemr.operate.recovery.rewriting import with_pair, without_imports, without_pair
from hostemr.operate.recovery.service import Service, service_of
from hostemr.operate.recovery.site import (
    ACCESS_POINT,
    CLUSTER,
    FILE_SYSTEM,
    INSTANCE,
    MOUNT_TARGET,
    Pair,
    cluster_of,
)
from hostemr.operate.recovery.stack_updates import Stacks, UpdateFailed
from hostemr.operate.template import canonical

_IDENTIFIERS = {
    CLUSTER: "DBClusterIdentifier",
    INSTANCE: "DBInstanceIdentifier",
    FILE_SYSTEM: "FileSystemId",
    MOUNT_TARGET: "Id",
    ACCESS_POINT: "AccessPointId",
}
"""By what CloudFormation takes a resource in: the primary identifiers of its own schemas."""
EXPORTS = ("DatabaseClusterId", "DatabaseHost", "MasterSecretArn", "FileSystemId", "AccessPointId")
"""The data stack's exports that are of the pair; `stacks/data.py` writes them."""


@dataclass(slots=True)
class Switch:
    """One change of the pair that serves; `back` is the way back."""

    journal: Journal
    stacks: Stacks
    patience: Patience
    back: bool = False

    def run(self) -> None:
        """Change the pair that serves.

        Raises UpdateFailed, OutsideWorldError or RefusedError; run again, it goes on. A pair that the set-up task
        refuses is the exception: then the one from before serves again.
        """
        self._begin()
        steps: dict[str, Callable[[], None]] = {
            "shut": self._shut,
            "stop": self._stop,
            "point": self._point,
            "start": self._start,
            "let-go": self._let_go,
            "take-in": self._take_in,
            "restore-data-template": self._restore_data_template,
            "restore-service-template": self._restore_service_template,
            "open": self._open,
        }
        for name, step in steps.items():
            if name in self.journal.data["done"]:
                continue
            try:
                step()
            except Exception:
                if self.journal.phase in {SWITCHING, RETURNING}:
                    self.patience.tell(
                        f"left at the step {name!r}: the same command goes on with it, rollback undoes it"
                    )
                raise
            self.journal.write(done=[*self.journal.data["done"], name])
        self._end(RETURNED if self.back else SERVING)

    def importers(self) -> list[str]:
        """Other stacks that use the pair's exports: CloudFormation would not let the data stack change them."""
        site = self.journal.site
        found: set[str] = set()
        for export in EXPORTS:
            try:
                name = export_name(site.data_stack, export)
                found |= set(
                    pages(site.aws.client("cloudformation").list_imports, "Imports", "NextToken", ExportName=name)
                )
            except ClientError as error:
                if error_code(error) != "ValidationError":
                    raise
                # That is how it answers for an export that nobody imports.
        return sorted(found - {site.service_stack})

    @property
    def _to(self) -> Pair:
        return self.journal.old if self.back else self.journal.new

    def _begin(self) -> None:
        journal, site = self.journal, self.journal.site
        phase = RETURNING if self.back else SWITCHING
        if journal.phase == phase:
            return
        changes: dict[str, Any] = {"phase": phase, "done": []}
        if "originals" not in journal.data:
            others = self.importers()
            if others:
                message = f"{', '.join(others)} uses what {site.data_stack} exports of the pair."
                raise RefusedError(message, hint="destroy it first; it can be deployed again afterwards")
            changes |= {
                "originals": {
                    stack: self.stacks.keep(f"{phase}/{stack}-original", self.stacks.template(stack))
                    for stack in (site.data_stack, site.service_stack)
                },
                "policies": {stack: self.stacks.policy(stack) for stack in (site.data_stack, site.service_stack)},
                "tasks": self._service.desired(),
                "before": journal.phase,
            }
        journal.write(**changes)

    def _end(self, phase: str) -> None:
        for name in ("originals", "policies", "tasks", "before", "done"):
            self.journal.data.pop(name, None)
        self.journal.write(phase=phase)

    @property
    def _service(self) -> Service:
        return service_of(self.journal.site, self.patience)

    def _original(self, stack: str) -> dict[str, Any]:
        return self.stacks.kept(self.journal.data["originals"][stack])

    def _shut(self) -> None:
        for stack in (self.journal.site.data_stack, self.journal.site.service_stack):
            self.stacks.shut(stack)

    def _open(self) -> None:
        for stack, policy in self.journal.data["policies"].items():
            self.stacks.open(stack, policy)

    def _stop(self) -> None:
        self.stacks.settle(self.journal.site.service_stack)
        self.patience.tell("stopping the service: nobody can work from here on")
        self._service.stop()

    def _point(self) -> None:
        site = self.journal.site
        cluster = cluster_of(site.aws, self._to.cluster)
        values = (
            self._to.cluster,
            cluster["Endpoint"],
            cluster["MasterUserSecret"]["SecretArn"],
            self._to.file_system,
            self._to.access_point,
        )
        named = {export_name(site.data_stack, name): value for name, value in zip(EXPORTS, values, strict=True)}
        template = without_imports(self._original(site.service_stack), named)
        try:
            self.stacks.update(site.service_stack, f"{self.journal.id}/service-on-{self._to.cluster}", template)
        except UpdateFailed as error:
            if self._untouched():
                self._undo()
                raise OutsideWorldError(
                    f"The other pair could not be served, and the one from before serves again: {error.message}",
                    hint="the log of the set-up task says why; `hostemr restore verify` looks at the pair",
                ) from error
            raise

    def _untouched(self) -> bool:
        return all(
            canonical(self.stacks.template(stack)) == canonical(self._original(stack))
            for stack in self.journal.data["originals"]
        )

    def _undo(self) -> None:
        """CloudFormation went back by itself, and nothing else was changed yet."""
        self._service.start(int(self.journal.data["tasks"]))
        self._open()
        self._end(self.journal.data["before"])

    def _start(self) -> None:
        self.patience.tell("starting the service on the other pair")
        self._service.start(int(self.journal.data["tasks"]))
        self.patience.tell("the service works again; the stacks are brought to the same state now")

    def _reduced(self) -> dict[str, Any]:
        journal, anatomy, to = self.journal, self.journal.anatomy, self._to
        aws = journal.site.aws
        cluster = cluster_of(aws, to.cluster)
        efs = aws.client("efs")
        attributes = {
            f"{anatomy.cluster}.Endpoint.Address": cluster["Endpoint"],
            f"{anatomy.cluster}.Endpoint.Port": str(cluster["Port"]),
            f"{anatomy.cluster}.ReadEndpoint.Address": cluster.get("ReaderEndpoint", ""),
            f"{anatomy.cluster}.DBClusterArn": cluster["DBClusterArn"],
            f"{anatomy.cluster}.MasterUserSecret.SecretArn": cluster["MasterUserSecret"]["SecretArn"],
            f"{anatomy.file_system}.Arn": efs.describe_file_systems(FileSystemId=to.file_system)["FileSystems"][0][
                "FileSystemArn"
            ],
            f"{anatomy.access_point}.Arn": efs.describe_access_points(AccessPointId=to.access_point)["AccessPoints"][0][
                "AccessPointArn"
            ],
        }
        return without_pair(self._original(journal.site.data_stack), anatomy.physical(to), attributes)

    def _taken_in(self) -> bool:
        found = self.journal.site.resources()
        wanted = self.journal.anatomy.physical(self._to)
        return all(name in found and found[name].physical == id_ for name, id_ in wanted.items())

    def _let_go(self) -> None:
        self.stacks.settle(self.journal.site.data_stack)
        if not self._taken_in():
            name = f"{self.journal.id}/data-lets-go-for-{self._to.cluster}"
            self.stacks.update(self.journal.site.data_stack, name, self._reduced())

    def _take_in(self) -> None:
        stack = self.journal.site.data_stack
        self.stacks.settle(stack)
        if self._taken_in():
            return
        original = self._original(stack)
        wanted = self.journal.anatomy.physical(self._to)
        resources = [
            {
                "ResourceType": original["Resources"][name]["Type"],
                "LogicalResourceId": name,
                "ResourceIdentifier": {_IDENTIFIERS[original["Resources"][name]["Type"]]: id_},
            }
            for name, id_ in wanted.items()
        ]
        template = with_pair(self._reduced(), original, list(wanted))
        self.stacks.take_in(stack, f"{self.journal.id}/data-takes-in-{self._to.cluster}", template, resources)

    def _restore_data_template(self) -> None:
        stack = self.journal.site.data_stack
        self.stacks.update(stack, f"{self.journal.id}/data-as-it-was", self._original(stack))

    def _restore_service_template(self) -> None:
        stack = self.journal.site.service_stack
        self.stacks.update(stack, f"{self.journal.id}/service-as-it-was", self._original(stack))
