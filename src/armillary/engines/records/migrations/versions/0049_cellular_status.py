# SPDX-License-Identifier: Apache-2.0
"""What devices say of their cellular modems: the newest status of each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "cellular_status",
        sa.Column("device_number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sim", sa.Text(), nullable=False),
        sa.Column("registration", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("technology", sa.Text(), nullable=False),
        sa.Column("signal_dbm", sa.Integer(), nullable=True),
        sa.Column("sessions", sa.BigInteger(), nullable=False),
        sa.Column("bytes_received", sa.BigInteger(), nullable=False),
        sa.Column("bytes_sent", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_cellular_status_device_number")),
        sa.PrimaryKeyConstraint("device_number", name=op.f("pk_cellular_status")),
    )
