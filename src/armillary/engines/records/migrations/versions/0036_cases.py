# SPDX-License-Identifier: Apache-2.0
"""Cases that must be reported to authorities, with their entries; dossiers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "reported_case",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=True),
        sa.Column("product_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_reported_case")),
        sa.UniqueConstraint("case_id", name=op.f("uq_reported_case_case_id")),
    )
    op.create_index(op.f("ix_reported_case_catalog_id"), "reported_case", ["catalog_id"])
    op.create_index(op.f("ix_reported_case_closed_at"), "reported_case", ["closed_at"])
    op.create_table(
        "reported_case_entry",
        sa.Column("case_number", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("stated_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("subject", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["case_number"], ["reported_case.number"], name=op.f("fk_reported_case_entry_case_number")
        ),
        sa.PrimaryKeyConstraint("case_number", "number", name=op.f("pk_reported_case_entry")),
    )
    op.create_table(
        "dossier",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("dossier_id", sa.Uuid(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=True),
        sa.Column("product", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("states", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_dossier")),
        sa.UniqueConstraint("dossier_id", name=op.f("uq_dossier_dossier_id")),
    )
    op.create_index(op.f("ix_dossier_catalog_id"), "dossier", ["catalog_id"])
    op.create_index(op.f("ix_dossier_sha256"), "dossier", ["sha256"])
