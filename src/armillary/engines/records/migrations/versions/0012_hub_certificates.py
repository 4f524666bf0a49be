# SPDX-License-Identifier: Apache-2.0
"""Names and keys of what TLS of the hub trusts for hub devices: no two have one name and two keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "hub_certificate",
        sa.Column("owner", sa.String(length=193), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("subject_hash", sa.LargeBinary(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "fingerprint", name=op.f("pk_hub_certificate")),
    )
    op.create_index(op.f("ix_hub_certificate_subject_hash"), "hub_certificate", ["subject_hash"])
