"""${message}

A revision must
- run again after it was stopped half-way (`if_not_exists`, `if_exists`): MySQL commits each statement;
- leave the previous version of hostemr able to work, since both run during an upgrade;
- state its own tables in full: what stands in schema.py today may change tomorrow.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
