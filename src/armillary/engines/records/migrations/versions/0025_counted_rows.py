# SPDX-License-Identifier: Apache-2.0
"""Rows that are counted up say how many the watch has not read: what came after it had read them was in no finding."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

# Until now the watch read every row once, up to the number that it noted.
_READ_UP_TO = "coalesce((SELECT watch_position.number FROM watch_position WHERE source = '{table}'), 0)"


def upgrade() -> None:
    """Apply."""
    for table, counted in (("refusal", "1 = 1"), ("error_report", "boot_count = -1")):
        op.add_column(table, sa.Column("unread", sa.BigInteger(), nullable=True))
        read_up_to = _READ_UP_TO.format(table=table)
        op.execute(f"UPDATE {table} SET unread = count WHERE {counted} AND number > {read_up_to}")  # noqa: S608 - names above
        op.create_index(
            op.f(f"ix_{table}_unread"),
            table,
            ["unread"],
            sqlite_where=sa.text("unread IS NOT NULL"),
        )
    op.execute("DELETE FROM watch_position WHERE source = 'refusal'")
