# SPDX-License-Identifier: Apache-2.0
"""What is declared of a product: its support period, since when it is sold, who makes it, for what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Apply. Of products that are there nothing is declared."""
    op.add_column("product", sa.Column("support_ends", sa.BigInteger(), nullable=True))
    op.add_column("product", sa.Column("placed_on_market", sa.BigInteger(), nullable=True))
    for name in ("manufacturer", "contact", "intended_use"):
        op.add_column("product", sa.Column(name, sa.Text(), nullable=False, server_default=""))
