"""An upgrade of a database in use: what was there stays, and nothing of it becomes public by itself."""

from __future__ import annotations

from importlib import resources

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from hostemr.registration.database import Database
from hostemr.registration.environment import load_settings
from hostemr.registration.migrate import migrate

pytestmark = pytest.mark.anyio

MOMENT = "'2026-01-02 03:04:05.000006'"
SUBSCRIBERS = [
    ("a@example.org", "active", "NULL", 0, "active", "example.org"),
    ("b@x.example", "bounced", "NULL", 3, "soft_bounced", "x.example"),
    ("erased:3", "erased", "NULL", 0, "erased", "erased:3"),
    ("d@example.org", "active", MOMENT, 0, "no_news", "example.org"),
]


def _to_0002(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(resources.files("hostemr.registration") / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "0002")


def _fill(connection: Connection) -> None:
    for number, (key, status, no_news, bounces, _, _) in enumerate(SUBSCRIBERS, 1):
        connection.execute(
            text(
                "INSERT INTO subscriber (id, token, email, email_key, status, source, created_at, last_seen_at, "
                "news_opted_out_at, soft_bounces) VALUES "
                f"({number}, 'token{number}', '{key}', '{key}', '{status}', 'import', {MOMENT}, {MOMENT}, {no_news}, "
                f"{bounces})"
            )
        )
    # The first as hostemr 0.1 wrote it, which knew no category and rendered nothing.
    for number, part in enumerate(("NULL", "'rendered'"), 1):
        connection.execute(
            text(
                "INSERT INTO broadcast (id, uuid, title, contents, content_sha256, once_key, source, state, audience, "
                f"created_at, finished_at, text_part) VALUES ({number}, 'uuid{number}', 'Title', 'Contents', 'hash', "
                f"'once{number}', 'api', 'done', 1, {MOMENT}, {MOMENT}, {part})"
            )
        )
        connection.execute(
            text(f"INSERT INTO chunk (broadcast_id, number, state, attempts) VALUES ({number}, 0, 'done', 1)")
        )
        connection.execute(
            text(
                "INSERT INTO delivery (broadcast_id, subscriber_id, chunk_number, state, updated_at) "
                f"VALUES ({number}, 1, 0, 'sent', {MOMENT})"
            )
        )


@pytest.mark.parametrize("stopped", [False, True])
async def test_what_hostemr_before_the_console_kept_is_kept(database_url: str, stopped: bool) -> None:
    database = Database(load_settings({"DB_CONN_STR": database_url}))
    await database.write(_to_0002)
    await database.write(_fill)
    assert await migrate(database)
    if stopped:
        # Everything was done, but not written down.
        await database.write(
            lambda connection: connection.execute(text("UPDATE alembic_version SET version_num='0002'"))
        )
        assert await migrate(database)
    async with database.read() as connection:
        found = await connection.exec_driver_sql(
            "SELECT email_key, status, mailing, email_domain FROM subscriber ORDER BY id"
        )
        assert [tuple(row) for row in found] == [(one[0], one[1], *one[4:]) for one in SUBSCRIBERS]
        found = await connection.exec_driver_sql("SELECT state, category, published FROM broadcast ORDER BY id")
        assert [tuple(row) for row in found] == [("done", "security", 0), ("done", "security", 1)]
        counts = "SELECT (SELECT COUNT(*) FROM chunk WHERE settled_at IS NULL), (SELECT COUNT(*) FROM delivery)"
        assert [tuple(row) for row in await connection.exec_driver_sql(counts)] == [(2, 2)]
    await database.close()
