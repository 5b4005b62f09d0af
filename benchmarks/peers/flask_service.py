"""The registration service as a competent team would write it first: Flask and the SQLAlchemy ORM.

Run it with gunicorn; `BENCHMARK_DATABASE` is the SQLAlchemy URL of a database that has
`schema.sql`'s table.
"""

from __future__ import annotations

import os
import re
import sqlite3
import uuid

from flask import Flask, request
from sqlalchemy import CHAR, String, create_engine, event, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

# Threads of several workers wait here for SQLite's one writer; the default of 5 s would turn a
# crowded moment into a failed request.
SQLITE_LOCK_TIMEOUT_SECONDS = 30
# As many as gunicorn's threads: SQLAlchemy closes a connection above this number after each request.
POOL_SIZE = 8
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
EMAIL_COLUMN_LENGTH = 128

_url = os.environ["BENCHMARK_DATABASE"]
_is_sqlite = _url.startswith("sqlite")
engine = create_engine(
    _url,
    pool_size=POOL_SIZE,
    connect_args={"timeout": SQLITE_LOCK_TIMEOUT_SECONDS} if _is_sqlite else {},
)
Session = sessionmaker(engine)
application = Flask(__name__)


class Base(DeclarativeBase):
    """The declarative base of the one model."""


class Product(Base):
    """A registered installation, in the seed's table."""

    __tablename__ = "product"

    uuid: Mapped[str] = mapped_column(CHAR(36), primary_key=True)
    email: Mapped[str] = mapped_column(String(EMAIL_COLUMN_LENGTH), unique=True)


if _is_sqlite:

    @event.listens_for(engine, "connect")
    def set_durability(connection: sqlite3.Connection, _record: object) -> None:
        """Give every connection the journal and durability that hostemr and the bare service use."""
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")


@application.post("/api/registration")
def register() -> tuple[dict[str, str], int]:
    """Store a new address; the unique index, not a query before it, tells a known one."""
    email = request.form.get("email", "").strip()
    if len(email) > EMAIL_COLUMN_LENGTH or not EMAIL.fullmatch(email):
        return {"error": "InvalidEmailException"}, 400
    product_id = str(uuid.uuid4())
    try:
        with Session.begin() as session:
            session.add(Product(uuid=product_id, email=email))
    except IntegrityError:
        return {"error": "AlreadyRegisteredException"}, 409
    return {"productId": product_id}, 201


@application.get("/api/registration/unique")
def count() -> dict[str, int]:
    """How many products are registered."""
    with Session() as session:
        return {"count": session.scalars(select(func.count()).select_from(Product)).one()}
