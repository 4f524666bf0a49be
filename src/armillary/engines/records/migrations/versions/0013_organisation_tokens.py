# SPDX-License-Identifier: Apache-2.0
"""Operator tokens of one organisation inside a catalog."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("token") as batch_op:
        batch_op.add_column(sa.Column("organisation", sa.String(length=128), nullable=True))
