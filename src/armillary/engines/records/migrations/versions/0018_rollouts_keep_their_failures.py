# SPDX-License-Identifier: Apache-2.0
"""A roll-out keeps which devices failed and what happened to it, also after it was rolled back."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_EVENTS = ("hold", "resume", "roll-back", "restored", "finish", "cancel")


def upgrade() -> None:
    """Apply. What happened is in the audit log; who failed and was restored is in what the devices reported."""
    with op.batch_alter_table("rollout") as rollouts:
        rollouts.add_column(sa.Column("history", sa.Text(), nullable=True))
    with op.batch_alter_table("rollout_device") as devices:
        devices.add_column(sa.Column("failure", sa.String(length=16), nullable=True))
    connection = op.get_bind()
    connection.execute(
        sa.text("UPDATE rollout_device SET failure = state WHERE state IN ('reverted', 'failed', 'timed-out')")
    )
    # The last word of a device about the deployment: it went back although it was never confirmed.
    last = (
        "SELECT outcome.{} FROM outcome JOIN rollout ON rollout.deployment_id = outcome.deployment_id"
        " WHERE rollout.rollout_id = rollout_device.rollout_id AND outcome.device_number = rollout_device.device_number"
        " ORDER BY outcome.number DESC LIMIT 1"
    )
    connection.execute(
        sa.text(
            f"UPDATE rollout_device SET failure = ({last.format('outcome')}), reason = ({last.format('reason')})"  # noqa: S608 - fixed names
            f" WHERE state = 'restored' AND ({last.format('outcome')}) IN ('reverted', 'failed')"
        )
    )
    for name in connection.execute(sa.text("SELECT rollout_id FROM rollout")).scalars().all():
        _tell(connection, name)


def _tell(connection: sa.Connection, name: Any) -> None:
    lines = connection.execute(
        sa.text("SELECT at, actor, operation, detail FROM audit_line WHERE target = :target ORDER BY number"),
        {"target": str(UUID(str(name)))},
    )
    told = [
        {
            "at": line.at,
            "actor": line.actor,
            "event": line.operation.removeprefix("rollout."),
            "reason": json.loads(line.detail).get("reason", ""),
            "finding_id": None,
        }
        for line in lines
        if line.operation.removeprefix("rollout.") in _EVENTS
    ]
    connection.execute(
        sa.text("UPDATE rollout SET history = :history WHERE rollout_id = :name"),
        {"history": json.dumps(told), "name": name},
    )
