# SPDX-License-Identifier: Apache-2.0
"""The audit log knows the entries that came from other databases, and is read by target."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Apply; lines that are there have no entry id."""
    op.add_column("audit_line", sa.Column("entry_id", sa.String(length=32), nullable=True))
    op.create_index(op.f("ix_audit_line_entry_id"), "audit_line", ["entry_id"], unique=True)
    op.create_index(op.f("ix_audit_line_target_number"), "audit_line", ["target", "number"], unique=False)
