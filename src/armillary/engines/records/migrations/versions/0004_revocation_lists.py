# SPDX-License-Identifier: Apache-2.0
"""Revocation lists of authorities."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "revocation_list",
        sa.Column("issuer_serial", sa.String(length=40), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("this_update", sa.BigInteger(), nullable=False),
        sa.Column("next_update", sa.BigInteger(), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["issuer_serial"], ["certificate.serial"], name=op.f("fk_revocation_list_issuer_serial")
        ),
        sa.PrimaryKeyConstraint("issuer_serial", name=op.f("pk_revocation_list")),
    )
