"""Broadcasts through review and approval, canaries and pauses; feedback; categories; erasure."""

from __future__ import annotations

import sqlalchemy as sa

from hostemr.registration.column_types import Identity, UTCDateTime, exact, exact_name, exact_text
from hostemr.registration.migrations.resumable import add_columns, create_index, create_table

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_columns(
        "subscriber",
        sa.Column("security_opted_out_at", UTCDateTime, nullable=True),
        sa.Column("news_opted_out_at", UTCDateTime, nullable=True),
        sa.Column(
            "soft_bounces", sa.SmallInteger, nullable=False, server_default="0", comment="since the last delivery"
        ),
    )
    add_columns(
        "broadcast",
        sa.Column("author", exact_name(254), nullable=True, comment="the member of the board who wrote it"),
        sa.Column("format", exact(16), nullable=False, server_default="text", comment="text, markdown or html"),
        sa.Column("text_part", exact_text(), nullable=True, comment="rendered; NULL until 0002 is contents"),
        sa.Column("html_part", exact_text(), nullable=True, comment="rendered"),
        sa.Column("category", exact(16), nullable=False, server_default="security", comment="security or news"),
        sa.Column("severity", exact(16), nullable=True, comment="critical, high, medium or low"),
        sa.Column("fixed_version", sa.String(64), nullable=True, comment="recorded at this or later: not concerned"),
        sa.Column("fixed_version_order", sa.BigInteger, nullable=True),
        sa.Column("queued_at", UTCDateTime, nullable=True),
        sa.Column("wave", sa.SmallInteger, nullable=False, server_default="1", comment="0: the canary; 1: everyone"),
        sa.Column("canary_until", UTCDateTime, nullable=True, comment="when the canary was sent and is judged"),
        sa.Column("paused_by", exact(16), nullable=True, comment="member, canary, quota, account or content"),
        sa.Column("pause_reason", sa.String(500), nullable=True),
        sa.Column("resume_at", UTCDateTime, nullable=True, comment="a pause that ends by itself"),
        sa.Column(
            "forgiven_delivered", sa.Integer, nullable=False, server_default="0", comment="feedback before a resumption"
        ),
        sa.Column("forgiven_bounced", sa.Integer, nullable=False, server_default="0"),
        sa.Column("forgiven_complained", sa.Integer, nullable=False, server_default="0"),
        sa.Column("forgiven_sent", sa.Integer, nullable=False, server_default="0"),
        sa.Column("forgiven_failed", sa.Integer, nullable=False, server_default="0"),
    )
    add_columns(
        "chunk",
        sa.Column("wave", sa.SmallInteger, nullable=False, server_default="1", comment="0 is sent first: the canary"),
        sa.Column("due_at", UTCDateTime, nullable=True, comment="not claimed before; NULL is at once"),
        sa.Column("sent", sa.Integer, nullable=False, server_default="0", comment="recipients, as the next ones"),
        sa.Column("failed", sa.Integer, nullable=False, server_default="0"),
        sa.Column("suppressed", sa.Integer, nullable=False, server_default="0"),
        sa.Column("delivered", sa.Integer, nullable=False, server_default="0", comment="of those sent, as reported"),
        sa.Column("bounced", sa.Integer, nullable=False, server_default="0"),
        sa.Column("complained", sa.Integer, nullable=False, server_default="0"),
    )
    add_columns(
        "delivery",
        sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column(
            "feedback", exact(16), nullable=True, comment="delivered, soft_bounce, bounced, complained or rejected"
        ),
    )
    create_table(
        "suppression",
        sa.Column("address_hash", exact(64), primary_key=True, comment="keyed hash of an address that was erased"),
        sa.Column("status", exact(16), nullable=False, comment="what the subscriber's was"),
        sa.Column("security_opted_out_at", UTCDateTime, nullable=True),
        sa.Column("news_opted_out_at", UTCDateTime, nullable=True),
        sa.Column("created_at", UTCDateTime, nullable=False),
    )
    create_table(
        "confirmation",
        sa.Column(
            "subscriber_id", sa.BigInteger, sa.ForeignKey("subscriber.id"), primary_key=True, autoincrement=False
        ),
        sa.Column("requested_at", UTCDateTime, nullable=False, comment="when the suppressed address registered again"),
        sa.Column("lease_until", UTCDateTime, nullable=True, comment="a worker is sending the request until then"),
        sa.Column("sent_at", UTCDateTime, nullable=True),
    )
    create_index("confirmation", "sent_at")
    create_table(
        "key_check",
        sa.Column("name", exact(32), primary_key=True),
        sa.Column("fingerprint", exact(64), nullable=False, comment="tells whether the key is still the same one"),
    )
    create_table(
        "approval",
        sa.Column("id", Identity, primary_key=True, autoincrement=True),
        sa.Column("broadcast_id", sa.BigInteger, sa.ForeignKey("broadcast.id"), nullable=False),
        sa.Column("content_sha256", exact(64), nullable=False, comment="what was approved; an edit makes another"),
        sa.Column("member", exact_name(254), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.UniqueConstraint("broadcast_id", "content_sha256", "member"),
    )
    create_table(
        "feedback_event",
        sa.Column(
            "message_id", exact(64), primary_key=True, comment="of Amazon SNS; delivered more than once at times"
        ),
        sa.Column("token", exact(32), nullable=False, comment="whose transaction wrote it"),
        sa.Column("received_at", UTCDateTime, nullable=False),
    )
    create_index("feedback_event", "received_at")
    create_table(
        "send_rate",
        sa.Column("name", exact(16), primary_key=True),
        sa.Column("ceiling", sa.Double, nullable=False, comment="recipients a second that the account allows"),
        sa.Column(
            "rate", sa.Double, nullable=False, comment="recipients a second at the moment; less after throttling"
        ),
        sa.Column("free_at", sa.Double, nullable=False, comment="seconds since 1970 from when tokens are not taken"),
        sa.Column("changed_at", sa.Double, nullable=False, comment="when the rate was last lowered or raised"),
        sa.Column("checked_at", sa.Double, nullable=False, comment="when the account was last asked"),
    )
