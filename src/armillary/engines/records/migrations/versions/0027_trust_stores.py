# SPDX-License-Identifier: Apache-2.0
"""Trusted key stores and certificate stores, and by which certificate's key images and releases are signed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

_SIGNER = "coalesce((SELECT serial FROM certificate WHERE kind = '{}' ORDER BY issued_at LIMIT 1), '')"


def upgrade() -> None:
    """Apply: until now a service had one key for the OS and one for images. Its first stores are made at its start."""
    op.create_table(
        "trust_store",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("trusted", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("in_force_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("kind", "number", name=op.f("pk_trust_store")),
    )
    op.create_table(
        "trust_package",
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("signed_by", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["kind", "number"], ["trust_store.kind", "trust_store.number"], name=op.f("fk_trust_package_kind")
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_trust_package")),
    )
    for table in ("image", "os_release"):
        with op.batch_alter_table(table) as changed:
            changed.add_column(sa.Column("signer", sa.String(length=40), nullable=False, server_default=""))
    op.execute(sa.text(f"UPDATE image SET signer = {_SIGNER.format('image-signing')}"))  # noqa: S608 - our own words
    signed = "WHERE signed_at IS NOT NULL"
    op.execute(sa.text(f"UPDATE os_release SET signer = {_SIGNER.format('os-signing')} {signed}"))  # noqa: S608 - as above
