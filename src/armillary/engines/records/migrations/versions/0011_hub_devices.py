# SPDX-License-Identifier: Apache-2.0
"""Hub devices and modules, what catalogs admit, enrolments, registrations, keys of services."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "hub_admission",
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("certificates", sa.Boolean(), nullable=False),
        sa.Column("symmetric_keys", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_hub_admission_catalog_id")),
        sa.PrimaryKeyConstraint("catalog_id", name=op.f("pk_hub_admission")),
    )
    op.create_table(
        "hub_identity",
        sa.Column("identity", sa.String(length=193), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("authentication", sa.String(length=24), nullable=False),
        sa.Column("primary_key", sa.LargeBinary(), nullable=True),
        sa.Column("secondary_key", sa.LargeBinary(), nullable=True),
        sa.Column("primary_thumbprint", sa.String(length=64), nullable=False),
        sa.Column("secondary_thumbprint", sa.String(length=64), nullable=False),
        sa.Column("primary_certificate", sa.LargeBinary(), nullable=True),
        sa.Column("secondary_certificate", sa.LargeBinary(), nullable=True),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("status_reason", sa.String(length=128), nullable=False),
        sa.Column("etag", sa.Integer(), nullable=False),
        sa.Column("generation_id", sa.String(length=32), nullable=False),
        sa.Column("enrolment_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_hub_identity_catalog_id")),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_hub_identity")),
    )
    op.create_index(op.f("ix_hub_identity_catalog_id"), "hub_identity", ["catalog_id"])
    op.create_table(
        "hub_enrolment",
        sa.Column("enrolment_id", sa.Uuid(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("is_group", sa.Boolean(), nullable=False),
        sa.Column("attestation", sa.String(length=16), nullable=False),
        sa.Column("primary_key", sa.LargeBinary(), nullable=True),
        sa.Column("secondary_key", sa.LargeBinary(), nullable=True),
        sa.Column("certificate", sa.LargeBinary(), nullable=True),
        sa.Column("possession_nonce", sa.String(length=64), nullable=False),
        sa.Column("is_verified", sa.Boolean(), nullable=False),
        sa.Column("device_id", sa.String(length=128), nullable=False),
        sa.Column("initial_twin", sa.Text(), nullable=False),
        sa.Column("returned_payload", sa.Text(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_hub_enrolment_catalog_id")),
        sa.PrimaryKeyConstraint("enrolment_id", name=op.f("pk_hub_enrolment")),
        sa.UniqueConstraint("catalog_id", "is_group", "name", name=op.f("uq_hub_enrolment_catalog_id_is_group_name")),
    )
    op.create_table(
        "hub_registration",
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("registration_id", sa.String(length=128), nullable=False),
        sa.Column("enrolment_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.String(length=128), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_hub_registration_catalog_id")),
        sa.PrimaryKeyConstraint("catalog_id", "registration_id", name=op.f("pk_hub_registration")),
    )
    op.create_index(op.f("ix_hub_registration_enrolment_id"), "hub_registration", ["enrolment_id"])
    op.create_table(
        "hub_service_key",
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_hub_service_key_catalog_id")),
        sa.PrimaryKeyConstraint("catalog_id", "name", name=op.f("pk_hub_service_key")),
    )
