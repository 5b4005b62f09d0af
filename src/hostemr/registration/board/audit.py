"""The audit log: who did what, written in the transaction that did it, each entry bound to the one before.

Each entry's hash is keyed with a key that is not in the database, so whoever can write to the database
alone cannot make a changed log look whole. What can be cut off without a trace is the newest
entries: against that each hash also goes into the service's log, and `verify` takes one to compare with.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Connection, select, update

from hostemr.registration.database import upsert
from hostemr.registration.logs import redact
from hostemr.registration.schema import audit_entry, audit_head

COMMAND_LINE = "command-line"
API = "api"
SERVICE = "service"
BEGINNING = "0" * 64
PAGE = 1000
Detail = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: how many entries, the newest one's hash, and what is wrong in plain words, if anything."""

    entries: int
    entry_hash: str
    problem: str | None


class AuditLog:
    """`append` within the transaction of what is logged, as its last statement: it holds a lock until the end.

    Without a `key` nothing is kept; the console is closed then too.
    """

    def __init__(
        self, key: bytes | None, dialect: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._key = key
        self._dialect = dialect
        self._clock = clock
        self._log = structlog.get_logger("hostemr.audit")

    def append(self, connection: Connection, actor: str, action: str, subject: str = "", **details: Detail) -> int:
        """Add an entry; answers its number, 0 where there is no key and so no log.

        Mail addresses in the details are taken out: ids stand for people.
        """
        if self._key is None:
            self._log.info("done without an audit log, since there is no HOSTEMR_SECRET_KEY", action=action)
            return 0
        blank = {"name": "head", "number": 0, "entry_hash": BEGINNING}
        connection.execute(upsert(self._dialect, audit_head, ("name",), lambda _: {}), [blank])
        head = connection.execute(select(audit_head).with_for_update()).one()
        row = {
            "number": head.number + 1,
            "at": self._clock(),
            "actor": actor,
            "action": action,
            "subject": subject,
            "details": _as_json(
                {name: redact(value) if isinstance(value, str) else value for name, value in details.items()}
            ),
            "previous_hash": head.entry_hash,
        }
        row["entry_hash"] = self._hash(row)
        connection.execute(audit_entry.insert(), [row])
        connection.execute(update(audit_head).values(number=row["number"], entry_hash=row["entry_hash"]))
        self._log.info("audit", number=row["number"], action=action, entry_hash=row["entry_hash"])
        return int(row["number"])

    def verify(self, connection: Connection, expected: tuple[int, str] | None = None) -> Verdict:
        """Read the whole log. `expected` is a number and a hash that were written down earlier."""
        number, previous = 0, BEGINNING
        problem: str | None = None
        # Read before the entries: what is added while they are read is no sign of anything missing.
        head = connection.execute(select(audit_head)).first()
        newest = (head.number, head.entry_hash) if head else (0, BEGINNING)
        try:
            for row in _entries(connection):
                problem = self._problem_of(row, number, previous) or _against(row, newest, expected)
                if problem is not None:
                    return Verdict(number, previous, problem)
                number, previous = row.number, row.entry_hash
        except ValueError:
            # SQLite keeps whatever somebody wrote where a time should be.
            return Verdict(number, previous, f"entry {number + 1} cannot be read")
        if number < newest[0]:
            problem = f"the newest entries are missing: the log ends with {number}, and {newest[0]} were written"
        elif expected is not None and number < expected[0]:
            problem = f"the newest entries are missing: the log ends with {number}, and {expected[0]} was written down"
        return Verdict(number, previous, problem)

    def _problem_of(self, row: Any, number: int, previous: str) -> str | None:
        """What is wrong with the entry that stands after `number`, by itself and with the one before it."""
        if row.number != number + 1:
            return f"entry {number + 1} is missing"
        if row.previous_hash != previous:
            return f"entry {row.number} does not follow from the one before it"
        if not hmac.compare_digest(row.entry_hash.encode(), self._hash(row._asdict()).encode()):
            return f"entry {row.number} was changed, or made with another key"
        return None

    def _hash(self, row: dict[str, Any]) -> str:
        parts = [
            row["number"],
            row["at"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            *(row[name] for name in ("actor", "action", "subject", "details", "previous_hash")),
        ]
        return hmac.new(self._key or b"", _as_json(parts).encode(), hashlib.sha256).hexdigest()


def _against(row: Any, newest: tuple[int, str], expected: tuple[int, str] | None) -> str | None:
    """What is wrong with an entry beside the record of the newest one, and what somebody wrote down."""
    if expected is not None and row.number == expected[0] and row.entry_hash != expected[1]:
        return f"entry {row.number} is not the one that was written down"
    if row.number == newest[0] and row.entry_hash != newest[1]:
        return f"entry {row.number} is not the newest one that was written"
    return None


def _entries(connection: Connection) -> Iterator[Any]:
    last = None
    while True:
        after = audit_entry.c.number > last if last is not None else audit_entry.c.number.is_not(None)
        rows = connection.execute(select(audit_entry).where(after).order_by(audit_entry.c.number).limit(PAGE)).all()
        if not rows:
            return
        yield from rows
        last = rows[-1].number


def _as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
