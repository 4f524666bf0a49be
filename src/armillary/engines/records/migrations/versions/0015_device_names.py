# SPDX-License-Identifier: Apache-2.0
"""What people call devices, and what such a name is found by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "device_name",
        sa.Column("identity", sa.String(length=128), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_device_name")),
    )
    op.create_table(
        "device_name_word",
        sa.Column("identity", sa.String(length=128), nullable=False),
        sa.Column("tail", sa.Text(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("identity", "tail", name=op.f("pk_device_name_word")),
    )
    op.create_index(op.f("ix_device_name_word_tail"), "device_name_word", ["tail"])
    op.create_index(op.f("ix_device_name_word_catalog_id_tail"), "device_name_word", ["catalog_id", "tail"])
