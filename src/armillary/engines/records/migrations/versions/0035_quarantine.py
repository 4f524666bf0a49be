# SPDX-License-Identifier: Apache-2.0
"""Quarantine of devices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Apply."""
    op.add_column("device_status", sa.Column("quarantined_at", sa.BigInteger(), nullable=True))
    op.add_column("device_status", sa.Column("quarantined_until", sa.BigInteger(), nullable=True))
    op.add_column("device_status", sa.Column("quarantine_reason", sa.Text(), nullable=True))
    op.create_index(
        op.f("ix_device_status_quarantined_at"),
        "device_status",
        ["quarantined_at"],
        sqlite_where=sa.text("quarantined_at IS NOT NULL"),
    )
