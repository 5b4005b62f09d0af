"""What must run in Mailman's own environment. Not imported by anything: `__main__.py` runs it there.

`inside.py CONFIGURATION prepare RECIPIENTS` makes the list, `inside.py CONFIGURATION post FILE` posts a
message to it and prints the monotonic clock's time just before.
"""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path
from typing import Any

from mailman.app.inject import inject_text  # type: ignore[import-not-found]
from mailman.app.lifecycle import create_list  # type: ignore[import-not-found]
from mailman.config import config  # type: ignore[import-not-found]
from mailman.core.initialize import initialize  # type: ignore[import-not-found]
from mailman.database.transaction import transaction  # type: ignore[import-not-found]
from mailman.interfaces.action import Action  # type: ignore[import-not-found]
from mailman.interfaces.archiver import ArchivePolicy  # type: ignore[import-not-found]
from mailman.interfaces.domain import IDomainManager  # type: ignore[import-not-found]
from mailman.interfaces.listmanager import IListManager  # type: ignore[import-not-found]
from mailman.interfaces.mailinglist import Personalization  # type: ignore[import-not-found]
from mailman.interfaces.member import MemberRole  # type: ignore[import-not-found]
from mailman.model.address import Address  # type: ignore[import-not-found]
from mailman.model.member import Member  # type: ignore[import-not-found]
from mailman.model.preferences import Preferences  # type: ignore[import-not-found]
from mailman.model.uid import UID  # type: ignore[import-not-found]
from mailman.model.user import User  # type: ignore[import-not-found]
from mailman.utilities.datetime import now  # type: ignore[import-not-found]
from zope.component import getUtility  # type: ignore[import-not-found]

DOMAIN = "example.org"
LIST = f"announce@{DOMAIN}"


def prepare(recipients: int) -> None:
    """Make the list and its members, who need no welcome."""
    with transaction():
        getUtility(IDomainManager).add(DOMAIN)
        announcements = create_list(LIST, style_name="legacy-announce")
        announcements.personalize = Personalization.individual
        announcements.archive_policy = ArchivePolicy.never
        announcements.default_nonmember_action = Action.accept
    with transaction():
        _subscribe(announcements.list_id, recipients)
    assert announcements.members.member_count == recipients, "Mailman does not count the members that were made"


def _subscribe(list_id: str, recipients: int) -> None:
    """The rows that subscribing makes; Mailman takes some 15 ms for each member, which nobody measures here."""
    users: list[dict[str, Any]] = []
    addresses: list[dict[str, Any]] = []
    members: list[dict[str, Any]] = []
    for number in range(1, recipients + 1):
        preferences = {"preferences_id": number}
        users.append({"id": number, "display_name": "", "_user_id": uuid.uuid4(), "_created_on": now(), **preferences})
        addresses.append(
            {
                "id": number,
                "email": f"member{number}@example.org",
                "display_name": "",
                "verified_on": now(),
                "registered_on": now(),
                "user_id": number,
                "preferences_id": recipients + number,
            }
        )
        members.append(
            {
                "id": number,
                "_member_id": uuid.uuid4(),
                "role": MemberRole.member,
                "list_id": list_id,
                "address_id": number,
                "preferences_id": 2 * recipients + number,
            }
        )
    uids = [{"uid": row["_user_id"]} for row in users] + [{"uid": row["_member_id"]} for row in members]
    preferences_rows = [{"id": number} for number in range(1, 3 * recipients + 1)]
    for model, rows in (
        (Preferences, preferences_rows),
        (User, users),
        (Address, addresses),
        (Member, members),
        (UID, uids),
    ):
        config.db.store.execute(model.__table__.insert(), rows)


def post(file: Path) -> None:
    """Put a message into the queue that Mailman reads first."""
    announcements = getUtility(IListManager).get(LIST)
    text = file.read_text()
    print(time.monotonic(), flush=True)
    inject_text(announcements, text)


if __name__ == "__main__":
    initialize(sys.argv[1])
    if sys.argv[2] == "prepare":
        prepare(int(sys.argv[3]))
    else:
        post(Path(sys.argv[3]))
