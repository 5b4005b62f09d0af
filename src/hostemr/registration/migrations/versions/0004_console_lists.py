"""What the console's lists are found by: the mail that an address gets, its domain, version and distribution."""

from __future__ import annotations

import sqlalchemy as sa

from hostemr.registration.column_types import exact
from hostemr.registration.migrations.resumable import add_columns, create_index

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MAILING = """
CASE WHEN status = 'bounced' AND soft_bounces > 0 THEN 'soft_bounced'
WHEN status <> 'active' THEN status
WHEN security_opted_out_at IS NOT NULL AND news_opted_out_at IS NOT NULL THEN 'opted_out'
WHEN security_opted_out_at IS NOT NULL THEN 'no_security'
WHEN news_opted_out_at IS NOT NULL THEN 'no_news'
ELSE 'active' END
"""
DOMAIN = "substr(email_key, instr(email_key, '@') + 1)"


def upgrade() -> None:
    # Virtual: neither a row of the table is rewritten now, nor is anything to be kept up to date later.
    add_columns(
        "subscriber",
        sa.Column("mailing", exact(16), sa.Computed(MAILING, persisted=False), comment="what mail is sent, in a word"),
        sa.Column("email_domain", exact(254), sa.Computed(DOMAIN, persisted=False), comment="after the @"),
    )
    create_index("subscriber", "mailing")
    create_index("subscriber", "email_domain")
    create_index("installation", "version_order", "subscriber_id")
    create_index("installation", "distribution", "subscriber_id")
