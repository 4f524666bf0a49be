# SPDX-License-Identifier: Apache-2.0
"""Passkeys of operator tokens, and recovery codes for who has lost them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "passkey",
        sa.Column("passkey_id", sa.Uuid(), nullable=False),
        sa.Column("token_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["token_id"], ["token.token_id"], name=op.f("fk_passkey_token_id")),
        sa.PrimaryKeyConstraint("passkey_id", name=op.f("pk_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkey_credential_id")),
    )
    op.create_index(op.f("ix_passkey_token_id"), "passkey", ["token_id"])
    op.create_table(
        "recovery_code",
        sa.Column("token_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["token.token_id"], name=op.f("fk_recovery_code_token_id")),
        sa.PrimaryKeyConstraint("token_id", "code_hash", name=op.f("pk_recovery_code")),
    )
