# SPDX-License-Identifier: Apache-2.0
"""Crash groups over images and devices, the captured crash of an error report, and symbols by build id."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.add_column("error_report", sa.Column("crash", sa.LargeBinary(), nullable=True))
    op.add_column("error_report", sa.Column("crash_group", _NUMBER, nullable=True))
    op.create_index(
        op.f("ix_error_report_crash_group_number"),
        "error_report",
        ["crash_group", "number"],
        sqlite_where=sa.text("crash_group IS NOT NULL"),
    )
    op.create_table(
        "crash_group",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("grouping_version", sa.Integer(), nullable=False),
        sa.Column("basis", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.String(length=64), nullable=False),
        sa.Column("places", sa.Text(), nullable=False),
        sa.Column("component_id", sa.Uuid(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("devices", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_crash_group_catalog_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_crash_group")),
        sa.UniqueConstraint("catalog_id", "fingerprint", name=op.f("uq_crash_group_catalog_id_fingerprint")),
    )
    _where_seen()
    op.create_table(
        "symbol_list",
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("build_id", sa.String(length=128), nullable=False),
        sa.Column("machine", sa.String(length=20), nullable=False),
        sa.Column("functions", sa.Integer(), nullable=False),
        sa.Column("uploaded_at", sa.BigInteger(), nullable=False),
        sa.Column("uploaded_by", sa.Text(), nullable=False),
        sa.Column("symbols", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_symbol_list_catalog_id")),
        sa.PrimaryKeyConstraint("catalog_id", "build_id", name=op.f("pk_symbol_list")),
    )


def _where_seen() -> None:
    op.create_table(
        "crash_group_image",
        sa.Column("group_number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_number"], ["crash_group.number"], name=op.f("fk_crash_group_image_group_number")
        ),
        sa.PrimaryKeyConstraint("group_number", "image_id", name=op.f("pk_crash_group_image")),
    )
    op.create_table(
        "crash_group_device",
        sa.Column("device_number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("group_number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_crash_group_device_device_number")),
        sa.ForeignKeyConstraint(
            ["group_number"], ["crash_group.number"], name=op.f("fk_crash_group_device_group_number")
        ),
        sa.PrimaryKeyConstraint("device_number", "group_number", name=op.f("pk_crash_group_device")),
    )
    op.create_index(op.f("ix_crash_group_device_group_number"), "crash_group_device", ["group_number"])
