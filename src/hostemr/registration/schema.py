"""The tables, for SQLite, MySQL 8 and MariaDB 10.6+ alike. The migrations make them; a test compares."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Computed,
    Double,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

from hostemr.registration.column_types import (
    OPTIONS,
    Identity,
    UTCDateTime,
    exact,
    exact_name,
    exact_text,
)
from hostemr.registration.column_types import metadata as metadata  # noqa: PLC0414, with its tables

MAILING = """
CASE WHEN status = 'bounced' AND soft_bounces > 0 THEN 'soft_bounced'
WHEN status <> 'active' THEN status
WHEN security_opted_out_at IS NOT NULL AND news_opted_out_at IS NOT NULL THEN 'opted_out'
WHEN security_opted_out_at IS NOT NULL THEN 'no_security'
WHEN news_opted_out_at IS NOT NULL THEN 'no_news'
ELSE 'active' END
"""
DOMAIN = "substr(email_key, instr(email_key, '@') + 1)"

subscriber = Table(
    "subscriber",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("token", exact(32), nullable=False, unique=True, comment="random; names the subscriber in links"),
    Column("email", exact(254), nullable=False, comment="as mail is addressed; domain in punycode"),
    Column("email_key", exact(254), nullable=False, unique=True, comment="lower-case; what is compared"),
    Column("status", exact(16), nullable=False, comment="active, opted_out, bounced, complained or erased"),
    Column("source", exact(16), nullable=False, comment="registration or import"),
    Column("created_at", UTCDateTime, nullable=False),
    Column("last_seen_at", UTCDateTime, nullable=False),
    Column("opted_out_at", UTCDateTime, nullable=True),
    Column("security_opted_out_at", UTCDateTime, nullable=True),
    Column("news_opted_out_at", UTCDateTime, nullable=True),
    Column("soft_bounces", SmallInteger, nullable=False, server_default="0", comment="since the last delivery"),
    Column("mailing", exact(16), Computed(MAILING, persisted=False), comment="what mail is sent, in a word"),
    Column("email_domain", exact(254), Computed(DOMAIN, persisted=False), comment="after the @"),
    Index(None, "mailing"),
    Index(None, "email_domain"),
    **OPTIONS,
)

installation = Table(
    "installation",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("product_id", exact(36), nullable=False, unique=True),
    Column("subscriber_id", BigInteger, ForeignKey("subscriber.id"), nullable=False),
    Column("version", String(64), nullable=True, comment="as the client sent it"),
    Column("version_order", BigInteger, nullable=True, comment="orders as versions do; NULL is unknown"),
    Column("distribution", String(64), nullable=True),
    Column("client_hash", exact(32), nullable=True, comment="keyed hash of the registering IP address"),
    Column("client_hash_expires_at", UTCDateTime, nullable=True),
    Column("first_seen_at", UTCDateTime, nullable=False),
    Column("last_seen_at", UTCDateTime, nullable=False),
    Index(None, "subscriber_id", "version_order"),
    Index(None, "version_order", "subscriber_id"),
    Index(None, "distribution", "subscriber_id"),
    Index(None, "client_hash_expires_at"),
    **OPTIONS,
)

rate_count = Table(
    "rate_count",
    metadata,
    Column("bucket", exact(32), primary_key=True, comment="keyed hash of what is limited"),
    Column("window_start", BigInteger, primary_key=True, autoincrement=False, comment="seconds since 1970"),
    Column("expires", BigInteger, nullable=False, comment="seconds since 1970"),
    Column("hits", Integer, nullable=False),
    Index(None, "expires"),
    **OPTIONS,
)

pin_failure = Table(
    "pin_failure",
    metadata,
    Column("scope", exact(32), primary_key=True, comment="keyed hash of a client address, or 'global'"),
    Column("failures", Integer, nullable=False),
    Column("last_failure_at", UTCDateTime, nullable=False),
    **OPTIONS,
)

usage_site = Table(
    "usage_site",
    metadata,
    Column("site_id", exact(36), primary_key=True),
    Column("version", String(64), nullable=True),
    Column("version_order", BigInteger, nullable=True),
    Column("distribution", String(64), nullable=True),
    Column("locale", String(64), nullable=True),
    Column("time_zone", String(64), nullable=True),
    Column("environment", String(255), nullable=True),
    Column("country", String(64), nullable=True),
    Column("region", String(64), nullable=True),
    Column("reporting_interval", String(16), nullable=True),
    Column("settings", exact_text(), nullable=True, comment="JSON, as sent"),
    Column("population", exact_text(), nullable=True, comment="JSON, as sent"),
    Column("modules", exact_text(), nullable=True, comment="JSON, as sent"),
    Column("encounter_forms", exact_text(), nullable=True, comment="JSON, as sent"),
    Column("reports", Integer, nullable=False),
    Column("records", Integer, nullable=False, comment="rows of usage_record; capped"),
    Column("first_seen_at", UTCDateTime, nullable=False),
    Column("last_seen_at", UTCDateTime, nullable=False),
    **OPTIONS,
)

usage_record = Table(
    "usage_record",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("site_id", exact(36), ForeignKey("usage_site.site_id"), nullable=False),
    Column("event_key", exact(64), nullable=False, comment="hash of label, URL, target and first event"),
    Column("event_type", String(64), nullable=False),
    Column("event_label", String(255), nullable=False),
    Column("event_url", exact_text(), nullable=False),
    Column("event_target", exact_text(), nullable=False),
    Column("first_event", String(32), nullable=False, comment="the client's local time, as sent"),
    Column("last_event", String(32), nullable=False),
    Column("count", BigInteger, nullable=False, comment="since first_event; a resent count is no new one"),
    UniqueConstraint("site_id", "event_key"),
    **OPTIONS,
)

suppression = Table(
    "suppression",
    metadata,
    Column("address_hash", exact(64), primary_key=True, comment="keyed hash of an address that was erased"),
    Column("status", exact(16), nullable=False, comment="what the subscriber's was"),
    Column("security_opted_out_at", UTCDateTime, nullable=True),
    Column("news_opted_out_at", UTCDateTime, nullable=True),
    Column("created_at", UTCDateTime, nullable=False),
    **OPTIONS,
)

confirmation = Table(
    "confirmation",
    metadata,
    Column("subscriber_id", BigInteger, ForeignKey("subscriber.id"), primary_key=True, autoincrement=False),
    Column("requested_at", UTCDateTime, nullable=False, comment="when the suppressed address registered again"),
    Column("lease_until", UTCDateTime, nullable=True, comment="a worker is sending the request until then"),
    Column("sent_at", UTCDateTime, nullable=True),
    Index(None, "sent_at"),
    **OPTIONS,
)

key_check = Table(
    "key_check",
    metadata,
    Column("name", exact(32), primary_key=True),
    Column("fingerprint", exact(64), nullable=False, comment="tells whether the key is still the same one"),
    **OPTIONS,
)

broadcast = Table(
    "broadcast",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("uuid", exact(36), nullable=False, unique=True),
    Column("title", String(255), nullable=False),
    Column("contents", exact_text(), nullable=False),
    Column("content_sha256", exact(64), nullable=False),
    Column("once_key", exact(64), nullable=False, unique=True, comment="the same for a repetition at the same time"),
    Column("source", exact(16), nullable=False, comment="api or board"),
    Column("state", exact(16), nullable=False, comment="draft to done: hostemr.registration.lifecycle"),
    Column("audience", Integer, nullable=False, comment="recipients when it was frozen"),
    Column("created_at", UTCDateTime, nullable=False),
    Column("finished_at", UTCDateTime, nullable=True),
    Column("author", exact_name(254), nullable=True, comment="the member of the board who wrote it"),
    Column("format", exact(16), nullable=False, server_default="text", comment="text, markdown or html"),
    Column("text_part", exact_text(), nullable=True, comment="rendered; NULL until 0002 is contents"),
    Column("html_part", exact_text(), nullable=True, comment="rendered"),
    Column("category", exact(16), nullable=False, server_default="security", comment="security or news"),
    Column("severity", exact(16), nullable=True, comment="critical, high, medium or low"),
    Column("fixed_version", String(64), nullable=True, comment="recorded at this or later: not concerned"),
    Column("fixed_version_order", BigInteger, nullable=True),
    Column("queued_at", UTCDateTime, nullable=True),
    Column("wave", SmallInteger, nullable=False, server_default="1", comment="0: the canary; 1: everyone"),
    Column("canary_until", UTCDateTime, nullable=True, comment="when the canary was sent and is judged"),
    Column("paused_by", exact(16), nullable=True, comment="member, canary, quota, account or content"),
    Column("pause_reason", String(500), nullable=True),
    Column("resume_at", UTCDateTime, nullable=True, comment="a pause that ends by itself"),
    Column("forgiven_delivered", Integer, nullable=False, server_default="0", comment="feedback before a resumption"),
    Column("forgiven_bounced", Integer, nullable=False, server_default="0"),
    Column("forgiven_complained", Integer, nullable=False, server_default="0"),
    Column("forgiven_sent", Integer, nullable=False, server_default="0"),
    Column("forgiven_failed", Integer, nullable=False, server_default="0"),
    Column("review_note", String(500), nullable=True, comment="why it was sent back to its author"),
    Column("overridden_by", exact_name(254), nullable=True, comment="who let it go without approval"),
    Column("override_reason", String(500), nullable=True),
    Column("resend_of", BigInteger, nullable=True, comment="the broadcast whose missed recipients get this one"),
    Column("published", SmallInteger, nullable=False, server_default="1", comment="0: not on the public page"),
    Index(None, "state"),
    Index(None, "resend_of"),
    **OPTIONS,
)

approval = Table(
    "approval",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("broadcast_id", BigInteger, ForeignKey("broadcast.id"), nullable=False),
    Column("content_sha256", exact(64), nullable=False, comment="what was approved; an edit makes another"),
    Column("member", exact_name(254), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    UniqueConstraint("broadcast_id", "content_sha256", "member"),
    **OPTIONS,
)

chunk = Table(
    "chunk",
    metadata,
    Column("broadcast_id", BigInteger, ForeignKey("broadcast.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", exact(16), nullable=False, comment="pending, sending, ambiguous or done"),
    Column("attempts", SmallInteger, nullable=False),
    Column("lease_owner", exact(64), nullable=True),
    Column("lease_until", UTCDateTime, nullable=True),
    Column("wave", SmallInteger, nullable=False, server_default="1", comment="0 is sent first: the canary"),
    Column("due_at", UTCDateTime, nullable=True, comment="not claimed before; NULL is at once"),
    Column("sent", Integer, nullable=False, server_default="0", comment="recipients, as the next ones"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("suppressed", Integer, nullable=False, server_default="0"),
    Column("delivered", Integer, nullable=False, server_default="0", comment="of those sent, as reported"),
    Column("bounced", Integer, nullable=False, server_default="0"),
    Column("complained", Integer, nullable=False, server_default="0"),
    Column("settled_at", UTCDateTime, nullable=True, comment="when it became done; for the rate of sending"),
    Index(None, "state", "lease_until"),
    **OPTIONS,
)

delivery = Table(
    "delivery",
    metadata,
    Column("broadcast_id", BigInteger, ForeignKey("broadcast.id"), primary_key=True),
    Column("subscriber_id", BigInteger, ForeignKey("subscriber.id"), primary_key=True),
    Column("chunk_number", Integer, nullable=False),
    Column("state", exact(16), nullable=False, comment="pending, sent, suppressed or failed"),
    Column("provider_id", exact(128), nullable=True, comment="the sender's name for the message"),
    Column("error", String(255), nullable=True),
    Column("updated_at", UTCDateTime, nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("feedback", exact(16), nullable=True, comment="delivered, soft_bounce, bounced, complained or rejected"),
    Index(None, "broadcast_id", "chunk_number"),
    **OPTIONS,
)

feedback_event = Table(
    "feedback_event",
    metadata,
    Column("message_id", exact(64), primary_key=True, comment="of Amazon SNS; delivered more than once at times"),
    Column("token", exact(32), nullable=False, comment="whose transaction wrote it"),
    Column("received_at", UTCDateTime, nullable=False),
    Index(None, "received_at"),
    **OPTIONS,
)

send_rate = Table(
    "send_rate",
    metadata,
    Column("name", exact(16), primary_key=True),
    Column("ceiling", Double, nullable=False, comment="recipients a second that the account allows"),
    Column("rate", Double, nullable=False, comment="recipients a second at the moment; less after throttling"),
    Column("free_at", Double, nullable=False, comment="seconds since 1970 from when tokens are not taken"),
    Column("changed_at", Double, nullable=False, comment="when the rate was last lowered or raised"),
    Column("checked_at", Double, nullable=False, comment="when the account was last asked"),
    **OPTIONS,
)

board_member = Table(
    "board_member",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("uuid", exact(36), nullable=False, unique=True),
    Column("email", exact(254), nullable=False, comment="what the member signs in with"),
    Column("email_key", exact(254), nullable=False, unique=True, comment="lower-case; what is compared"),
    Column("name", String(120), nullable=False),
    Column("role", exact(16), nullable=False, comment="viewer, author, approver or administrator"),
    Column("status", exact(16), nullable=False, comment="invited, active or disabled"),
    Column("password_hash", exact(255), nullable=True, comment="Argon2id"),
    Column("totp_secret", exact(255), nullable=True, comment="encrypted with a key made of secret_key"),
    Column("totp_step", BigInteger, nullable=True, comment="of the last code used; none counts twice"),
    Column("invitation_hash", exact(64), nullable=True, unique=True, comment="SHA-256 of the link's token"),
    Column("invitation_expires_at", UTCDateTime, nullable=True),
    Column("created_at", UTCDateTime, nullable=False),
    Column("signed_in_at", UTCDateTime, nullable=True),
    **OPTIONS,
)

passkey = Table(
    "passkey",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("member_id", BigInteger, ForeignKey("board_member.id"), nullable=False),
    Column("credential_id", exact(1366), nullable=False, unique=True, comment="base64url"),
    Column("public_key", exact_text(), nullable=False, comment="COSE, base64url"),
    Column("sign_count", BigInteger, nullable=False),
    Column("name", String(120), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("used_at", UTCDateTime, nullable=True),
    Index(None, "member_id"),
    **OPTIONS,
)

recovery_code = Table(
    "recovery_code",
    metadata,
    Column("member_id", BigInteger, ForeignKey("board_member.id"), primary_key=True, autoincrement=False),
    Column("code_hash", exact(64), primary_key=True, comment="keyed hash; the row goes when the code is used"),
    **OPTIONS,
)

passkey_challenge = Table(
    "passkey_challenge",
    metadata,
    Column("uuid", exact(36), primary_key=True),
    Column("purpose", exact(16), nullable=False, comment="sign-in, add or confirm"),
    Column("member_id", BigInteger, nullable=True, comment="NULL until a passkey tells who it is"),
    Column("challenge", exact(128), nullable=False, comment="base64url"),
    Column("expires_at", UTCDateTime, nullable=False),
    Index(None, "expires_at"),
    **OPTIONS,
)

board_session = Table(
    "board_session",
    metadata,
    Column("token_hash", exact(64), primary_key=True, comment="SHA-256 of what the cookie holds"),
    Column("uuid", exact(36), nullable=False, unique=True),
    Column("member_id", BigInteger, ForeignKey("board_member.id"), nullable=False),
    Column("stage", exact(16), nullable=False, comment="second-factor, enrol or full"),
    Column("created_at", UTCDateTime, nullable=False),
    Column("seen_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("confirmed_at", UTCDateTime, nullable=True, comment="when its member last proved to be there"),
    Column("browser", String(255), nullable=False, comment="its User-Agent, for its member to recognise it"),
    Column("notice", String(500), nullable=True, comment="what the next page says was done"),
    Index(None, "member_id"),
    Index(None, "expires_at"),
    **OPTIONS,
)

broadcast_preview = Table(
    "broadcast_preview",
    metadata,
    Column("member_id", BigInteger, ForeignKey("board_member.id"), primary_key=True, autoincrement=False),
    Column("html", exact_text(), nullable=True, comment="NULL for plain text"),
    Column("text", exact_text(), nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    **OPTIONS,
)

audit_entry = Table(
    "audit_entry",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False, comment="1, 2, 3, … without a gap"),
    Column("at", UTCDateTime, nullable=False),
    Column("actor", exact(64), nullable=False, comment="member:ID, command-line, api or service"),
    Column("action", exact(48), nullable=False),
    Column("subject", exact(64), nullable=False, comment="broadcast:UUID, registration:ID, member:ID or empty"),
    Column("details", exact_text(), nullable=False, comment="JSON with sorted keys"),
    Column("previous_hash", exact(64), nullable=False, comment="of the entry before"),
    Column("entry_hash", exact(64), nullable=False, comment="keyed, over all of the above"),
    Index(None, "actor", "number"),
    Index(None, "subject", "number"),
    **OPTIONS,
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("name", exact(16), primary_key=True),
    Column("number", BigInteger, nullable=False, comment="of the newest entry; locked while one is added"),
    Column("entry_hash", exact(64), nullable=False),
    **OPTIONS,
)

board_figure = Table(
    "board_figure",
    metadata,
    Column("name", exact(32), primary_key=True),
    Column("value", exact_text(), nullable=False, comment="JSON"),
    Column("computed_at", UTCDateTime, nullable=False),
    Column("took_seconds", Double, nullable=False),
    **OPTIONS,
)
