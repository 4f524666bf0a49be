# SPDX-License-Identifier: Apache-2.0
"""People as each catalog knows them, so that its own administrators can invite and end them."""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0044"


def upgrade() -> None:
    """Apply; whoever is granted something in a catalog is known there from now on."""
    op.add_column("person", sa.Column("invited_for", sa.Uuid(), nullable=True))
    made = op.create_table(
        "catalog_person",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("known_as", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("acted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.person_id"], name=op.f("fk_catalog_person_person_id")),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_catalog_person")),
        sa.UniqueConstraint("catalog_id", "person_id", name=op.f("uq_catalog_person_catalog_id_person_id")),
    )
    op.create_index(op.f("ix_catalog_person_person_id"), "catalog_person", ["person_id"])
    connection = op.get_bind()
    person = sa.table("person", sa.column("person_id", sa.Uuid()), sa.column("login", sa.Text()))
    grant = sa.table(
        "person_grant",
        sa.column("person_id", sa.Uuid()),
        sa.column("catalog_id", sa.Uuid()),
        sa.column("created_at", sa.BigInteger()),
        sa.column("created_by", sa.Text()),
    )
    oldest_first = (
        sa.select(grant, person.c.login)
        .join(person, person.c.person_id == grant.c.person_id)
        .where(grant.c.catalog_id.is_not(None))
        .order_by(grant.c.created_at)
    )
    known: dict[tuple[object, object], dict[str, object]] = {}
    for row in connection.execute(oldest_first):
        known.setdefault(
            (row.catalog_id, row.person_id),
            {
                "entry_id": uuid4(),
                "catalog_id": row.catalog_id,
                "person_id": row.person_id,
                "known_as": row.login,
                "created_at": row.created_at,
                "created_by": row.created_by,
            },
        )
    if known:
        connection.execute(sa.insert(made), list(known.values()))
