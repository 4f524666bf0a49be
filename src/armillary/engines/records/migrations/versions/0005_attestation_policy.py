# SPDX-License-Identifier: Apache-2.0
"""Attestation policies of catalogs; the end of a release, its withdrawal, and where an imported one came from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply."""
    op.add_column("os_release", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.add_column("os_release", sa.Column("withdrawn_at", sa.BigInteger(), nullable=True))
    op.add_column("os_release", sa.Column("withdrawn_reason", sa.Text(), nullable=True))
    op.add_column("os_release", sa.Column("imported_from", sa.Text(), nullable=True))
    op.create_table(
        "attestation_policy",
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_attestation_policy_catalog_id")),
        sa.PrimaryKeyConstraint("catalog_id", "version", name=op.f("pk_attestation_policy")),
    )
