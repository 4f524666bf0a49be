# SPDX-License-Identifier: Apache-2.0
"""Roll-outs take devices by their place in an order and are planned by counters; catalogs ask for a second person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Apply. What living roll-outs have started stays started: their rows say so, whatever the devices' places are."""
    with op.batch_alter_table("rollout") as rollouts:
        rollouts.add_column(sa.Column("due", sa.BigInteger(), nullable=False, server_default="0"))
        rollouts.add_column(sa.Column("reach", sa.BigInteger(), nullable=False, server_default="-1"))
        rollouts.add_column(sa.Column("by_place", sa.Boolean(), nullable=False, server_default=sa.false()))
        rollouts.add_column(sa.Column("reached_at", sa.BigInteger(), nullable=True))
        rollouts.add_column(sa.Column("release_id", sa.Uuid(), nullable=True))
        rollouts.add_column(sa.Column("feed", sa.String(length=16), nullable=True))
        rollouts.add_column(sa.Column("only_catalog_id", sa.Uuid(), nullable=True))
        rollouts.create_foreign_key(op.f("fk_rollout_release_id"), "os_release", ["release_id"], ["release_id"])
        for name in ("group_id", "deployment_id"):
            rollouts.alter_column(name, existing_type=sa.Uuid(), nullable=True)
    op.add_column("catalog", sa.Column("rollout_approval", sa.Boolean(), nullable=True))
    for columns in (("rollout_id", "cohort", "state", "failure", "finished_at"), ("rollout_id", "state", "started_at")):
        op.create_index(op.f(f"ix_rollout_device_{'_'.join(columns)}"), "rollout_device", list(columns), unique=False)
    op.drop_index(op.f("ix_device_group_id"), table_name="device")
    counted = ["group_id", "revoked_at", "number"]
    op.create_index(op.f(f"ix_device_{'_'.join(counted)}"), "device", counted, unique=False)
