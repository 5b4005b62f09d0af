"""Subscribers and installations, limits, usage reports, and the queue of broadcasts."""

from __future__ import annotations

import sqlalchemy as sa

from hostemr.registration.column_types import Identity, UTCDateTime, exact, exact_text
from hostemr.registration.migrations.resumable import create_index, create_table

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table(
        "subscriber",
        sa.Column("id", Identity, primary_key=True, autoincrement=True),
        sa.Column("token", exact(32), nullable=False, unique=True, comment="random; names the subscriber in links"),
        sa.Column("email", exact(254), nullable=False, comment="as mail is addressed; domain in punycode"),
        sa.Column("email_key", exact(254), nullable=False, unique=True, comment="lower-case; what is compared"),
        sa.Column("status", exact(16), nullable=False, comment="active, opted_out, bounced, complained or erased"),
        sa.Column("source", exact(16), nullable=False, comment="registration or import"),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("last_seen_at", UTCDateTime, nullable=False),
        sa.Column("opted_out_at", UTCDateTime, nullable=True),
    )
    create_table(
        "installation",
        sa.Column("id", Identity, primary_key=True, autoincrement=True),
        sa.Column("product_id", exact(36), nullable=False, unique=True),
        sa.Column("subscriber_id", sa.BigInteger, sa.ForeignKey("subscriber.id"), nullable=False),
        sa.Column("version", sa.String(64), nullable=True, comment="as the client sent it"),
        sa.Column("version_order", sa.BigInteger, nullable=True, comment="orders as versions do; NULL is unknown"),
        sa.Column("distribution", sa.String(64), nullable=True),
        sa.Column("client_hash", exact(32), nullable=True, comment="keyed hash of the registering IP address"),
        sa.Column("client_hash_expires_at", UTCDateTime, nullable=True),
        sa.Column("first_seen_at", UTCDateTime, nullable=False),
        sa.Column("last_seen_at", UTCDateTime, nullable=False),
    )
    create_index("installation", "subscriber_id", "version_order")
    create_index("installation", "client_hash_expires_at")
    create_table(
        "rate_count",
        sa.Column("bucket", exact(32), primary_key=True, comment="keyed hash of what is limited"),
        sa.Column("window_start", sa.BigInteger, primary_key=True, autoincrement=False, comment="seconds since 1970"),
        sa.Column("expires", sa.BigInteger, nullable=False, comment="seconds since 1970"),
        sa.Column("hits", sa.Integer, nullable=False),
    )
    create_index("rate_count", "expires")
    create_table(
        "pin_failure",
        sa.Column("scope", exact(32), primary_key=True, comment="keyed hash of a client address, or 'global'"),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_failure_at", UTCDateTime, nullable=False),
    )
    create_table(
        "usage_site",
        sa.Column("site_id", exact(36), primary_key=True),
        sa.Column("version", sa.String(64), nullable=True),
        sa.Column("version_order", sa.BigInteger, nullable=True),
        sa.Column("distribution", sa.String(64), nullable=True),
        sa.Column("locale", sa.String(64), nullable=True),
        sa.Column("time_zone", sa.String(64), nullable=True),
        sa.Column("environment", sa.String(255), nullable=True),
        sa.Column("country", sa.String(64), nullable=True),
        sa.Column("region", sa.String(64), nullable=True),
        sa.Column("reporting_interval", sa.String(16), nullable=True),
        sa.Column("settings", exact_text(), nullable=True, comment="JSON, as sent"),
        sa.Column("population", exact_text(), nullable=True, comment="JSON, as sent"),
        sa.Column("modules", exact_text(), nullable=True, comment="JSON, as sent"),
        sa.Column("encounter_forms", exact_text(), nullable=True, comment="JSON, as sent"),
        sa.Column("reports", sa.Integer, nullable=False),
        sa.Column("records", sa.Integer, nullable=False, comment="rows of usage_record; capped"),
        sa.Column("first_seen_at", UTCDateTime, nullable=False),
        sa.Column("last_seen_at", UTCDateTime, nullable=False),
    )
    create_table(
        "usage_record",
        sa.Column("id", Identity, primary_key=True, autoincrement=True),
        sa.Column("site_id", exact(36), sa.ForeignKey("usage_site.site_id"), nullable=False),
        sa.Column("event_key", exact(64), nullable=False, comment="hash of label, URL, target and first event"),
        sa.Column("event_type", sa.String(64), nullable=False),
        sa.Column("event_label", sa.String(255), nullable=False),
        sa.Column("event_url", exact_text(), nullable=False),
        sa.Column("event_target", exact_text(), nullable=False),
        sa.Column("first_event", sa.String(32), nullable=False, comment="the client's local time, as sent"),
        sa.Column("last_event", sa.String(32), nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False, comment="since first_event; a resent count is no new one"),
        sa.UniqueConstraint("site_id", "event_key"),
    )
    create_table(
        "broadcast",
        sa.Column("id", Identity, primary_key=True, autoincrement=True),
        sa.Column("uuid", exact(36), nullable=False, unique=True),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("contents", exact_text(), nullable=False),
        sa.Column("content_sha256", exact(64), nullable=False),
        sa.Column(
            "once_key", exact(64), nullable=False, unique=True, comment="the same for a repetition at the same time"
        ),
        sa.Column("source", exact(16), nullable=False, comment="api or board"),
        sa.Column("state", exact(16), nullable=False, comment="draft to done: hostemr.registration.lifecycle"),
        sa.Column("audience", sa.Integer, nullable=False, comment="recipients when it was frozen"),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("finished_at", UTCDateTime, nullable=True),
    )
    create_index("broadcast", "state")
    create_table(
        "chunk",
        sa.Column("broadcast_id", sa.BigInteger, sa.ForeignKey("broadcast.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", exact(16), nullable=False, comment="pending, sending, ambiguous or done"),
        sa.Column("attempts", sa.SmallInteger, nullable=False),
        sa.Column("lease_owner", exact(64), nullable=True),
        sa.Column("lease_until", UTCDateTime, nullable=True),
    )
    create_index("chunk", "state", "lease_until")
    create_table(
        "delivery",
        sa.Column("broadcast_id", sa.BigInteger, sa.ForeignKey("broadcast.id"), primary_key=True),
        sa.Column("subscriber_id", sa.BigInteger, sa.ForeignKey("subscriber.id"), primary_key=True),
        sa.Column("chunk_number", sa.Integer, nullable=False),
        sa.Column("state", exact(16), nullable=False, comment="pending, sent, suppressed or failed"),
        sa.Column("provider_id", exact(128), nullable=True, comment="the sender's name for the message"),
        sa.Column("error", sa.String(255), nullable=True),
        sa.Column("updated_at", UTCDateTime, nullable=False),
    )
    create_index("delivery", "broadcast_id", "chunk_number")
