# SPDX-License-Identifier: Apache-2.0
"""Attestation keys of devices with a TPM."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from armillary.engines.records.schema.schema import Number

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "tpm_key",
        sa.Column("device_number", Number, autoincrement=False, nullable=False),
        sa.Column("attestation_key", sa.LargeBinary(), nullable=False),
        sa.Column("endorsement_certificate", sa.LargeBinary(), nullable=False),
        sa.Column("manufacturer", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_tpm_key_device_number")),
        sa.PrimaryKeyConstraint("device_number", name=op.f("pk_tpm_key")),
    )
