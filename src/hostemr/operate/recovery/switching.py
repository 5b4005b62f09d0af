"""The cut-over, and the way back: the same steps with the pairs in each other's place.

First the service stack gets the other pair's ids as literals in the place of the data stack's exports, which frees
them: that is the moment of the cut-over, and CloudFormation undoes it by itself where the set-up task refuses the
pair. Then the data stack lets go of the one pair, which stays, and takes in the other under the same logical ids.
Then both have the templates again that the CDK wrote, so that the next `cdk deploy` finds what it expects.

Each step asks first whether it is done. Killed anywhere and begun again, it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from hostemr.deployment.outputs import export_name
from hostemr.errors import HostemrError, OutsideWorldError, RefusedError
from hostemr.operate.aws import error_code, pages, translated
from hostemr.operate.recovery.journal import RETURNED, RETURNING, SERVING, SWITCHING, Journal
from hostemr.operate.recovery.patience import Patience
from hostemr.operate.recovery.rewriting import Template, with_pair, without_imports, without_pair
from hostemr.operate.recovery.service import Service, service_of
from hostemr.operate.recovery.site import (
    ACCESS_POINT,
    CLUSTER,
    FILE_SYSTEM,
    INSTANCE,
    MOUNT_TARGET,
    Pair,
    cluster_of,
    dissect,
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
        self.journal.claim()
        if "originals" not in self.journal.data and self.back != (self.journal.data["before"] == SERVING):
            # The other direction was begun, and has changed nothing but the stacks' policies.
            self._open()
            self._end(self.journal.data["before"])
            return
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
                with translated(f"at the step {name}"):
                    step()
            except HostemrError as error:
                # In the error itself, since with --json nothing else is told.
                error.hint = "; ".join(filter(None, (error.hint, self._left(name))))
                raise
            except BaseException:
                self.patience.tell(self._left(name))
                raise
            self.journal.write(done=[*self.journal.data["done"], name])
        self._end(RETURNED if self.back else SERVING)

    def _left(self, step: str) -> str:
        """What holds now, for whom a step fails, or who ends the process."""
        if self.journal.phase not in {SWITCHING, RETURNING}:
            return ""
        done = self.journal.data["done"]
        stopped = step == "stop" or ("stop" in done and "start" not in done)
        serves = "THE SERVICE IS STOPPED" if stopped else "the service was not stopped, or works again"
        other = "`hostemr restore cutover` goes forward again" if self.back else "`hostemr restore rollback` goes back"
        return f"left at the step {step}, {serves}: the same command goes on with it, {other}"

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

    @property
    def _from(self) -> Pair:
        return self.journal.new if self.back else self.journal.old

    def _begin(self) -> None:
        journal, site = self.journal, self.journal.site
        phase = RETURNING if self.back else SWITCHING
        if journal.phase == phase:
            return
        changes: dict[str, Any] = {"phase": phase, "done": []}
        if "policies" not in journal.data:
            for stack in (site.data_stack, site.service_stack):
                self.stacks.settle(stack)
            self._look_ahead({stack: self.stacks.template(stack) for stack in (site.data_stack, site.service_stack)})
            changes |= {
                "policies": {stack: self.stacks.policy(stack) for stack in (site.data_stack, site.service_stack)},
                "tasks": self._service.desired(),
                "before": journal.phase,
                "bucket": self.stacks.bucket,
            }
            if changes["tasks"] == 0:
                self.patience.tell("the service has no task now, and will have none at the end: start it yourself")
        journal.write(**changes)

    def _look_ahead(self, templates: Mapping[str, Template]) -> None:
        """Make every template that will be needed, while nothing is changed yet. Raises RefusedError."""
        journal, site = self.journal, self.journal.site
        others = self.importers()
        if others:
            message = f"{', '.join(others)} uses what {site.data_stack} exports of the pair."
            raise RefusedError(message, hint="destroy it first; it can be deployed again afterwards")
        anatomy, serving = dissect(site, templates[site.data_stack])
        if (anatomy.as_json(), serving.as_json()) != (journal.anatomy.as_json(), self._from.as_json()):
            message = f"{site.data_stack} has another pair, or has it otherwise, than when this restore was begun."
            raise RefusedError(message, hint="nothing was changed; end this restore, and begin another")
        without_imports(templates[site.service_stack], self._exported())
        self._reduced(templates[site.data_stack])

    def _end(self, phase: str) -> None:
        for name in ("originals", "policies", "tasks", "before", "done", "bucket"):
            self.journal.data.pop(name, None)
        self.journal.write(phase=phase)

    @property
    def _service(self) -> Service:
        return service_of(self.journal.site, self.patience)

    def _original(self, stack: str) -> dict[str, Any]:
        return self.stacks.kept(self.journal.data["originals"][stack])

    def _shut(self) -> None:
        names = (self.journal.site.data_stack, self.journal.site.service_stack)
        for stack in names:
            self.stacks.shut(stack)
        if "originals" in self.journal.data:
            return
        # Only now: a deployment may have changed the stacks since they were looked at.
        templates = {}
        for stack in names:
            self.stacks.settle(stack)
            templates[stack] = self.stacks.template(stack)
        try:
            self._look_ahead(templates)
        except RefusedError:
            self._open()
            self._end(self.journal.data["before"])
            raise
        kept = {name: self.stacks.keep(f"{self.journal.id}/{name}-original", one) for name, one in templates.items()}
        self.journal.write(originals=kept)

    def _open(self) -> None:
        for stack, policy in self.journal.data["policies"].items():
            self.stacks.open(stack, policy)

    def _stop(self) -> None:
        self.stacks.settle(self.journal.site.service_stack)
        self.patience.tell("stopping the service: nobody can work from here on")
        self._service.stop()

    def _point(self) -> None:
        site = self.journal.site
        template = without_imports(self._original(site.service_stack), self._exported())
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

    def _exported(self) -> dict[str, str]:
        """What the data stack will export of the pair, by the exports' names."""
        site = self.journal.site
        cluster = cluster_of(site.aws, self._to.cluster)
        values = (
            self._to.cluster,
            cluster["Endpoint"],
            cluster["MasterUserSecret"]["SecretArn"],
            self._to.file_system,
            self._to.access_point,
        )
        return {export_name(site.data_stack, name): value for name, value in zip(EXPORTS, values, strict=True)}

    def _untouched(self) -> bool:
        """Whether both stacks have their own templates, and the pair that this run wants to leave."""
        return self._holds(self._from) and all(
            canonical(self.stacks.template(stack)) == canonical(self._original(stack))
            for stack in self.journal.data["originals"]
        )

    def _undo(self) -> None:
        """CloudFormation went back by itself, and nothing else was changed yet."""
        self._service.start(int(self.journal.data["tasks"]))
        self._open()
        # Both directions may have been tried since the beginning: what counts is which pair the stack has.
        before = self.journal.data["before"]
        self._end(SERVING if self.back else RETURNED if before == SERVING else before)

    def _start(self) -> None:
        self.patience.tell("starting the service on the other pair")
        self._service.start(int(self.journal.data["tasks"]))
        self.patience.tell("the service works again; the stacks are brought to the same state now")

    def _reduced(self, template: Template) -> dict[str, Any]:
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
        return without_pair(template, anatomy.physical(to), attributes)

    def _taken_in(self) -> bool:
        return self._holds(self._to)

    def _holds(self, pair: Pair) -> bool:
        """Whether the data stack has a pair as its own."""
        found = self.journal.site.resources()
        wanted = self.journal.anatomy.physical(pair)
        return all(name in found and found[name].physical == id_ for name, id_ in wanted.items())

    def _let_go(self) -> None:
        self.stacks.settle(self.journal.site.data_stack)
        if not self._taken_in():
            name = f"{self.journal.id}/data-lets-go-for-{self._to.cluster}"
            template = self._reduced(self._original(self.journal.site.data_stack))
            self.stacks.update(self.journal.site.data_stack, name, template)

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
        template = with_pair(self._reduced(original), original, list(wanted))
        self.stacks.take_in(stack, f"{self.journal.id}/data-takes-in-{self._to.cluster}", template, resources)

    def _restore_data_template(self) -> None:
        stack = self.journal.site.data_stack
        self.stacks.settle(stack)
        if not self._taken_in():
            # CloudFormation would make what the stack has not: a cluster and a file system with nothing in them.
            message = f"{stack} has not taken in {self._to.cluster} and {self._to.file_system}: it is left as it is."
            raise RefusedError(message, hint="the service works by literals, nothing is lost")
        self.stacks.update(stack, f"{self.journal.id}/data-as-it-was", self._original(stack))

    def _restore_service_template(self) -> None:
        stack, exported = self.journal.site.service_stack, self.journal.site.exports(self.journal.site.data_stack)
        wanted = self._exported()
        wrong = [f"{name} is {exported.get(name)}" for name, one in wanted.items() if exported.get(name) != one]
        if wrong:
            # With its imports back, the service would be served by halves of two pairs.
            message = f"{self.journal.site.data_stack} does not export the pair that serves: {', '.join(wrong)}."
            raise RefusedError(message, hint="the service works by literals, nothing is lost")
        self.stacks.update(stack, f"{self.journal.id}/service-as-it-was", self._original(stack))
