# SPDX-License-Identifier: Apache-2.0
"""Views of tables that people save, the columns that they choose; the audit log by who and what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "table_view",
        sa.Column("view_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("view_id", name=op.f("pk_table_view")),
        sa.UniqueConstraint(
            "owner", "scope", "place", "name_key", name=op.f("uq_table_view_owner_scope_place_name_key")
        ),
    )
    op.create_table(
        "table_columns",
        sa.Column("owner", sa.Uuid(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "place", name=op.f("pk_table_columns")),
    )
    op.create_index(op.f("ix_audit_line_actor_number"), "audit_line", ["actor", "number"])
    op.create_index(op.f("ix_audit_line_operation_number"), "audit_line", ["operation", "number"])
