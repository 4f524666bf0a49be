# SPDX-License-Identifier: Apache-2.0
"""Bridged devices (clients of hawkBit's DDI): what catalogs admit, artifacts, actions and what was said of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    _admissions()
    _devices_and_artifacts()
    _actions()


def _admissions() -> None:
    op.create_table(
        "bridge_admission",
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.String(length=50), nullable=False),
        sa.Column("target_tokens", sa.Boolean(), nullable=False),
        sa.Column("certificates", sa.Boolean(), nullable=False),
        sa.Column("gateway_token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("registers_into", sa.Uuid(), nullable=True),
        sa.Column("polling_s", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_bridge_admission_catalog_id")),
        sa.PrimaryKeyConstraint("catalog_id", name=op.f("pk_bridge_admission")),
        sa.UniqueConstraint("tenant", name=op.f("uq_bridge_admission_tenant")),
    )
    op.create_table(
        "bridge_authority",
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_bridge_authority_catalog_id")),
        sa.PrimaryKeyConstraint("catalog_id", "fingerprint", name=op.f("pk_bridge_authority")),
    )


def _devices_and_artifacts() -> None:
    op.create_table(
        "bridge_device",
        sa.Column("device_number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("controller", sa.String(length=128), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("attributes_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_bridge_device_device_number")),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_bridge_device_catalog_id")),
        sa.PrimaryKeyConstraint("device_number", name=op.f("pk_bridge_device")),
        sa.UniqueConstraint("catalog_id", "controller", name=op.f("uq_bridge_device_catalog_id_controller")),
    )
    op.create_index(op.f("ix_bridge_device_changed_at"), "bridge_device", ["changed_at"])
    op.create_table(
        "bridge_artifact",
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("part", sa.String(length=32), nullable=False),
        sa.Column("filename", sa.String(length=128), nullable=False),
        sa.Column("sha1", sa.LargeBinary(), nullable=False),
        sa.Column("md5", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["catalog_id", "image_id"],
            ["image.catalog_id", "image.image_id"],
            name=op.f("fk_bridge_artifact_catalog_id"),
        ),
        sa.PrimaryKeyConstraint("catalog_id", "image_id", name=op.f("pk_bridge_artifact")),
    )


def _actions() -> None:
    op.create_table(
        "bridge_action",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("device_number", NUMBER, nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("open_device", NUMBER, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("may_repeat", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_bridge_action_device_number")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_bridge_action")),
        sa.UniqueConstraint("open_device", name=op.f("uq_bridge_action_open_device")),
    )
    op.create_index(op.f("ix_bridge_action_device_number_number"), "bridge_action", ["device_number", "number"])
    op.create_table(
        "bridge_status",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("action_number", NUMBER, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("progress", sa.String(length=32), nullable=False),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("messages", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["action_number"], ["bridge_action.number"], name=op.f("fk_bridge_status_action_number")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_bridge_status")),
    )
    op.create_index(op.f("ix_bridge_status_action_number_number"), "bridge_status", ["action_number", "number"])
