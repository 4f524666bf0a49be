# SPDX-License-Identifier: Apache-2.0
"""The version of the last directive of each device."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Apply; no device has been given one."""
    op.create_table(
        "device_directive",
        sa.Column("device_number", sa.Integer(), sa.ForeignKey("device.number"), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device_number"),
    )
