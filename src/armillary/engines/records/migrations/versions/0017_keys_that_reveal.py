# SPDX-License-Identifier: Apache-2.0
"""Service keys whose bearer sees the symmetric keys of devices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Apply: no key that is there does."""
    with op.batch_alter_table("hub_service_key") as keys:
        keys.add_column(sa.Column("reveals_keys", sa.Boolean(), nullable=False, server_default=sa.false()))
