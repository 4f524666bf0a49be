# SPDX-License-Identifier: Apache-2.0
"""OS releases are in the order in which they were published, not in that of the seconds when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"


def upgrade() -> None:
    """Apply: those of before keep the order that they had, by second and then by version."""
    op.add_column("os_release", sa.Column("publication", sa.BigInteger(), nullable=True))
    connection = op.get_bind()
    published = connection.execute(
        sa.text("SELECT release_id FROM os_release WHERE published_at IS NOT NULL ORDER BY published_at, chip, version")
    )
    for number, row in enumerate(published.all(), 1):
        connection.execute(
            sa.text("UPDATE os_release SET publication = :number WHERE release_id = :release_id"),
            {"number": number, "release_id": row.release_id},
        )
    op.create_index(op.f("ix_os_release_publication"), "os_release", ["publication"], unique=True)
