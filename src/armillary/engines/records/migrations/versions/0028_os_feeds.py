# SPDX-License-Identifier: Apache-2.0
"""OS feeds that operators make, beside the two that are there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "os_feed",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("follows", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_os_feed")),
    )
