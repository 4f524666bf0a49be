# SPDX-License-Identifier: Apache-2.0
"""What each device has fetched of what it was offered, as far as the service has sent it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "device_fetch",
        sa.Column("device_number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("check_in", sa.String(length=40), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_device_fetch_device_number")),
        sa.PrimaryKeyConstraint("device_number", name=op.f("pk_device_fetch")),
    )
