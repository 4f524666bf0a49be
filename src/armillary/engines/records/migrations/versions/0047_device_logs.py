# SPDX-License-Identifier: Apache-2.0
"""Logs that devices were asked for: the request that waits, and the newest answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "device_log_request",
        sa.Column("device_number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_device_log_request_device_number")),
        sa.PrimaryKeyConstraint("device_number", name=op.f("pk_device_log_request")),
        sa.UniqueConstraint("request_id", name=op.f("uq_device_log_request_request_id")),
    )
    op.create_index(op.f("ix_device_log_request_ends_at"), "device_log_request", ["ends_at"])
    op.create_table(
        "device_log",
        sa.Column("device_number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=False),
        sa.Column("kept_until", sa.BigInteger(), nullable=False),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_device_log_device_number")),
        sa.PrimaryKeyConstraint("device_number", name=op.f("pk_device_log")),
    )
    op.create_index(op.f("ix_device_log_kept_until"), "device_log", ["kept_until"])
