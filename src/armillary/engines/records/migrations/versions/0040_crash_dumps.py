# SPDX-License-Identifier: Apache-2.0
"""Crash dumps, sealed; the keys of device groups that they are sealed to; what a group collects, and for how long."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    stacks = sa.Column("crash_dump_stacks", sa.String(length=16), server_default="scrubbed", nullable=False)
    op.add_column("device_group", stacks)
    op.add_column("device_group", sa.Column("crash_dump_days", sa.Integer(), server_default="29", nullable=False))
    op.create_table(
        "crash_dump_key",
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("living_group", sa.Uuid(), nullable=True),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_crash_dump_key")),
        sa.UniqueConstraint("living_group", name=op.f("uq_crash_dump_key_living_group")),
    )
    op.create_table(
        "crash_dump",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("dump_id", sa.Uuid(), nullable=False),
        sa.Column("device_number", _NUMBER, nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("crashed_at", sa.BigInteger(), nullable=False),
        sa.Column("component_id", sa.Uuid(), nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("signal", sa.Integer(), nullable=False),
        sa.Column("stack", sa.String(length=16), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_crash_dump_device_number")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_crash_dump")),
        sa.UniqueConstraint("dump_id", name=op.f("uq_crash_dump_dump_id")),
    )
    op.create_index(op.f("ix_crash_dump_catalog_id_number"), "crash_dump", ["catalog_id", "number"])
    op.create_index(op.f("ix_crash_dump_device_number_received_at"), "crash_dump", ["device_number", "received_at"])
    op.create_index(op.f("ix_crash_dump_group_id_received_at"), "crash_dump", ["group_id", "received_at"])
