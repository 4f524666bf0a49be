# SPDX-License-Identifier: Apache-2.0
"""How strangers report vulnerabilities, their reports, sealed, and what was done about each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    """Apply. Nothing is published until somebody says so."""
    op.create_table(
        "disclosure_policy",
        sa.Column("policy_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("policy_id", name=op.f("pk_disclosure_policy")),
    )
    op.create_table(
        "vulnerability_report",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("reference", sa.String(length=32), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=True),
        sa.Column("product_id", sa.Uuid(), nullable=True),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_vulnerability_report")),
        sa.UniqueConstraint("reference", name=op.f("uq_vulnerability_report_reference")),
    )
    op.create_index(op.f("ix_vulnerability_report_catalog_id"), "vulnerability_report", ["catalog_id"])
    op.create_index(op.f("ix_vulnerability_report_state_number"), "vulnerability_report", ["state", "number"])
    op.create_table(
        "vulnerability_report_entry",
        sa.Column("report_number", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["report_number"],
            ["vulnerability_report.number"],
            name=op.f("fk_vulnerability_report_entry_report_number_vulnerability_report"),
        ),
        sa.PrimaryKeyConstraint("report_number", "number", name=op.f("pk_vulnerability_report_entry")),
    )
