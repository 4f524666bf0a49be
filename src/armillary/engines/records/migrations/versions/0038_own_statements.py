# SPDX-License-Identifier: Apache-2.0
"""VEX statements of operators; since when a device has its software, and what it had before."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply. Of devices that have software already it is noted that they have it now, once for all of them."""
    op.create_table(
        "own_statement",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("statement_id", sa.Uuid(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=True),
        sa.Column("vulnerability", sa.String(length=128), nullable=False),
        sa.Column("stated_at", sa.BigInteger(), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("taken_back_at", sa.BigInteger(), nullable=True),
        sa.Column("taken_back_by", sa.Text(), nullable=True),
        sa.Column("taken_back_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_own_statement")),
        sa.UniqueConstraint("statement_id", name=op.f("uq_own_statement_statement_id")),
    )
    op.create_index(op.f("ix_own_statement_vulnerability"), "own_statement", ["vulnerability"])
    op.create_index(op.f("ix_own_statement_catalog_id_number"), "own_statement", ["catalog_id", "number"])
    op.create_table(
        "software_past",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("device_number", _NUMBER, nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("set_id", _NUMBER, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_software_past_device_number")),
        sa.ForeignKeyConstraint(["set_id"], ["software_set.set_id"], name=op.f("fk_software_past_set_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_software_past")),
    )
    op.create_index(op.f("ix_software_past_until"), "software_past", ["until"])
    op.create_index(op.f("ix_software_past_set_id"), "software_past", ["set_id"])
    op.create_index(op.f("ix_software_past_device_number_until"), "software_past", ["device_number", "until"])
    op.add_column("device_software", sa.Column("since", sa.BigInteger(), nullable=True))
    op.execute(
        sa.text("INSERT INTO watch_position (source, number) VALUES ('software-noted', :now)").bindparams(
            now=int(time.time())
        )
    )
