# SPDX-License-Identifier: Apache-2.0
"""Spent challenges are unique by when they end and their id: in that order new ones stand together."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("check_in") as batch_op:
        batch_op.drop_constraint("uq_check_in_challenge_id", type_="unique")
        batch_op.create_unique_constraint(
            batch_op.f("uq_check_in_challenge_expires_at_challenge_id"), ["challenge_expires_at", "challenge_id"]
        )
