# SPDX-License-Identifier: Apache-2.0
"""An image is one of its catalog: several catalogs may have the same vendor's package."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("image", recreate="always") as images:
        images.drop_constraint("pk_image", type_="primary")
        images.create_primary_key("pk_image", ["catalog_id", "image_id"])
    with op.batch_alter_table("deployment_image") as parts:
        parts.add_column(sa.Column("catalog_id", sa.Uuid(), nullable=True))
    # Until now an id was of one image, so its catalog is the deployment's.
    op.execute(
        "UPDATE deployment_image SET catalog_id ="
        " (SELECT image.catalog_id FROM image WHERE image.image_id = deployment_image.image_id)"
    )
    with op.batch_alter_table("deployment_image", recreate="always") as parts:
        parts.alter_column("catalog_id", existing_type=sa.Uuid(), nullable=False)
        parts.drop_index("ix_deployment_image_image_id")
        parts.drop_constraint("fk_deployment_image_image_id", type_="foreignkey")
        parts.create_foreign_key(
            "fk_deployment_image_catalog_id",
            "image",
            ["catalog_id", "image_id"],
            ["catalog_id", "image_id"],
        )
        parts.create_index("ix_deployment_image_catalog_id_image_id", ["catalog_id", "image_id"])
