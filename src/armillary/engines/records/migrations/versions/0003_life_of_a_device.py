# SPDX-License-Identifier: Apache-2.0
"""Enrolment tokens, decommissioned devices, transfers between catalogs, operator tokens of one catalog."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from armillary.engines.records.schema.schema import Number

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply."""
    op.add_column("device", sa.Column("decommissioned_at", sa.BigInteger(), nullable=True))
    op.add_column("device", sa.Column("reprovision_until", sa.BigInteger(), nullable=True))
    op.add_column("token", sa.Column("catalog_id", sa.Uuid(), nullable=True))
    op.create_table(
        "enrolment_token",
        sa.Column("token_id", sa.Uuid(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("chip", sa.String(length=32), nullable=False),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_enrolment_token")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_enrolment_token_secret_hash")),
    )
    op.create_index(op.f("ix_enrolment_token_catalog_id"), "enrolment_token", ["catalog_id"])
    op.create_table(
        "enrolment",
        sa.Column("token_id", sa.Uuid(), nullable=False),
        sa.Column("device_number", Number, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_enrolment_device_number")),
        sa.ForeignKeyConstraint(["token_id"], ["enrolment_token.token_id"], name=op.f("fk_enrolment_token_id")),
        sa.PrimaryKeyConstraint("token_id", "device_number", name=op.f("pk_enrolment")),
    )
    op.create_table(
        "transfer",
        sa.Column("number", Number, autoincrement=True, nullable=False),
        sa.Column("transfer_id", sa.Uuid(), nullable=False),
        sa.Column("device_number", Number, nullable=False),
        sa.Column("open_device", Number, nullable=True),
        sa.Column("from_catalog_id", sa.Uuid(), nullable=False),
        sa.Column("to_catalog_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("settled_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_transfer_device_number")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_transfer")),
        sa.UniqueConstraint("transfer_id", name=op.f("uq_transfer_transfer_id")),
        sa.UniqueConstraint("open_device", name=op.f("uq_transfer_open_device")),
    )
    op.create_index(op.f("ix_transfer_from_catalog_id"), "transfer", ["from_catalog_id"])
    op.create_index(op.f("ix_transfer_to_catalog_id"), "transfer", ["to_catalog_id"])
