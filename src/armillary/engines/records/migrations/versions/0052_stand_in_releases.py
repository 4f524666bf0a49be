# SPDX-License-Identifier: Apache-2.0
"""OS releases say whether stand-ins are among their packages, which no machine starts."""

from __future__ import annotations

from uuid import UUID, uuid5

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    """Apply: those of before are told by their image ids, which boot/virtual_chain makes of a release's version.

    That need not be the version of the release that they are in now: packages of another one may have been uploaded for
    it. No release was ever deleted, so that each version for which this service made stand-ins is in the records.
    """
    op.add_column("os_release", sa.Column("is_stand_in", sa.Boolean(), server_default=sa.false(), nullable=False))
    connection = op.get_bind()
    versions = connection.scalars(sa.text("SELECT DISTINCT version FROM os_release")).all()
    components = connection.execute(
        sa.text(
            "SELECT r.release_id, c.component_id, c.image_id FROM os_release r"
            " JOIN os_component c ON c.release_id = r.release_id WHERE r.imported_from IS NULL"
        )
    ).all()
    # A chip has a few components, each with an id of its own: a second for 10,000 versions of 40 of them.
    made = {uuid5(UUID(one), version).hex for one in {row.component_id for row in components} for version in versions}
    stand_ins = {row.release_id for row in components if row.image_id in made}
    for release_id in stand_ins:
        connection.execute(
            sa.text("UPDATE os_release SET is_stand_in = :yes WHERE release_id = :release_id"),
            {"yes": True, "release_id": release_id},
        )
