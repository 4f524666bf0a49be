# SPDX-License-Identifier: Apache-2.0
"""Reference values for machines' firmware, what each device measured last, and an index for a catalog's summary."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from armillary.engines.records.schema.schema import Number

revision = "0009"
down_revision = "0006"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "firmware_statement",
        sa.Column("statement_id", sa.Uuid(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("chip", sa.String(length=32), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("stated_at", sa.BigInteger(), nullable=False),
        sa.Column("stated_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_firmware_statement_catalog_id")),
        sa.PrimaryKeyConstraint("statement_id", name=op.f("pk_firmware_statement")),
    )
    op.create_index(op.f("ix_firmware_statement_catalog_id"), "firmware_statement", ["catalog_id"])
    op.create_table(
        "device_firmware",
        sa.Column("device_number", Number, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_device_firmware_device_number")),
        sa.PrimaryKeyConstraint("device_number", name=op.f("pk_device_firmware")),
    )
    columns = ["catalog_id", "trust_tier", "revoked_at"]
    op.create_index(op.f("ix_device_catalog_id_trust_tier_revoked_at"), "device", columns)
