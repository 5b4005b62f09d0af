"""`hostemr registration broadcasts …`, as the operator runs them."""

from __future__ import annotations

import asyncio
import email
import json
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from email.policy import SMTP
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy import insert

from hostemr.cli import run
from hostemr.registration.broadcasts.draft import parse_draft
from hostemr.registration.database import Database
from hostemr.registration.environment import load_settings
from hostemr.registration.migrate import migrate
from hostemr.registration.schema import broadcast, chunk, delivery
from tests.peers.server import hostemr
from tests.registration.broadcasts.test_audience import NOW, subscribers
from tests.registration.migrated import fill, plain_engine

UUID = "7d3f9a52-0c1e-4b7a-9a7e-2f6f1f0d9c11"
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Operator:
    """Runs commands on a database with one broadcast, which is under way to three addresses."""

    folder: Path
    url: str

    def run(self, *arguments: str, given: str | None = None) -> CompletedProcess[str]:
        """In this process, which is quicker; in one of its own where something is typed."""
        command = ["registration", "broadcasts", *arguments, "--database", self.url]
        if given is not None:
            return hostemr(*command, folder=self.folder, given=given)
        output, errors = StringIO(), StringIO()
        with redirect_stdout(output), redirect_stderr(errors), chdir(self.folder):
            status = run(command)
        return CompletedProcess(command, status, output.getvalue(), errors.getvalue())

    def fails(self, status: int, *arguments: str, given: str | None = None) -> list[str]:
        """The error's lines, and its hint's, of a command that ends with this status."""
        done = self.run(*arguments, given=given)
        assert (done.returncode, done.stdout) == (status, ""), done
        return done.stderr.splitlines()

    def state(self) -> str:
        engine = plain_engine(self.url)
        with engine.connect() as connection:
            state = connection.scalar(broadcast.select().with_only_columns(broadcast.c.state))
        engine.dispose()
        return str(state)


async def migrated(url: str) -> None:
    fill(url)
    database = Database(load_settings({"HOSTEMR_DATABASE_URL": url}))
    await migrate(database)
    await database.close()


@pytest.fixture
def operator(database_url: str, tmp_path: Path) -> Operator:
    asyncio.run(migrated(database_url))
    row = {
        "uuid": UUID,
        "title": "Réparation 🔒",
        "contents": "C",
        "content_sha256": "0" * 64,
        "once_key": "0" * 64,
        "source": "api",
        "state": "sending",
        "audience": 3,
        "created_at": NOW,
        "queued_at": NOW,
    }
    engine = plain_engine(database_url)
    with engine.begin() as connection:
        subscribers(connection, 3)
        connection.execute(insert(broadcast), [{"id": 1, **row}])
        counts = {"sent": 1, "failed": 1, "bounced": 1}
        connection.execute(
            insert(chunk), [{"broadcast_id": 1, "number": 0, "state": "pending", "attempts": 1, **counts}]
        )
        each = {"broadcast_id": 1, "chunk_number": 0, "updated_at": NOW, "attempts": 1}
        connection.execute(
            insert(delivery),
            [
                {**each, "subscriber_id": 1, "state": "sent", "feedback": "bounced", "error": None},
                {**each, "subscriber_id": 2, "state": "failed", "feedback": None, "error": "no such mailbox"},
                {**each, "subscriber_id": 3, "state": "pending", "feedback": None, "error": None},
            ],
        )
    engine.dispose()
    return Operator(tmp_path, database_url)


@pytest.fixture
def writer(tmp_path: Path) -> Operator:
    """What needs no database is tried without one."""
    return Operator(tmp_path, f"sqlite:///{tmp_path / 'none.sqlite3'}")


def test_watching(operator: Operator) -> None:
    done = operator.run("list")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [UUID, "sending", "1", "of", "3", "Réparation", "🔒"]
    [listed] = json.loads(operator.run("list", "--json").stdout)
    shown = json.loads(operator.run("show", UUID, "--json").stdout)
    assert listed == shown
    of_interest = ("state", "title", "audience", "pending", "sent", "failed", "bounced", "suppressed", "finished_at")
    assert [shown[name] for name in of_interest] == ["sending", "Réparation 🔒", 3, 1, 1, 1, 1, 0, None]
    lines = dict(line.split(maxsplit=1) for line in operator.run("show", UUID).stdout.splitlines() if "_" not in line)
    assert (lines["state"], lines["pending"]) == ("sending", "1")
    missed = [json.loads(line) for line in operator.run("not-reached", UUID).stdout.splitlines()]
    assert [(one["email"], one["state"], one["reason"], one["attempts"]) for one in missed] == [
        ("user1@example.org", "bounced", "bounced", 1),
        ("user2@example.org", "failed", "no such mailbox", 1),
        ("user3@example.org", "pending", None, 1),
    ]


def test_stopping_and_going_on(operator: Operator) -> None:
    assert operator.run("pause", UUID, "--reason", "a mistake").stdout == "paused\n"
    assert "a mistake" in operator.run("show", UUID).stdout
    [error, hint] = operator.fails(4, "pause", UUID)
    assert error == "error: A broadcast that is paused cannot be changed by «pause»."
    assert hint == "hint: possible now: resume, cancel"
    assert json.loads(operator.run("resume", UUID, "--json").stdout) == {"state": "resumed"}
    assert operator.state() == "queued"


def test_cancelling_asks_for_the_word(operator: Operator) -> None:
    lines = operator.fails(4, "cancel", UUID, given="yes\n")
    assert "error: Nothing was cancelled." in lines[-2]
    assert lines[-1] == "hint: type the word cancel, or give --yes"
    assert operator.fails(130, "cancel", UUID, given="")[-1].endswith("stopped")
    assert operator.state() == "sending"
    assert operator.run("cancel", UUID, given="cancel\n").stdout == "cancelled\n"
    assert operator.state() == "cancelled"
    failed = operator.run("cancel", UUID, "--yes", "--json")
    assert failed.returncode == 4
    assert json.loads(failed.stderr)["hint"] == "possible now: nothing, it has ended"


def test_cancelling_in_a_script(operator: Operator) -> None:
    assert json.loads(operator.run("cancel", UUID, "--yes", "--json").stdout) == {"state": "cancelled"}


@pytest.mark.parametrize("command", [["show"], ["not-reached"], ["pause"], ["resume"], ["cancel", "--yes"]])
@pytest.mark.parametrize("kind", ["sqlite"])
def test_what_nobody_knows_is_1(operator: Operator, command: list[str]) -> None:
    failed = operator.run(*command, UNKNOWN, "--json")
    assert json.loads(failed.stderr)["error"] == f"There is no broadcast '{UNKNOWN}'."
    assert (failed.returncode, failed.stdout) == (1, "")


def test_a_preview_is_what_recipients_get(writer: Operator) -> None:
    (writer.folder / "advisory.md").write_text("# Hole\n\nIt is *closed*.")
    arguments = ("advisory.md", "--title", "Tïtle", "--severity", "high", "--fixed-version", "7.0.3")
    done = writer.run("preview", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"preview/advisory.{kind}" for kind in ("eml", "txt", "html")]
    text = (writer.folder / "preview" / "advisory.txt").read_text()
    page = (writer.folder / "preview" / "advisory.html").read_text()
    assert "It is" in text
    assert "<em>closed</em>" in page
    message = email.message_from_bytes((writer.folder / "preview" / "advisory.eml").read_bytes(), policy=SMTP)
    assert message["subject"] == "Tïtle"
    assert {part.get_content_type() for part in message.walk()} >= {"text/plain", "text/html"}
    as_json = json.loads(writer.run("preview", *arguments, "--json", "--out", "other").stdout)
    fields = {"title": "Tïtle", "contents": "# Hole\n\nIt is *closed*.", "format": "markdown"}
    sha256 = parse_draft({**fields, "severity": "high", "fixed_version": "7.0.3"}, 1000).sha256
    assert as_json == {
        "eml": "other/advisory.eml",
        "txt": "other/advisory.txt",
        "html": "other/advisory.html",
        "content_sha256": sha256,
    }


def test_a_message_that_cannot_be_sent_is_one_line(writer: Operator) -> None:
    (writer.folder / "advisory.txt").write_text("Text")
    (writer.folder / "latin.txt").write_bytes(b"Gr\xfc\xdfe")
    lines = writer.fails(2, "preview", "advisory.txt", "--title", "Hello\nBcc: all@example.org")
    assert lines == ["error: The title has a line break or another control character."]
    lines = writer.fails(2, "preview", "advisory.txt", "--title", "T", "--fixed-version", "seven")
    assert len(lines) == 1
    assert writer.fails(2, "preview", "latin.txt", "--title", "T") == ["error: latin.txt is not UTF-8."]
    assert not (writer.folder / "preview").exists()


def test_a_preview_beside_the_file_leaves_the_file_alone(writer: Operator) -> None:
    source = writer.folder / "advisory.html"
    source.write_text("<p>Text</p>")
    writer.run("preview", "advisory.html", "--title", "T", "--out", ".")
    assert source.read_text() == "<p>Text</p>"


def test_a_folder_that_cannot_be_made_is_one_line(writer: Operator) -> None:
    (writer.folder / "advisory.txt").write_text("Text")
    lines = writer.fails(3, "preview", "advisory.txt", "--title", "T", "--out", "advisory.txt/preview")
    assert lines[0].startswith("error: ")


def test_a_test_goes_to_who_is_named(writer: Operator) -> None:
    (writer.folder / "advisory.html").write_text("<p>Text</p>")
    sending = ("test-send", "advisory.html", "--title", "T", "--to", "Anna@board.example", "--to", "b@board.example")
    done = writer.run(*sending)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Anna@board.example  sent  000000001.eml",
        "b@board.example  sent  000000002.eml",
    ]
    files = sorted((writer.folder / "data" / "outbox" / "test").glob("*"))
    messages = [email.message_from_bytes(path.read_bytes(), policy=SMTP) for path in files]
    assert [message["to"] for message in messages] == ["Anna@board.example", "b@board.example"]
    assert {message["subject"] for message in messages} == {"[Test] T"}
    rows = json.loads(writer.run(*sending, "--json").stdout)
    assert [(row["email"], row["state"]) for row in rows] == [
        ("Anna@board.example", "sent"),
        ("b@board.example", "sent"),
    ]
    assert not (writer.folder / "none.sqlite3").exists(), "nothing is stored"


def test_a_test_to_no_address_is_wrong_use(writer: Operator) -> None:
    (writer.folder / "advisory.txt").write_text("Text")
    assert len(writer.fails(2, "test-send", "advisory.txt", "--title", "T", "--to", "nobody")) <= 2
    assert not (writer.folder / "data").exists()
    assert writer.run("test-send", "advisory.txt", "--title", "T").returncode == 2
