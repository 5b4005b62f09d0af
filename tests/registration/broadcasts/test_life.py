"""A broadcast's whole life against a simple model, in every order that Hypothesis can think of.

`BROADCAST_LIVES=2000 pytest tests/registration/broadcasts/test_life.py` tries more lives than the suite does.
"""

from __future__ import annotations

import asyncio
import functools
import os
import random
import tempfile
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import create_engine, insert

from hostemr.errors import OutsideWorldError
from hostemr.registration.board.audit import AuditLog
from hostemr.registration.broadcasts.audience import CanarySize
from hostemr.registration.broadcasts.draft import Draft, parse_draft
from hostemr.registration.broadcasts.resending import ResendOpen
from hostemr.registration.broadcasts.store import BroadcastStore, NotAllowed
from hostemr.registration.database import Database
from hostemr.registration.delivery.rate import SendRate
from hostemr.registration.delivery.sender import (
    Letter,
    Outcome,
    Quota,
    Recipient,
    ReplyLost,
    SendingHeld,
    Throttled,
)
from hostemr.registration.delivery.worker import Pace, Worker
from hostemr.registration.environment import load_settings
from hostemr.registration.feedback.events import FeedbackEvent, Kind
from hostemr.registration.feedback.reports import FeedbackReports
from hostemr.registration.feedback.store import OptOutStore
from hostemr.registration.lifecycle import ENDED, WrongState
from hostemr.registration.links import Category
from hostemr.registration.metrics import Metrics
from hostemr.registration.migrate import migrate
from hostemr.registration.progress import progress_of
from hostemr.registration.schema import subscriber
from tests.fakes.delivery import Clock, exhaust, new_queue, new_supervision

LIVES = int(os.environ.get("BROADCAST_LIVES", "12"))
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
REGISTERED = 110
MEMBERS = ("anna", "boris", "chen")
ACTOR = "member:1"
REASON = "The hole is used in attacks since this morning."
ATTEMPTS = 3
MOST_BROADCASTS = 3
COUNTED = ("sent", "failed", "suppressed", "delivered", "bounced", "complained")
ALLOWED = {
    "edit": {"draft", "review"},
    "submit": {"draft"},
    "approve": {"review"},
    "reject": {"review", "approved"},
    "override": {"draft", "review"},
    "queue": {"approved"},
    "pause": {"queued", "sending"},
    "resume": {"paused"},
    "cancel": {"draft", "review", "approved", "queued", "sending", "paused"},
}
Answer = Literal["sent", "mixed", "lost", "throttled", "quota", "account", "down"]
ANSWERS: tuple[Answer, ...] = ("sent", "sent", "mixed", "mixed", "lost", "throttled", "quota", "account", "down")

members = st.sampled_from(MEMBERS)
seeds = st.integers(0, 2**16)
which = st.integers(0, MOST_BROADCASTS - 1)
categories = st.sampled_from(("security", "news"))


@dataclass
class Person:
    """One subscriber, as the model has it."""

    number: int
    email: str
    token: str
    status: str = "active"
    stopped: frozenset[str] = frozenset()

    def wants(self, category: str) -> bool:
        return self.status == "active" and category not in self.stopped


@dataclass
class Life:
    """One broadcast, as the model has it; `audience` is None until it is frozen."""

    uuid: str
    draft: Draft
    author: str
    votes: set[str] = field(default_factory=set)
    overridden: bool = False
    published: bool = True
    family: str | None = None
    repeats: bool = False
    """Whether it is a resend that nobody has changed."""
    audience: frozenset[int] | None = None
    resumed: bool = False


@dataclass
class Call:
    """A call of the provider that has not been answered."""

    uuid: str
    recipients: tuple[Recipient, ...]
    chunk: int
    owner: str
    answer: asyncio.Future[Sequence[Outcome]]
    task: asyncio.Task[Any] | None = None


@dataclass(frozen=True)
class Message:
    """What the provider accepted."""

    uuid: str
    recipient: Recipient
    provider_id: str


class Rate(SendRate):
    """Says how many may be sent at once, without making anybody wait."""

    def __init__(self, database: Database, at_once: float | None, clock: Clock) -> None:
        super().__init__(database, None, clock.seconds)
        self._at_once = at_once

    async def limit(self) -> float | None:
        return self._at_once

    async def take(self, tokens: int, most_seconds: float) -> float | None:  # noqa: ARG002
        return 0.0


class Provider:
    """A sender whose answers come when the machine says so; everything about a call is checked at its begin."""

    reports_feedback = True

    def __init__(self, machine: BroadcastLife) -> None:
        self.machine = machine
        self.well_behaved = False
        self.entered: asyncio.Queue[Call] = asyncio.Queue()

    async def send(self, letter: Letter, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        call = self.machine.checked_call(letter, tuple(recipients))
        if self.well_behaved:
            return [self.machine.accept(call.uuid, recipient) for recipient in recipients]
        self.entered.put_nowait(call)
        return await call.answer

    async def quota(self) -> Quota:
        return Quota()

    async def close(self) -> None:
        pass


def database_at(path: Path) -> Database:
    given = {"HOSTEMR_DATABASE_URL": f"sqlite:///{path}", "HOSTEMR_SECRET_KEY": "a key for the tests"}
    return Database(load_settings({**given, "HOSTEMR_DATABASE_TIMEOUT_SECONDS": "60"}))


def subscriber_rows(first: int, count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "token": f"{number:032}",
            "email": f"user{number}@example.org",
            "email_key": f"user{number}@example.org",
            "status": "active",
            "source": "import",
            "created_at": NOON,
            "last_seen_at": NOON,
        }
        for number in range(first, first + count)
    ]


@functools.cache
def registered_database() -> bytes:
    """A database with REGISTERED subscribers and nothing else, made once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "template.sqlite3")

        async def make() -> None:
            database = database_at(path)
            await migrate(database)
            rows = subscriber_rows(1, REGISTERED)
            await database.write(lambda connection: connection.execute(insert(subscriber), rows))
            await database.close()

        asyncio.run(make())
        assert not path.with_name("template.sqlite3-wal").exists()
        return path.read_bytes()


def content(category: str, number: int) -> Draft:
    fields = {"title": f"Advisory {number}", "contents": f"Text {number}.", "category": category}
    return parse_draft(fields, 1000)


class BroadcastLife(RuleBasedStateMachine):
    """Everything that can happen to broadcasts, one thing after the other; in-flight calls stay open in between."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name, "life.sqlite3")
        path.write_bytes(registered_database())
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.clock.now = NOON
        self.database = database_at(path)
        self.reader = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT")
        self.connection = self.reader.connect()
        self.people = {
            row["id"]: Person(row["id"], row["email"], row["token"]) for row in subscriber_rows(1, REGISTERED)
        }
        self.lives: list[Life] = []
        self.calls: list[Call] = []
        self.messages: list[Message] = []
        self.accepted: Counter[tuple[str, int]] = Counter()
        # How often nobody could know whether somebody was sent to: each may make one message too many.
        self.uncertain: Counter[tuple[str, int]] = Counter()
        self.refused: set[tuple[str, int]] = set()
        self.retried: Counter[tuple[str, int]] = Counter()
        self.known: set[tuple[str, int]] = set()
        self.rejected: set[tuple[str, int]] = set()
        self.once_unwanted: set[tuple[str, int]] = set()
        self.unwanted_at_claim: dict[str, frozenset[int]] = {}
        self.reports_made = 0
        self.logged = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize(
        approvals=st.integers(0, 2),
        canary=st.sampled_from((0.0, 1.0)),
        canary_wait=st.sampled_from((0, 900)),
        reconcile=st.sampled_from((0, 300)),
        at_once=st.sampled_from((None, 20.0)),
        first=st.sampled_from(("board", "api")),
    )
    def begin(
        self,
        *,
        approvals: int,
        canary: float,
        canary_wait: int,
        reconcile: int,
        at_once: float | None,
        first: str,
    ) -> None:
        self.canary_wait = canary_wait

        async def make() -> None:
            self.provider = Provider(self)

        self.run(make())
        self.audit = AuditLog(bytes(32), self.database.dialect, self.clock)
        # One for each setting: a service that is started anew with another goes on with the same broadcasts.
        self.stores = [
            BroadcastStore(
                self.database, canary=CanarySize(canary, 50), approvals=number, audit=self.audit, clock=self.clock
            )
            for number in range(3)
        ]
        self.want_approvals(approvals)
        self.reports = FeedbackReports(self.database, soft_bounce_limit=2, clock=self.clock)
        self.opt_outs = OptOutStore(self.database, self.clock)
        self.workers = [
            Worker(
                queue=new_queue(self.database, self.clock, reconcile_seconds=reconcile, most_attempts=ATTEMPTS),
                supervision=new_supervision(self.database, self.clock, canary_wait),
                rate=Rate(self.database, at_once, self.clock),
                sender=self.provider,
                metrics=Metrics(),
                pace=Pace(lanes=1, most_wait_seconds=30),
            )
            for _ in range(2)
        ]
        if first == "board":
            self.draft_that_everybody_approves("anna", "security", 0)
        elif first == "api":
            self.queue_by_the_api("security", 0)

    # What the board does

    @rule(number=st.integers(0, 2))
    def want_approvals(self, number: int) -> None:
        self.approvals = number
        self.store = self.stores[number]

    def draft(self, member: str, category: str, number: int) -> None:
        draft = content(category, number)
        self.lives.append(Life(self.run(self.store.create(draft, member, member)), draft, member))
        self.logged += 1

    @precondition(lambda self: len(self.lives) < MOST_BROADCASTS)
    @rule(member=members, category=categories, number=st.integers(0, 2))
    def draft_that_everybody_approves(self, member: str, category: str, number: int) -> None:
        self.draft(member, category, number)
        life = self.lives[-1]
        self.submit(len(self.lives) - 1)
        for other in MEMBERS:
            if other != member and self.state(life) == "review":
                self.approve(len(self.lives) - 1, other, stale=False)
        assert self.state(life) == "approved"
        self.queue(len(self.lives) - 1)

    @precondition(lambda self: len(self.lives) < MOST_BROADCASTS)
    @rule(category=categories, number=st.integers(0, 2))
    def queue_by_the_api(self, category: str, number: int) -> None:
        draft = content(category, number)
        wanting = self.wanting(category)
        queued = self.run(self.store.queue_at_once(draft, None))
        known = {life.uuid for life in self.lives}
        assert queued.repeated == (queued.uuid in known)
        if not queued.repeated:
            self.logged += 1
            self.lives.append(Life(queued.uuid, draft, "", audience=wanting))
            assert queued.audience == len(wanting)

    def edit(self, one: int, member: str, number: int) -> None:
        life = self.life(one)
        draft = content(life.draft.category, number)
        if self.tried(life, "edit", self.store.edit(life.uuid, draft, member, member)):
            life.draft, life.author, life.votes, life.overridden = draft, member, set(), False
            life.repeats = bool(life.family) and draft.sha256 in self.sent_hashes(life)
            assert self.state(life) == "draft"

    def submit(self, one: int) -> None:
        life = self.life(one)
        if self.tried(life, "submit", self.store.submit(life.uuid, ACTOR)):
            assert self.state(life) == ("review" if self.approvals else "approved")

    def approve(self, one: int, member: str, *, stale: bool) -> None:
        life = self.life(one)
        sha256 = "0" * 64 if stale else life.draft.sha256
        if self.state(life) == "review" and (stale or member == life.author):
            try:
                self.run(self.store.approve(life.uuid, member, sha256, member))
            except NotAllowed:
                assert self.state(life) == "review"
                return
            raise AssertionError("who may not approve did")
        if self.tried(life, "approve", self.store.approve(life.uuid, member, sha256, member)):
            life.votes.add(member)
            assert self.state(life) == ("approved" if len(life.votes) >= self.approvals else "review")

    def reject(self, one: int) -> None:
        life = self.life(one)
        if self.tried(life, "reject", self.store.reject(life.uuid, ACTOR, "a note")):
            life.votes, life.overridden = set(), False
            assert self.state(life) == "draft"

    def override(self, one: int, member: str, *, stale: bool) -> None:
        life = self.life(one)
        sha256 = "0" * 64 if stale else life.draft.sha256
        if stale and self.state(life) in ALLOWED["override"]:
            before = self.state(life)
            try:
                self.run(self.store.override(life.uuid, member, sha256, REASON, member))
            except NotAllowed:
                assert self.state(life) == before
                return
            raise AssertionError("what was not read was let go")
        if self.tried(life, "override", self.store.override(life.uuid, member, sha256, REASON, member)):
            life.overridden = True
            assert self.state(life) == "approved"

    def publish(self, one: int, *, shown: bool) -> None:
        life = self.life(one)
        before = self.state(life)
        self.run(self.store.publish(life.uuid, shown=shown, actor=ACTOR))
        self.logged += shown != life.published
        life.published = shown
        assert self.rows(f"SELECT state, published FROM broadcast WHERE uuid = '{life.uuid}'") == [(before, int(shown))]

    def queue(self, one: int) -> None:
        life = self.life(one)
        wanting = self.wanting(life.draft.category)
        if life.family:
            wanting &= self.missed_by(life)
        enough = len(life.votes) >= self.approvals or life.overridden or life.repeats
        if self.state(life) == "approved" and not enough:
            try:
                self.run(self.store.queue(life.uuid, ACTOR))
            except NotAllowed:
                assert self.state(life) == "approved"
                return
            raise AssertionError("what fewer have approved than must was queued")
        if self.tried(life, "queue", self.store.queue(life.uuid, ACTOR)):
            life.audience = wanting
            assert self.state(life) == ("queued" if wanting else "done")

    @precondition(lambda self: len(self.lives) < MOST_BROADCASTS and self.ended())
    @rule(one=which, member=members, at_once=st.booleans())
    def resend(self, one: int, member: str, *, at_once: bool) -> None:
        life = self.ended()[one % len(self.ended())]
        family = life.family or life.uuid
        relatives = [other for other in self.lives if family in {other.uuid, other.family}]
        possible = life.audience is not None and all(self.state(other) in ENDED for other in relatives)
        try:
            name = self.run(self.store.resend(life.uuid, member, member))
        except (NotAllowed, ResendOpen):
            assert not possible
            return
        assert possible
        self.logged += 1
        self.lives.append(Life(name, life.draft, member, family=family, repeats=True, published=False))
        if at_once:
            self.queue(len(self.lives) - 1)

    def missed_by(self, life: Life) -> frozenset[int]:
        """Whom nobody of the family has reached, as the deliveries tell; held against what the provider accepted."""
        reached: set[int] = set()
        missed: set[int] = set()
        for one in self.lives:
            if one is life or life.family not in {one.uuid, one.family}:
                continue
            for number, state, feedback, chunk_state, due in self.rows(
                "SELECT subscriber_id, d.state, feedback, c.state, due_at FROM delivery d"
                " JOIN broadcast b ON b.id = d.broadcast_id"
                " JOIN chunk c ON c.broadcast_id = b.id AND number = chunk_number"
                f" WHERE uuid = '{one.uuid}'"
            ):
                waited_for = chunk_state == "sending" or (
                    chunk_state == "ambiguous" and datetime.fromisoformat(due).replace(tzinfo=UTC) > self.clock.now
                )
                again = (
                    state == "failed"
                    or (state == "sent" and feedback == "soft_bounce")
                    or (state == "pending" and not waited_for)
                )
                key = (one.uuid, number)
                if not again:
                    reached.add(number)
                elif one.uuid == life.family:
                    missed.add(number)
                if again and self.accepted[key]:
                    assert self.uncertain[key] or key in self.rejected or feedback == "soft_bounce"
        return frozenset(missed - reached)

    def pause(self, one: int) -> None:
        life = self.life(one)
        # A pause that would end by itself is a state of its own in this: a member can make it last.
        lasting = self.rows(f"SELECT resume_at FROM broadcast WHERE uuid = '{life.uuid}'") == [(None,)]
        if lasting and self.tried(life, "pause", self.store.pause(life.uuid, "a member says so", ACTOR)):
            assert self.state(life) == "paused"
        if not lasting:
            self.run(self.store.pause(life.uuid, "a member says so", ACTOR))
            self.logged += 1
            assert self.rows(f"SELECT state, resume_at, paused_by FROM broadcast WHERE uuid = '{life.uuid}'") == [
                ("paused", None, "member")
            ]

    def resume(self, one: int) -> None:
        life = self.life(one)
        if self.tried(life, "resume", self.store.resume(life.uuid, ACTOR)):
            life.resumed = True
            assert self.state(life) == "queued"

    def cancel(self, one: int, hesitation: int) -> None:
        life = self.life(one)
        # Seldom, since nothing comes after it.
        if not hesitation and self.tried(life, "cancel", self.store.cancel(life.uuid, ACTOR)):
            assert self.state(life) == "cancelled"

    @precondition(lambda self: self.lives)
    @rule(
        action=st.sampled_from(("draft", "edit", "submit", "approve", "reject", "override", "publish", "queue")),
        one=which,
        member=members,
        category=categories,
        number=st.integers(0, 2),
    )
    def board(self, action: str, one: int, member: str, category: str, number: int) -> None:
        """One thing that a member does, mostly at a wrong time."""
        match action:
            case "draft":
                if len(self.lives) < MOST_BROADCASTS:
                    self.draft(member, category, number)
            case "edit":
                self.edit(one, member, number)
            case "submit":
                self.submit(one)
            case "approve":
                self.approve(one, member, stale=number == 0)
            case "reject":
                self.reject(one)
            case "override":
                self.override(one, member, stale=number == 0)
            case "publish":
                self.publish(one, shown=number > 0)
            case "queue":
                self.queue(one)

    @precondition(lambda self: self.under_way())
    @rule(action=st.sampled_from(("pause", "resume", "resume", "cancel")), one=which, hesitation=st.integers(0, 3))
    def stop_or_go_on(self, action: str, one: int, hesitation: int) -> None:
        if action == "pause":
            self.pause(one)
        elif action == "resume":
            self.resume(one)
        else:
            self.cancel(one, hesitation)

    # What workers and the provider do

    @precondition(lambda self: self.under_way() and len(self.calls) < 4)
    @rule(worker=st.integers(0, 1))
    def begin_a_chunk(self, worker: int) -> None:
        self.unwanted_at_claim = {
            category: frozenset(one.number for one in self.people.values() if not one.wants(category))
            for category in ("security", "news")
        }

        async def begin() -> None:
            await self.until_called_or_done(asyncio.ensure_future(self.workers[worker].step()))

        self.run(begin())

    @precondition(lambda self: self.calls)
    @rule(one=st.integers(0, 3), answer=st.sampled_from(ANSWERS), seed=seeds)
    def answer(self, one: int, answer: Answer, seed: int) -> None:
        call = self.calls.pop(one % len(self.calls))
        # For the batches after this one, too, the claim was made long ago.
        self.unwanted_at_claim = {"security": frozenset(), "news": frozenset()}
        lost_lease = self.holder(call) != call.owner
        if lost_lease:
            self.uncertain.update((call.uuid, recipient.number) for recipient in call.recipients)
        outcomes = self.decide(call, answer, random.Random(seed))

        async def go_on() -> None:
            if isinstance(outcomes, OutsideWorldError):
                call.answer.set_exception(outcomes)
            else:
                call.answer.set_result(outcomes)
            assert call.task is not None
            await self.until_called_or_done(call.task)

        self.run(go_on())
        if not isinstance(outcomes, OutsideWorldError):
            for recipient, outcome in zip(call.recipients, outcomes, strict=True):
                if outcome.state == "sent":
                    self.known.add((call.uuid, recipient.number))

    @precondition(lambda self: self.under_way() and len(self.calls) < 4)
    @rule(worker=st.integers(0, 1), answer=st.sampled_from(("sent", "mixed")), seed=seeds)
    def go_on_sending(self, worker: int, answer: Answer, seed: int) -> None:
        """What mostly happens: whatever was in the way is over."""
        for life in self.under_way():
            if self.state(life) == "paused":
                self.resume(self.lives.index(life))
        self.clock.move(1000)
        self.supervise(worker)
        self.send_a_chunk(worker, answer, seed)

    @precondition(lambda self: self.under_way() and len(self.calls) < 4)
    @rule(worker=st.integers(0, 1), answer=st.sampled_from(ANSWERS), seed=seeds)
    def send_a_chunk(self, worker: int, answer: Answer, seed: int) -> None:
        before = len(self.calls)
        self.begin_a_chunk(worker)
        while len(self.calls) > before:
            self.answer(len(self.calls) - 1, answer, seed)

    @rule(seconds=st.sampled_from((1, 31, 61, 400, 1000, 4000)))
    def let_time_pass(self, seconds: int) -> None:
        self.clock.move(seconds)

    @rule(worker=st.integers(0, 1))
    def supervise(self, worker: int) -> None:
        self.run(self.workers[worker].supervise())

    @precondition(lambda self: self.calls)
    @rule(worker=st.integers(0, 1))
    def hang(self, worker: int) -> None:
        """Longer than any lease, and somebody sees it."""
        self.clock.move(61)
        self.supervise(worker)

    # What people do, and what is reported of them

    def opt_out(self, number: int, category: Category | None) -> None:
        person = self.people[number]
        self.run(self.opt_outs.opt_out(token=person.token, category=category))
        if category is None:
            person.status = "opted_out" if person.status == "active" else person.status
        elif person.status != "opted_out":
            person.stopped |= {category}
        self.note_unwanted()

    def many_opt_out(self, first: int, share: int, category: Category) -> None:
        for number in range(first, min(first + share, REGISTERED)):
            self.opt_out(number, category)

    def opt_in_again(self, number: int) -> None:
        person = self.people[number]
        done = self.run(self.opt_outs.resume(person.token))
        assert done == (person.status in {"active", "opted_out"})
        if done:
            person.status, person.stopped = "active", frozenset()

    @rule(
        what=st.sampled_from(("opt out", "many opt out", "opt in again")),
        number=st.integers(1, REGISTERED),
        share=st.sampled_from((5, 60)),
        category=st.sampled_from((None, "security", "news")),
    )
    def people_decide(self, what: str, number: int, share: int, category: Category | None) -> None:
        if what == "opt out":
            self.opt_out(number, category)
        elif what == "many opt out":
            self.many_opt_out(number, share, category or "security")
        else:
            self.opt_in_again(number)

    @rule()
    def register(self) -> None:
        number = max(self.people) + 1
        rows = subscriber_rows(number, 1)
        self.run(self.database.write(lambda connection: connection.execute(insert(subscriber), rows)))
        self.people[number] = Person(number, rows[0]["email"], rows[0]["token"])

    @precondition(lambda self: self.messages)
    @rule(
        kind=st.sampled_from(("sent", "delivered", "soft_bounce", "bounced", "complained", "failed")),
        share=st.sampled_from((0.02, 0.2, 1.0)),
        seed=seeds,
        tagged=st.booleans(),
    )
    def report(self, kind: Kind, share: float, seed: int, *, tagged: bool) -> None:
        choice = random.Random(seed)
        chosen = [message for message in self.messages if choice.random() < share]
        if kind in {"bounced", "complained", "failed"}:
            chosen = chosen[:5]
        reports = []
        for message in chosen:
            self.reports_made += 1
            event = FeedbackEvent(
                kind=kind,
                addresses=(message.recipient.email,),
                provider_id=message.provider_id,
                broadcast=message.uuid if tagged else None,
                recipient=message.recipient.number if tagged else None,
                at=self.clock.now,
                detail="as reported",
            )
            reports.append((f"sns-{self.reports_made}", message, event))

        async def apply() -> None:
            for name, _, event in reports:
                assert await self.reports.apply(name, [event])
                if event.kind != "sent":
                    assert not await self.reports.apply(name, [event]), "the same message is applied once"

        named = {(one.uuid, one.recipient.number): self.delivery_of(one) for one in chosen}
        self.run(apply())
        for message in chosen:
            key = (message.uuid, message.recipient.number)
            # Without its tags a message whose name was never recorded is nobody's.
            if tagged or named[key] == message.provider_id:
                (self.rejected if kind == "failed" else self.known).add(key)
            person = self.people[message.recipient.number]
            [(person.status,)] = self.rows(f"SELECT status FROM subscriber WHERE id = {person.number}")
        self.note_unwanted()

    # What always holds

    @invariant()
    def nothing_is_wrong(self) -> None:
        for life in self.lives:
            self.check_counts(life)
            self.check_deliveries(life)

    def check_counts(self, life: Life) -> None:
        of = f"WHERE broadcast_id = (SELECT id FROM broadcast WHERE uuid = '{life.uuid}')"
        states = {row[0]: row[1:] for row in self.rows(f"SELECT number, {', '.join(COUNTED)} FROM chunk {of}")}
        counted: dict[int, Counter[str]] = {number: Counter() for number in states}
        for number, state, feedback in self.rows(f"SELECT chunk_number, state, feedback FROM delivery {of}"):
            counted[number].update((state, str(feedback)))
        for number, kept in states.items():
            assert kept == tuple(counted[number][name] for name in COUNTED), f"chunk {number}"
        done = self.rows(f"SELECT number FROM chunk {of} AND state = 'done'")
        assert all(not counted[number]["pending"] for (number,) in done), "a chunk that is done has nobody pending"
        progress = progress_of(self.connection, life.uuid)
        assert progress is not None
        assert progress.audience == len(life.audience or ())
        assert progress.pending == sum(one["pending"] for one in counted.values()) >= 0
        assert progress.pending + progress.sent + progress.failed + progress.suppressed == progress.audience
        assert progress.sending + progress.ambiguous <= progress.pending
        assert progress.state != "done" or not progress.pending
        assert (progress.finished_at is not None) == (progress.state in {"done", "cancelled"})
        assert (progress.pause_reason is not None) == (progress.state == "paused") or progress.state == "cancelled"

    def check_deliveries(self, life: Life) -> None:
        rows = self.rows(
            "SELECT subscriber_id, d.state, error, attempts FROM delivery d JOIN broadcast b ON b.id = broadcast_id"
            f" WHERE uuid = '{life.uuid}'"
        )
        assert {row[0] for row in rows} == (life.audience or frozenset()), "the audience is frozen"
        for number, state, error, _ in rows:
            key = (life.uuid, number)
            assert self.accepted[key] <= 1 + self.uncertain[key], "twice without need"
            if state == "sent":
                assert self.accepted[key], "recorded, but never accepted"
            elif state == "suppressed":
                assert key in self.once_unwanted
            elif state == "failed":
                assert error
                assert key in self.refused | self.rejected or self.retried[key] >= ATTEMPTS
            if key in self.known - self.rejected:
                assert state == "sent", f"known to be sent, but {state}"

    def teardown(self) -> None:
        try:
            self.everybody_gets_it_in_the_end()
        finally:
            self.connection.close()
            self.reader.dispose()
            self.run(self.end())
            self.runner.close()
            self.folder.cleanup()

    async def end(self) -> None:
        for call in self.calls:
            if call.task is not None:
                call.task.cancel()
                await asyncio.gather(call.task, return_exceptions=True)
        await self.database.close()

    def everybody_gets_it_in_the_end(self) -> None:
        if not self.lives:
            return
        while self.calls:
            self.answer(0, "sent", 0)
        self.provider.well_behaved = True
        self.unwanted_at_claim = {
            category: frozenset(one.number for one in self.people.values() if not one.wants(category))
            for category in ("security", "news")
        }
        for _ in range(20):
            for life in self.under_way():
                if self.state(life) == "paused":
                    self.run(self.store.resume(life.uuid, ACTOR))
                    self.logged += 1
            self.run(exhaust(self.workers[0]))
            self.clock.move(1000)
            if not self.under_way():
                break
        assert not self.under_way(), "sending does not come to an end"
        self.nothing_is_wrong()
        verdict = self.audit.verify(self.connection)
        assert (verdict.problem, verdict.entries) == (None, self.logged), "one entry for each thing that was done"
        for life in self.lives:
            if self.state(life) == "done":
                for number in life.audience or ():
                    key = (life.uuid, number)
                    suppressed = key in self.once_unwanted
                    refused = key in self.refused | self.rejected or self.retried[key] >= ATTEMPTS
                    assert self.accepted[key] or suppressed or refused, f"{key} never got it"

    # The means

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.connection.exec_driver_sql(sql)]

    def life(self, one: int) -> Life:
        return self.lives[one % len(self.lives)]

    def state(self, life: Life) -> str:
        [(state,)] = self.rows(f"SELECT state FROM broadcast WHERE uuid = '{life.uuid}'")
        return str(state)

    def under_way(self) -> list[Life]:
        return [
            life for life in self.lives if life.audience is not None and self.state(life) not in {"done", "cancelled"}
        ]

    def sent_hashes(self, life: Life) -> set[str]:
        """What went out as other broadcasts of the same family."""
        family = (one for one in self.lives if one is not life and life.family in {one.uuid, one.family})
        return {one.draft.sha256 for one in family if one.audience is not None}

    def ended(self) -> list[Life]:
        return [life for life in self.lives if self.state(life) in ENDED]

    def wanting(self, category: str) -> frozenset[int]:
        return frozenset(one.number for one in self.people.values() if one.wants(category))

    def note_unwanted(self) -> None:
        for life in self.lives:
            for number in life.audience or ():
                if not self.people[number].wants(life.draft.category):
                    self.once_unwanted.add((life.uuid, number))

    def tried(self, life: Life, action: str, work: Coroutine[Any, Any, Any]) -> bool:
        """Whether it was done; exactly when the state allows it."""
        before = self.state(life)
        try:
            self.run(work)
        except WrongState:
            assert before not in ALLOWED[action]
            assert self.state(life) == before
            return False
        assert before in ALLOWED[action], f"{action} while {before}"
        self.logged += 1
        return True

    def delivery_of(self, message: Message) -> str | None:
        rows = self.rows(
            "SELECT provider_id FROM delivery JOIN broadcast ON id = broadcast_id"
            f" WHERE uuid = '{message.uuid}' AND subscriber_id = {message.recipient.number}"
        )
        return cast("str | None", rows[0][0])

    def holder(self, call: Call) -> str | None:
        [(owner,)] = self.rows(
            "SELECT lease_owner FROM chunk JOIN broadcast ON id = broadcast_id"
            f" WHERE uuid = '{call.uuid}' AND number = {call.chunk}"
        )
        return cast("str | None", owner)

    def checked_call(self, letter: Letter, recipients: tuple[Recipient, ...]) -> Call:
        """A call of the provider, which is made only while it may be and says only what may be said."""
        life = next(one for one in self.lives if one.uuid == letter.broadcast)
        assert self.state(life) in {"queued", "sending"}
        draft = life.draft
        assert (letter.title, letter.text, letter.html) == (draft.title, draft.rendered.text, draft.rendered.html)
        numbers = {recipient.number for recipient in recipients}
        assert len(numbers) == len(recipients) <= 50
        assert numbers <= (life.audience or frozenset())
        assert not numbers & self.unwanted_at_claim[draft.category], "suppressed before the claim"
        [(chunk, owner, chunk_state, too_early)] = self.rows(
            "SELECT DISTINCT number, lease_owner, c.state, c.wave > b.wave FROM chunk c"
            " JOIN broadcast b ON b.id = c.broadcast_id"
            " JOIN delivery d ON d.broadcast_id = b.id AND chunk_number = number"
            f" WHERE uuid = '{life.uuid}' AND subscriber_id IN ({','.join(map(str, numbers))})"
        )
        assert chunk_state == "sending", "no call without a lease"
        assert not too_early, "before the canary was judged"
        for recipient in recipients:
            assert recipient.email == self.people[recipient.number].email
            assert recipient.token == self.people[recipient.number].token
        future: asyncio.Future[Sequence[Outcome]] = asyncio.get_running_loop().create_future()
        return Call(life.uuid, recipients, chunk, owner, future)

    def accept(self, uuid: str, recipient: Recipient) -> Outcome:
        message = Message(uuid, recipient, f"id-{len(self.messages)}")
        self.messages.append(message)
        self.accepted[uuid, recipient.number] += 1
        return Outcome("sent", provider_id=message.provider_id)

    def decide(self, call: Call, answer: Answer, choice: random.Random) -> Sequence[Outcome] | OutsideWorldError:
        if answer == "sent":
            return [self.accept(call.uuid, recipient) for recipient in call.recipients]
        if answer == "mixed":
            return [self.one_of_many(call.uuid, recipient, choice) for recipient in call.recipients]
        if answer == "lost":
            share = choice.choice((0.0, 0.5, 1.0))
            for recipient in call.recipients:
                if choice.random() < share:
                    self.accept(call.uuid, recipient)
                self.uncertain[call.uuid, recipient.number] += 1
            return ReplyLost("connection reset")
        errors: dict[str, OutsideWorldError] = {
            "throttled": Throttled("slow down"),
            "quota": SendingHeld("used up", by="quota"),
            "account": SendingHeld("paused", by="account"),
            "down": OutsideWorldError("no route"),
        }
        return errors[answer]

    def one_of_many(self, uuid: str, recipient: Recipient, choice: random.Random) -> Outcome:
        key = (uuid, recipient.number)
        kind = choice.choice(("sent",) * 12 + ("failed", "retry", "retry", "ambiguous", "throttled"))
        if kind == "sent":
            return self.accept(uuid, recipient)
        if kind == "failed":
            self.refused.add(key)
            return Outcome("failed", error="no such mailbox")
        if kind == "retry":
            self.retried[key] += 1
            return Outcome("retry", error="mailbox busy")
        if kind == "throttled":
            return Outcome("retry", error="slow down", cause="throttled")
        self.uncertain[key] += 1
        # Whether it arrived or not, it was a try.
        self.retried[key] += 1
        if choice.random() < 0.5:
            return replace(self.accept(uuid, recipient), state="ambiguous", provider_id=None, error="reply lost")
        return Outcome("ambiguous", error="reply lost")

    async def until_called_or_done(self, task: asyncio.Task[Any]) -> None:
        entering = asyncio.ensure_future(self.provider.entered.get())
        await asyncio.wait({task, entering}, return_when=asyncio.FIRST_COMPLETED)
        if entering.done():
            call = entering.result()
            call.task = task
            self.calls.append(call)
            return
        entering.cancel()
        await asyncio.gather(entering, return_exceptions=True)
        error = task.exception()
        if error is not None and type(error) is not OutsideWorldError:
            raise error


TestBroadcastLife = BroadcastLife.TestCase
TestBroadcastLife.settings = settings(
    max_examples=LIVES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
