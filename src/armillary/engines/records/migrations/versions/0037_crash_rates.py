# SPDX-License-Identifier: Apache-2.0
"""Crash rates of roll-outs: the evidence of each, and how often devices crashed since it runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """Apply. Roll-outs under way begin to count now."""
    op.create_table(
        "rollout_evidence",
        sa.Column("rollout_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollout.rollout_id"], name=op.f("fk_rollout_evidence_rollout_id")),
        sa.PrimaryKeyConstraint("rollout_id", name=op.f("pk_rollout_evidence")),
    )
    op.create_table(
        "rollout_crash",
        sa.Column("rollout_id", sa.Uuid(), nullable=False),
        sa.Column(
            "device_number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("crashes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_rollout_crash_device_number")),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollout.rollout_id"], name=op.f("fk_rollout_crash_rollout_id")),
        sa.PrimaryKeyConstraint("rollout_id", "device_number", name=op.f("pk_rollout_crash")),
    )
