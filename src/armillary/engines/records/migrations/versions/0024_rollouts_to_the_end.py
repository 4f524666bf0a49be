# SPDX-License-Identifier: Apache-2.0
"""Devices of a roll-out are timed from when they may begin; a completed OS roll-out knows its release's feed before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

_LATE = ["rollout_id", "state", "timed_from"]


def upgrade() -> None:
    """Apply. What has started is timed from its start, as it was; what was completed came from the evaluation feed."""
    op.drop_index(op.f("ix_rollout_device_rollout_id_state_started_at"), table_name="rollout_device")
    with op.batch_alter_table("rollout_device") as devices:
        devices.add_column(sa.Column("timed_from", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(sa.text("UPDATE rollout_device SET timed_from = started_at"))
    with op.batch_alter_table("rollout") as rollouts:
        rollouts.add_column(sa.Column("from_feed", sa.String(length=16), nullable=True))
    op.execute(
        sa.text("UPDATE rollout SET from_feed = 'RetailEval' WHERE release_id IS NOT NULL AND state = 'completed'")
    )
    op.create_index(op.f(f"ix_rollout_device_{'_'.join(_LATE)}"), "rollout_device", _LATE, unique=False)
