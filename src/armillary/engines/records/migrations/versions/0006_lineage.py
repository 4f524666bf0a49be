# SPDX-License-Identifier: Apache-2.0
"""What the last proof of a device showed of an earlier reply, and since when the device is held."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Apply."""
    op.add_column("device_status", sa.Column("lineage", sa.String(length=40), nullable=True))
    op.add_column("device_status", sa.Column("held_at", sa.BigInteger(), nullable=True))
