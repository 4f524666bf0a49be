# SPDX-License-Identifier: Apache-2.0
"""Notification channels and their outbox; which advisory a finding is about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.add_column("finding", sa.Column("advisory_id", sa.String(length=128), nullable=True))
    _channels()
    op.create_table(
        "notification_event",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_notification_event")),
    )
    op.create_table(
        "notification_delivery",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("channel_number", _NUMBER, nullable=False),
        sa.Column("event_number", _NUMBER, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_number"], ["notification_channel.number"], name=op.f("fk_notification_delivery_channel_number")
        ),
        sa.ForeignKeyConstraint(
            ["event_number"], ["notification_event.number"], name=op.f("fk_notification_delivery_event_number")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_notification_delivery")),
    )
    op.create_index(op.f("ix_notification_delivery_event_number"), "notification_delivery", ["event_number"])
    op.create_index(
        op.f("ix_notification_delivery_channel_number_state_number"),
        "notification_delivery",
        ["channel_number", "state", "number"],
    )


def _channels() -> None:
    op.create_table(
        "notification_channel",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=True),
        sa.Column("owner", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("name_key", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("topics", sa.Text(), nullable=False),
        sa.Column("finding_kinds", sa.Text(), nullable=False),
        sa.Column("min_severity", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("sequence", "waiting", "delivered", "given_up", "dropped")
        ),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_notification_channel_catalog_id")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_notification_channel")),
        sa.UniqueConstraint("channel_id", name=op.f("uq_notification_channel_channel_id")),
        sa.UniqueConstraint("owner", "name_key", name=op.f("uq_notification_channel_owner_name_key")),
    )
    op.create_index(op.f("ix_notification_channel_catalog_id"), "notification_channel", ["catalog_id"])
