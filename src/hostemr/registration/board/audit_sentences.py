"""Entries of the audit log as sentences. Names are looked up when an entry is shown; the log holds ids."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from hostemr.registration.board.audit import API, COMMAND_LINE, SERVICE
from hostemr.registration.board.mentions import member_names
from hostemr.registration.schema import broadcast

NAMES = {
    COMMAND_LINE: "Somebody at the command line",
    API: "Somebody with the pin, over the API",
    SERVICE: "The service",
}
"""Actors that are no members."""
_HASH = re.compile(r"[0-9a-f]{64}")
SUBJECT, OWN = "{subject}", "themselves"
SENTENCES = {
    "broadcast.create": "wrote {subject}",
    "broadcast.edit": "changed {subject}",
    "broadcast.submit": "asked for approval of {subject}",
    "broadcast.approve": "approved {subject}",
    "broadcast.reject": "sent {subject} back to its author",
    "broadcast.override": "let {subject} go without approval, as an emergency",
    "broadcast.queue": "started the sending of {subject}",
    "broadcast.pause": "paused {subject}",
    "broadcast.resume": "let {subject} go on",
    "broadcast.cancel": "cancelled {subject}",
    "broadcast.resend": "made {subject}, for those whom an earlier broadcast did not reach",
    "broadcast.publish": "put {subject} on the public page",
    "broadcast.withdraw": "took {subject} off the public page",
    "broadcast.test": "sent a test of {subject}",
    "registration.erase": "erased {subject}",
    "registration.enable": "let mail go to {subject} again",
    "registration.export": "exported registrations",
    "member.invite": "invited {subject}",
    "member.reset": "reset {subject}: password and factors removed, a new link made",
    "member.rename": "changed the name of {subject}",
    "member.role": "changed the role of {subject}",
    "member.disable": "disabled {subject}",
    "member.enable": "enabled {subject} again",
    "member.join": "joined the board",
    "member.sign-in": "signed in",
    "member.sign-in.refused": "refused a sign-in as {subject}",
    "member.sign-out": "signed out",
    "member.password": "changed their password",
    "member.totp.add": "added one-time codes",
    "member.totp.remove": "removed one-time codes",
    "member.passkey.add": "added a passkey",
    "member.passkey.rename": "renamed a passkey",
    "member.passkey.remove": "removed a passkey",
    "member.recovery-codes": "made new recovery codes",
    "member.recovery-code.used": "used a recovery code",
}
STANDING_OUT = frozenset({"broadcast.override"})
REASONS = ("reason", "note")
"""Details that are shown as a quotation."""
PEOPLE = tuple(f"member.{verb}" for verb in ("invite", "reset", "rename", "role", "disable", "enable", "join"))
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "broadcasts": ("Broadcasts", tuple(name for name in SENTENCES if name.startswith("broadcast."))),
    "approvals": (
        "Approvals and overrides",
        ("broadcast.submit", "broadcast.approve", "broadcast.reject", "broadcast.override"),
    ),
    "overrides": ("Emergency overrides", ("broadcast.override",)),
    "registrations": ("Registrations", tuple(name for name in SENTENCES if name.startswith("registration."))),
    "people": ("People and roles", PEOPLE),
    "sign-ins": (
        "Signing in",
        tuple(name for name in SENTENCES if name.startswith("member.") and name not in PEOPLE),
    ),
}
"""What a reader can choose between: its words, and the actions that belong to it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One entry. The sentence is `who before subject after`; `about` is the subject as a filter names it."""

    number: int
    at: datetime
    who: str
    before: str
    subject: str
    about: str
    after: str
    reason: str
    details: tuple[tuple[str, str], ...]
    stands_out: bool
    entry_hash: str

    @property
    def sentence(self) -> str:
        """Without its details."""
        return f"{self.who} {self.before}{self.subject}{self.after}."


def as_lines(connection: Connection, rows: Iterable[Any]) -> list[Line]:
    """The entries with the names of today in them."""
    rows = list(rows)
    mentioned = {row.subject for row in rows} | {row.actor for row in rows}
    names = _names(connection, mentioned)
    return [_line(row, names) for row in rows]


def name_of(connection: Connection, mentioned: str) -> str:
    """What a person calls an actor or a subject."""
    return _called(mentioned, _names(connection, {mentioned}))


def _line(row: Any, names: Mapping[str, str]) -> Line:
    details = _details(row.details)
    # An entry of a newer version, or of nobody's, is shown as it stands rather than left out.
    sentence = SENTENCES.get(row.action, f"did {row.action}" + (f" with {SUBJECT}" if row.subject else ""))
    if not row.subject or (row.subject == row.actor and row.action not in {"member.rename", "member.role"}):
        sentence = sentence.replace(f" {SUBJECT}", "")
    before, marker, after = sentence.partition(SUBJECT)
    called = _called(row.subject, names) if marker else ""
    if called and row.subject == row.actor:
        called = OWN
    if row.action == "member.role" and {"before", "after"} <= details.keys():
        after += f" from {details.pop('before')} to {details.pop('after')}"
    reason = next((str(details.pop(name)) for name in REASONS if details.get(name)), "")
    return Line(
        number=row.number,
        at=row.at,
        who=_called(row.actor, names),
        before=before,
        subject=called,
        about=row.subject if called else "",
        after=after,
        reason=reason,
        details=tuple((name.replace("_", " "), _shown(value)) for name, value in details.items() if value is not None),
        stands_out=row.action in STANDING_OUT,
        entry_hash=row.entry_hash,
    )


def _details(text: str) -> dict[str, Any]:
    """What an entry says besides; one that somebody spoilt in the database must not hide the whole log."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"details": "cannot be read; verify the log"}


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)[:8] if _HASH.fullmatch(str(value)) else str(value)


def _called(mentioned: str, names: Mapping[str, str]) -> str:
    if mentioned in names:
        return names[mentioned]
    kind, _, identifier = mentioned.partition(":")
    if kind == "broadcast":
        return f"a broadcast that is gone ({identifier[:8]})"
    return f"{kind} {identifier}".strip()


def _names(connection: Connection, mentioned: Iterable[str]) -> dict[str, str]:
    """Members' names and broadcasts' titles; of registrations only the number, which says nothing of the address."""
    by_kind: dict[str, list[str]] = {"member": [], "broadcast": []}
    for one in mentioned:
        kind, _, identifier = one.partition(":")
        by_kind.get(kind, []).append(identifier)
    named = member_names(connection, by_kind["member"])
    names = {**NAMES, **{f"member:{number}": name for number, name in named.items()}}
    titles = select(broadcast.c.uuid, broadcast.c.title).where(broadcast.c.uuid.in_(by_kind["broadcast"]))
    for row in connection.execute(titles):
        names[f"broadcast:{row.uuid}"] = f"\N{LEFT DOUBLE QUOTATION MARK}{row.title}\N{RIGHT DOUBLE QUOTATION MARK}"
    return names
