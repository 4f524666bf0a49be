# SPDX-License-Identifier: Apache-2.0
"""When devices update and what of: schedules of groups, update status, check now, drafts of releases, SBOMs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Apply: every group has the default schedule, which is to update at any time; no release is a draft."""
    op.create_table(
        "update_schedule",
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("check_interval_s", sa.Integer(), nullable=True),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("windows", sa.Text(), nullable=False),
        sa.Column("max_deferral_s", sa.Integer(), nullable=False),
        sa.Column("urgent_until", sa.BigInteger(), nullable=True),
        sa.Column("urgent_reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["device_group.group_id"], name=op.f("fk_update_schedule_group_id")),
        sa.PrimaryKeyConstraint("group_id", name=op.f("pk_update_schedule")),
    )
    with op.batch_alter_table("device_status") as statuses:
        statuses.add_column(sa.Column("update_status", sa.Text(), nullable=True))
    with op.batch_alter_table("device") as devices:
        devices.add_column(sa.Column("check_now_at", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("os_release") as releases:
        releases.add_column(sa.Column("os_abi", sa.Integer(), nullable=False, server_default="0"))
        releases.add_column(sa.Column("signed_at", sa.BigInteger(), nullable=True))
        releases.add_column(sa.Column("published_at", sa.BigInteger(), nullable=True))
    op.execute(sa.text("UPDATE os_release SET published_at = created_at"))
    op.execute(sa.text("UPDATE os_release SET signed_at = created_at WHERE imported_from IS NULL"))
    op.create_table(
        "bill_of_materials",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=True),
        sa.Column("catalog_id", sa.Uuid(), nullable=True),
        sa.Column("image_id", sa.Uuid(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("spec_version", sa.String(length=8), nullable=False),
        sa.Column("components", sa.Integer(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["catalog_id", "image_id"],
            ["image.catalog_id", "image.image_id"],
            name=op.f("fk_bill_of_materials_catalog_id"),
        ),
        sa.ForeignKeyConstraint(
            ["release_id"], ["os_release.release_id"], name=op.f("fk_bill_of_materials_release_id")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_bill_of_materials")),
        sa.UniqueConstraint("catalog_id", "image_id", name=op.f("uq_bill_of_materials_catalog_id")),
        sa.UniqueConstraint("release_id", name=op.f("uq_bill_of_materials_release_id")),
    )
