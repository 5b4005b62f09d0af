"""What a deployment tells of itself: the outputs of its stacks of data and service, each with the stack that has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hostemr.deployment import registration
from hostemr.deployment.applications import APPLICATIONS
from hostemr.deployment.express_plus_rows import EXPRESS_PLUS
from hostemr.deployment.outputs import (
    DATABASE_HOST,
    EXPRESS_PLUS_SESSION,
    MASTER_SECRET,
    registration_stack_names,
    stack_names,
)
from hostemr.deployment.registration_rows import REGISTRATION
from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.operate.aws import Aws, stack_outputs

# Names, hosts and ARNs. Others would end up in requests, in command lines to copy and on the terminal.
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/!+=@-]*")


@dataclass(frozen=True)
class Stack:
    """A deployed stack and its outputs."""

    name: str
    outputs: Mapping[str, str]

    def __getitem__(self, output: str) -> str:
        if output not in self.outputs:
            message = f"The stack {self.name} has no output {output}."
            hint = "it was not made by hostemr, or its deployment is not finished: deploy it again"
            raise OutsideWorldError(message, hint=hint)
        if not _VALUE.fullmatch(self.outputs[output]):
            message = (
                f"The output {output} of the stack {self.name} is {self.outputs[output][:80]!a}: no name and no ARN."
            )
            raise OutsideWorldError(message, hint="it was not made by hostemr; see who changed it before you go on")
        return self.outputs[output]

    def over(self, below: Stack) -> Stack:
        """The other stack, with this one's word on the database where it has one: it works on a restored database."""
        own = {name: self.outputs[name] for name in (DATABASE_HOST, MASTER_SECRET) if name in self.outputs}
        return Stack(self.name if own else below.name, {**below.outputs, **own})


@dataclass(frozen=True)
class Names:
    """Which deployment is meant, by the names of its two stacks, and what it calls its parts."""

    data_stack: str
    service_stack: str
    container: str
    """The one that people mean where they name none."""
    database: str

    def data(self, aws: Aws) -> Stack:
        """The stack that lasts: the database and its secrets. Raises OutsideWorldError where there is none."""
        return Stack(self.data_stack, stack_outputs(aws, self.data_stack))

    def service(self, aws: Aws) -> Stack:
        """The stack that serves: the cluster and its tasks. Raises OutsideWorldError where there is none."""
        return Stack(self.service_stack, stack_outputs(aws, self.service_stack))


def named(deployment: str, suffix: str) -> Names:
    """The deployment of that name. Raises SettingsError for the one server, which has no tasks and no stack of data."""
    if deployment == EXPRESS_PLUS:
        hint = f"a shell on it: the command in its stack's output {EXPRESS_PLUS_SESSION}"
        raise SettingsError([f"{EXPRESS_PLUS} is one server, with its database inside: this is for Fargate"], hint=hint)
    if deployment == REGISTRATION:
        data, _, service = registration_stack_names(suffix)
        return Names(data, service, registration.WEB, registration.DATABASE)
    application = APPLICATIONS[deployment]
    data, service = stack_names(deployment, suffix)
    return Names(data, service, application.containers[0].name, application.database)
