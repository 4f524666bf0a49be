# SPDX-License-Identifier: Apache-2.0
"""OS releases say whether stand-ins are among their packages, which no machine starts."""

from __future__ import annotations

from uuid import UUID, uuid5

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    """Apply: those of before are told by their image ids, which boot/virtual_chain makes of the release's version."""
    op.add_column("os_release", sa.Column("is_stand_in", sa.Boolean(), server_default=sa.false(), nullable=False))
    connection = op.get_bind()
    components = connection.execute(
        sa.text(
            "SELECT r.release_id, r.version, c.component_id, c.image_id FROM os_release r"
            " JOIN os_component c ON c.release_id = r.release_id WHERE r.imported_from IS NULL"
        )
    ).all()
    stand_ins = {
        row.release_id for row in components if uuid5(UUID(row.component_id), row.version) == UUID(row.image_id)
    }
    for release_id in stand_ins:
        connection.execute(
            sa.text("UPDATE os_release SET is_stand_in = :yes WHERE release_id = :release_id"),
            {"yes": True, "release_id": release_id},
        )
