# SPDX-License-Identifier: Apache-2.0
"""A roll-out of applications has several device groups where its rings name them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Apply. Roll-outs of before have the one group in their row."""
    op.create_table(
        "rollout_group",
        sa.Column("rollout_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("previous_deployment_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollout.rollout_id"], name=op.f("fk_rollout_group_rollout_id")),
        sa.ForeignKeyConstraint(["group_id"], ["device_group.group_id"], name=op.f("fk_rollout_group_group_id")),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.deployment_id"], name=op.f("fk_rollout_group_deployment_id")
        ),
        sa.PrimaryKeyConstraint("rollout_id", "group_id", name=op.f("pk_rollout_group")),
    )
    for column in ("group_id", "deployment_id"):
        op.create_index(op.f(f"ix_rollout_group_{column}"), "rollout_group", [column], unique=False)
