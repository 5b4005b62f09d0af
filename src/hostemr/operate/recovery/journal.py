"""What a restore has done and decided, kept in AWS itself, so that any machine can take it up.

It is one parameter of Systems Manager for each deployment. Its creation is atomic, which makes it the lock too: two
restores of one deployment cannot run. It holds ids and times, nothing of patients.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from hostemr.errors import RefusedError
from hostemr.operate.aws import Aws, error_code
from hostemr.operate.recovery.site import Anatomy, Pair, Site

BUILDING, BUILT, VERIFIED = "building", "built", "verified"
SWITCHING, SERVING = "switching", "serving"
RETURNING, RETURNED = "returning", "returned"
ABANDONING = "abandoning"
MEANINGS = {
    BUILDING: "the new pair is being made; the old pair serves",
    BUILT: "the new pair is made and not verified; the old pair serves",
    VERIFIED: "the new pair is verified; the old pair serves",
    SWITCHING: "the deployment is being switched to the new pair",
    SERVING: "the new pair serves; the old pair is kept",
    RETURNING: "the deployment is being switched back to the old pair",
    RETURNED: "the old pair serves again; the new pair is kept",
    ABANDONING: "the pair that does not serve is being deleted",
}


@dataclass(slots=True)
class Journal:
    """A restore's record. Written after each step; a step that is not in it is looked for in AWS."""

    site: Site
    data: dict[str, Any] = field(default_factory=dict)
    version: int = 0
    """Of the parameter, as Systems Manager counts: how another run that writes is noticed."""

    @property
    def name(self) -> str:
        """The parameter's name."""
        return f"/hostemr/{self.site.data_stack}/restore"

    @property
    def id(self) -> str:
        """The restore's id: part of the names of what it makes."""
        return str(self.data["id"])

    @property
    def phase(self) -> str:
        """Where it stands; `MEANINGS` says what that means."""
        return str(self.data["phase"])

    @property
    def old(self) -> Pair:
        """The pair that served before."""
        return Pair(**self.data["old"])

    @property
    def new(self) -> Pair:
        """The restored pair, once it is whole."""
        return Pair(**self.data["new"])

    @property
    def anatomy(self) -> Anatomy:
        """Where the pair stands in the data stack's template."""
        return Anatomy(**self.data["anatomy"])

    def part(self, name: str) -> Any:
        """A part of the new pair that is known already, else None."""
        return self.data["new"].get(name)

    def create(self, data: Mapping[str, Any]) -> None:
        """Begin. Raises RefusedError where a restore of this deployment is under way."""
        try:
            self._put(data, overwrite=False)
        except ClientError as error:
            if error_code(error) != "ParameterAlreadyExists":
                raise
            message = f"Another restore of {self.site.data_stack} is under way."
            raise RefusedError(message, hint="`hostemr restore status` tells of it") from error
        self.data = dict(data)

    def write(self, **changes: Any) -> None:
        """Change some of it, and keep that before anything else is done.

        Raises RefusedError where another run has written since this one read or wrote last: two must not go on at once.
        """
        changed = {**self.data, **changes}
        self._put(changed, overwrite=True)
        self.data = changed

    def write_part(self, **parts: Any) -> None:
        """Note ids of the new pair."""
        self.write(new={**self.data["new"], **parts})

    def forget(self) -> None:
        """End it: another restore may begin."""
        try:
            self.site.aws.client("ssm").delete_parameter(Name=self.name)
        except ClientError as error:
            if error_code(error) != "ParameterNotFound":
                raise
        self.data = {}

    def claim(self) -> None:
        """Write it unchanged: another run that has it open stops at its next write."""
        self.write(runs=int(self.data.get("runs", 0)) + 1)

    def _put(self, data: Mapping[str, Any], *, overwrite: bool) -> None:
        ssm = self.site.aws.client("ssm")
        # Systems Manager has no conditional write. So it is looked at before, and the count of writes after.
        if overwrite:
            now = read(self.site)
            if now is None or now.version > self.version:
                raise self._another()
        answer = ssm.put_parameter(
            Name=self.name,
            Value=json.dumps(data, sort_keys=True, separators=(",", ":")),
            Type="String",
            # Above 4 KB a parameter has to be of the advanced tier; AWS decides by itself with this one.
            Tier="Intelligent-Tiering",
            Overwrite=overwrite,
        )
        version = int(answer["Version"])
        if overwrite and version != self.version + 1:
            raise self._another()
        self.version = version

    def _another(self) -> RefusedError:
        message = f"Another run has changed the restore {self.id} meanwhile: this one stops."
        return RefusedError(message, hint="`hostemr restore status` tells where it stands; let one person go on")


def read(site: Site) -> Journal | None:
    """The journal of a deployment's restore; None where there is none."""
    journal = Journal(site)
    aws: Aws = site.aws
    try:
        answer = aws.client("ssm").get_parameter(Name=journal.name)
    except ClientError as error:
        if error_code(error) != "ParameterNotFound":
            raise
        return None
    journal.data = json.loads(answer["Parameter"]["Value"])
    journal.version = int(answer["Parameter"]["Version"])
    return journal
