# SPDX-License-Identifier: Apache-2.0
"""What runs where, by sets of software; in which country a device group is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "software_move",
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("from_set", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("to_set", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("devices", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("at", "group_id", "from_set", "to_set", name=op.f("pk_software_move")),
    )
    op.create_index(op.f("ix_software_move_from_set_at"), "software_move", ["from_set", "at"], unique=False)
    op.create_index(op.f("ix_software_move_to_set_at"), "software_move", ["to_set", "at"], unique=False)
    op.create_table(
        "software_set",
        sa.Column("set_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("attested", sa.Boolean(), nullable=False),
        sa.Column("chip", sa.String(length=32), nullable=False),
        sa.Column("os_version", sa.String(length=64), nullable=False),
        sa.Column("installed", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("set_id", name=op.f("pk_software_set")),
        sa.UniqueConstraint("digest", name=op.f("uq_software_set_digest")),
    )
    op.create_index(op.f("ix_software_set_chip_os_version"), "software_set", ["chip", "os_version"], unique=False)
    op.create_table(
        "software_count",
        sa.Column("set_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("devices", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["set_id"], ["software_set.set_id"], name=op.f("fk_software_count_set_id")),
        sa.PrimaryKeyConstraint("set_id", "group_id", name=op.f("pk_software_count")),
    )
    op.create_table(
        "software_part",
        sa.Column("set_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["set_id"], ["software_set.set_id"], name=op.f("fk_software_part_set_id")),
        sa.PrimaryKeyConstraint("image_id", "set_id", name=op.f("pk_software_part")),
    )
    op.create_index(op.f("ix_software_part_set_id"), "software_part", ["set_id"], unique=False)
    op.create_table(
        "device_software",
        sa.Column(
            "device_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("set_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_device_software_device_number")),
        sa.ForeignKeyConstraint(["set_id"], ["software_set.set_id"], name=op.f("fk_device_software_set_id")),
        sa.PrimaryKeyConstraint("device_number", name=op.f("pk_device_software")),
    )
    op.create_index(
        op.f("ix_device_software_set_id_group_id_device_number"),
        "device_software",
        ["set_id", "group_id", "device_number"],
        unique=False,
    )
    op.create_index(op.f("ix_bill_of_materials_sha256"), "bill_of_materials", ["sha256"], unique=False)
    op.add_column("device_group", sa.Column("country", sa.String(length=2), server_default="", nullable=False))
