"""The board's console: its members, their sessions, the audit log; overriding, resending, publishing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hostemr.registration.column_types import Identity, UTCDateTime, exact, exact_name, exact_text
from hostemr.registration.migrations.resumable import add_columns, create_index, create_table

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_columns(
        "broadcast",
        sa.Column("review_note", sa.String(500), nullable=True, comment="why it was sent back to its author"),
        sa.Column("overridden_by", exact_name(254), nullable=True, comment="who let it go without approval"),
        sa.Column("override_reason", sa.String(500), nullable=True),
        sa.Column(
            "resend_of", sa.BigInteger, nullable=True, comment="the broadcast whose missed recipients get this one"
        ),
        sa.Column(
            "published", sa.SmallInteger, nullable=False, server_default="1", comment="0: not on the public page"
        ),
    )
    # Sent before 0002, when nobody said whether a broadcast was an advisory or news: not public until somebody does.
    op.execute("UPDATE broadcast SET published = 0 WHERE text_part IS NULL")
    create_index("broadcast", "resend_of")
    add_columns(
        "chunk",
        sa.Column("settled_at", UTCDateTime, nullable=True, comment="when it became done; for the rate of sending"),
    )
    create_table(
        "board_member",
        sa.Column("id", Identity, primary_key=True, autoincrement=True),
        sa.Column("uuid", exact(36), nullable=False, unique=True),
        sa.Column("email", exact(254), nullable=False, comment="what the member signs in with"),
        sa.Column("email_key", exact(254), nullable=False, unique=True, comment="lower-case; what is compared"),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("role", exact(16), nullable=False, comment="viewer, author, approver or administrator"),
        sa.Column("status", exact(16), nullable=False, comment="invited, active or disabled"),
        sa.Column("password_hash", exact(255), nullable=True, comment="Argon2id"),
        sa.Column("totp_secret", exact(255), nullable=True, comment="encrypted with a key made of secret_key"),
        sa.Column("totp_step", sa.BigInteger, nullable=True, comment="of the last code used; none counts twice"),
        sa.Column("invitation_hash", exact(64), nullable=True, unique=True, comment="SHA-256 of the link's token"),
        sa.Column("invitation_expires_at", UTCDateTime, nullable=True),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("signed_in_at", UTCDateTime, nullable=True),
    )
    create_table(
        "passkey",
        sa.Column("id", Identity, primary_key=True, autoincrement=True),
        sa.Column("member_id", sa.BigInteger, sa.ForeignKey("board_member.id"), nullable=False),
        sa.Column("credential_id", exact(1366), nullable=False, unique=True, comment="base64url"),
        sa.Column("public_key", exact_text(), nullable=False, comment="COSE, base64url"),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("used_at", UTCDateTime, nullable=True),
    )
    create_index("passkey", "member_id")
    create_table(
        "recovery_code",
        sa.Column("member_id", sa.BigInteger, sa.ForeignKey("board_member.id"), primary_key=True, autoincrement=False),
        sa.Column("code_hash", exact(64), primary_key=True, comment="keyed hash; the row goes when the code is used"),
    )
    create_table(
        "passkey_challenge",
        sa.Column("uuid", exact(36), primary_key=True),
        sa.Column("purpose", exact(16), nullable=False, comment="sign-in, add or confirm"),
        sa.Column("member_id", sa.BigInteger, nullable=True, comment="NULL until a passkey tells who it is"),
        sa.Column("challenge", exact(128), nullable=False, comment="base64url"),
        sa.Column("expires_at", UTCDateTime, nullable=False),
    )
    create_index("passkey_challenge", "expires_at")
    create_table(
        "board_session",
        sa.Column("token_hash", exact(64), primary_key=True, comment="SHA-256 of what the cookie holds"),
        sa.Column("uuid", exact(36), nullable=False, unique=True),
        sa.Column("member_id", sa.BigInteger, sa.ForeignKey("board_member.id"), nullable=False),
        sa.Column("stage", exact(16), nullable=False, comment="second-factor, enrol or full"),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("seen_at", UTCDateTime, nullable=False),
        sa.Column("expires_at", UTCDateTime, nullable=False),
        sa.Column("confirmed_at", UTCDateTime, nullable=True, comment="when its member last proved to be there"),
        sa.Column("browser", sa.String(255), nullable=False, comment="its User-Agent, for its member to recognise it"),
        sa.Column("notice", sa.String(500), nullable=True, comment="what the next page says was done"),
    )
    create_index("board_session", "member_id")
    create_index("board_session", "expires_at")
    create_table(
        "broadcast_preview",
        sa.Column("member_id", sa.BigInteger, sa.ForeignKey("board_member.id"), primary_key=True, autoincrement=False),
        sa.Column("html", exact_text(), nullable=True, comment="NULL for plain text"),
        sa.Column("text", exact_text(), nullable=False),
        sa.Column("updated_at", UTCDateTime, nullable=False),
    )
    create_table(
        "audit_entry",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False, comment="1, 2, 3, … without a gap"),
        sa.Column("at", UTCDateTime, nullable=False),
        sa.Column("actor", exact(64), nullable=False, comment="member:ID, command-line, api or service"),
        sa.Column("action", exact(48), nullable=False),
        sa.Column("subject", exact(64), nullable=False, comment="broadcast:UUID, registration:ID, member:ID or empty"),
        sa.Column("details", exact_text(), nullable=False, comment="JSON with sorted keys"),
        sa.Column("previous_hash", exact(64), nullable=False, comment="of the entry before"),
        sa.Column("entry_hash", exact(64), nullable=False, comment="keyed, over all of the above"),
    )
    create_index("audit_entry", "actor", "number")
    create_index("audit_entry", "subject", "number")
    create_table(
        "audit_head",
        sa.Column("name", exact(16), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False, comment="of the newest entry; locked while one is added"),
        sa.Column("entry_hash", exact(64), nullable=False),
    )
    create_table(
        "board_figure",
        sa.Column("name", exact(32), primary_key=True),
        sa.Column("value", exact_text(), nullable=False, comment="JSON"),
        sa.Column("computed_at", UTCDateTime, nullable=False),
        sa.Column("took_seconds", sa.Double, nullable=False),
    )
