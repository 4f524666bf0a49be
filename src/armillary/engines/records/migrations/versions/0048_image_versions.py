# SPDX-License-Identifier: Apache-2.0
"""Every image has a version, where its vendor said one; until now only files for bridged devices had one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"

_OF_ARTIFACT = (
    "SELECT version FROM bridge_artifact"
    " WHERE bridge_artifact.catalog_id = image.catalog_id AND bridge_artifact.image_id = image.image_id"
)


def upgrade() -> None:
    """Apply: the version of a file for bridged devices is that of its image."""
    with op.batch_alter_table("image") as images:
        images.add_column(sa.Column("version", sa.String(length=64), nullable=False, server_default=""))
    op.execute(sa.text(f"UPDATE image SET version = coalesce(({_OF_ARTIFACT}), '')"))  # noqa: S608 - our own words
    with op.batch_alter_table("bridge_artifact") as artifacts:
        artifacts.drop_column("version")
