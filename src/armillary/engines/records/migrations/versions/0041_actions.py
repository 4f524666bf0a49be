# SPDX-License-Identifier: Apache-2.0
"""Actions, the devices that they touch, playbooks, and roll-outs to the devices of an action alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.add_column("rollout", sa.Column("action_id", sa.Uuid(), nullable=True))
    _actions()
    op.create_table(
        "playbook_setting",
        sa.Column("owner", sa.String(length=36), nullable=False),
        sa.Column("playbook", sa.String(length=64), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "playbook", name=op.f("pk_playbook_setting")),
    )
    op.create_table(
        "playbook_run",
        sa.Column("playbook", sa.String(length=64), nullable=False),
        sa.Column("finding_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("playbook", "finding_id", name=op.f("pk_playbook_run")),
    )
    op.create_index(op.f("ix_playbook_run_finding_id"), "playbook_run", ["finding_id"])
    op.create_table(
        "action_approval",
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("second_person_above", sa.Integer(), nullable=False),
        sa.Column("expires_after_s", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("catalog_id", name=op.f("pk_action_approval")),
    )


def _actions() -> None:
    op.create_table(
        "action",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("action_id", sa.Uuid(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("playbook", sa.String(length=64), nullable=False),
        sa.Column("finding_id", sa.Uuid(), nullable=True),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("devices", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("skipped", sa.BigInteger(), nullable=False),
        sa.Column("undone", sa.BigInteger(), nullable=False),
        sa.Column("is_capped", sa.Boolean(), nullable=False),
        sa.Column("effects", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_action")),
        sa.UniqueConstraint("action_id", name=op.f("uq_action_action_id")),
    )
    op.create_index(op.f("ix_action_catalog_id"), "action", ["catalog_id"])
    op.create_index(op.f("ix_action_state"), "action", ["state"])
    op.create_table(
        "action_device",
        sa.Column("action_id", sa.Uuid(), nullable=False),
        sa.Column("device_number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("is_counted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("action_id", "device_number", name=op.f("pk_action_device")),
    )
    op.create_index(
        op.f("ix_action_device_action_id_state_device_number"), "action_device", ["action_id", "state", "device_number"]
    )
    op.create_index(op.f("ix_action_device_done_at"), "action_device", ["done_at"])
    op.create_index(op.f("ix_action_device_device_number"), "action_device", ["device_number"])
