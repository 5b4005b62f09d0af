"""What each member of the board may do. A role may all that the role before it may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["viewer", "author", "approver", "administrator"]
Permission = Literal[
    "see",
    "see addresses",
    "write",
    "send",
    "steer",
    "approve",
    "manage registrations",
    "manage people",
]

ROLES: tuple[Role, ...] = get_args(Role)
MEANINGS: dict[Role, str] = {
    "viewer": "sees figures, broadcasts and the audit log; addresses are shortened",
    "author": "also sees addresses, writes broadcasts, asks for approval, sends approved ones, pauses and resumes",
    "approver": "also approves and rejects, and may send without approval in an emergency",
    "administrator": "also erases, re-enables and exports registrations, and manages the board's members",
}
_OWN: dict[Role, frozenset[Permission]] = {
    "viewer": frozenset({"see"}),
    "author": frozenset({"see addresses", "write", "send", "steer"}),
    "approver": frozenset({"approve"}),
    "administrator": frozenset({"manage registrations", "manage people"}),
}


def permissions(role: Role) -> frozenset[Permission]:
    """Everything that a role may do."""
    return frozenset[Permission]().union(*(_OWN[one] for one in ROLES[: ROLES.index(role) + 1]))


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the board. `id` is what the audit log, authors and approvals name."""

    id: int
    uuid: str
    email: str
    name: str
    role: Role

    def may(self, permission: Permission) -> bool:
        """Whether the member's role allows it."""
        return permission in permissions(self.role)

    @property
    def actor(self) -> str:
        """The member as the audit log names them."""
        return f"member:{self.id}"
