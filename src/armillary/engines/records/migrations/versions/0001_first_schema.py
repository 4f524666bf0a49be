# SPDX-License-Identifier: Apache-2.0
"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply."""
    _appraisal_steps()
    _audit_line()
    _catalog()
    _finding()
    _os_release()
    _refusal()
    _security_floor()
    _token()
    _watch_position()
    _certificate()
    _finding_device()
    _image()
    _os_component()
    _product()
    _device_group()
    _deployment()
    _device()
    _check_in()
    _deployment_image()
    _device_status()
    _error_report()
    _outcome()
    _rollout()
    _rollout_device()


def _appraisal_steps() -> None:
    op.create_table(
        "appraisal_steps",
        sa.Column("steps_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("steps_id", name=op.f("pk_appraisal_steps")),
        sa.UniqueConstraint("digest", name=op.f("uq_appraisal_steps_digest")),
    )


def _audit_line() -> None:
    op.create_table(
        "audit_line",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("operation", sa.String(length=64), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_line")),
    )


def _catalog() -> None:
    op.create_table(
        "catalog",
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("name_key", sa.String(length=64), nullable=False),
        sa.Column("resource_group", sa.String(length=90), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("catalog_id", name=op.f("pk_catalog")),
        sa.UniqueConstraint("name_key", name=op.f("uq_catalog_name_key")),
    )


def _finding() -> None:
    op.create_table(
        "finding",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("finding_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.String(length=128), nullable=False),
        sa.Column("open_key", sa.String(length=128), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("proposed_action", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=True),
        sa.Column("group_id", sa.Uuid(), nullable=True),
        sa.Column("deployment_id", sa.Uuid(), nullable=True),
        sa.Column("rollout_id", sa.Uuid(), nullable=True),
        sa.Column("image_id", sa.Uuid(), nullable=True),
        sa.Column("component_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_finding")),
        sa.UniqueConstraint("finding_id", name=op.f("uq_finding_finding_id")),
        sa.UniqueConstraint("open_key", name=op.f("uq_finding_open_key")),
    )
    with op.batch_alter_table("finding", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_finding_status"), ["status"], unique=False)


def _os_release() -> None:
    op.create_table(
        "os_release",
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("chip", sa.String(length=32), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("feed", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("release_id", name=op.f("pk_os_release")),
        sa.UniqueConstraint("chip", "version", name=op.f("uq_os_release_chip_version")),
    )


def _refusal() -> None:
    op.create_table(
        "refusal",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("device_id", sa.String(length=128), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_refusal")),
        sa.UniqueConstraint("device_id", "code", "minute", name=op.f("uq_refusal_device_id_code_minute")),
    )


def _security_floor() -> None:
    op.create_table(
        "security_floor",
        sa.Column("chip", sa.String(length=32), nullable=False),
        sa.Column("image_type", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("minimum", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chip", "image_type", name=op.f("pk_security_floor")),
    )


def _token() -> None:
    op.create_table(
        "token",
        sa.Column("token_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_token")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_token_secret_hash")),
    )


def _watch_position() -> None:
    op.create_table(
        "watch_position",
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_watch_position")),
    )


def _certificate() -> None:
    op.create_table(
        "certificate",
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("thumbprint", sa.String(length=40), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_certificate_catalog_id")),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_certificate")),
    )
    with op.batch_alter_table("certificate", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_certificate_catalog_id"), ["catalog_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_certificate_kind_not_after"), ["kind", "not_after"], unique=False)


def _finding_device() -> None:
    op.create_table(
        "finding_device",
        sa.Column("finding_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["finding_id"], ["finding.finding_id"], name=op.f("fk_finding_device_finding_id")),
        sa.PrimaryKeyConstraint("finding_id", "device_id", name=op.f("pk_finding_device")),
    )
    with op.batch_alter_table("finding_device", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_finding_device_device_id"), ["device_id"], unique=False)


def _image() -> None:
    op.create_table(
        "image",
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("component_id", sa.Uuid(), nullable=False),
        sa.Column("image_type", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("built_at", sa.BigInteger(), nullable=False),
        sa.Column("architecture", sa.String(length=32), nullable=False),
        sa.Column("allowed_connections", sa.Text(), nullable=False),
        sa.Column("regional_data_boundary", sa.String(length=16), nullable=False),
        sa.Column("uploaded_at", sa.BigInteger(), nullable=False),
        sa.Column("uploaded_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_image_catalog_id")),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image")),
    )
    with op.batch_alter_table("image", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_image_catalog_id_uploaded_at"), ["catalog_id", "uploaded_at"], unique=False
        )


def _os_component() -> None:
    op.create_table(
        "os_component",
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("image_type", sa.Integer(), nullable=False),
        sa.Column("component_id", sa.Uuid(), nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("security_version", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["os_release.release_id"], name=op.f("fk_os_component_release_id")),
        sa.PrimaryKeyConstraint("release_id", "position", name=op.f("pk_os_component")),
    )


def _product() -> None:
    op.create_table(
        "product",
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("name_key", sa.String(length=64), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_product_catalog_id")),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_product")),
        sa.UniqueConstraint("catalog_id", "name_key", name=op.f("uq_product_catalog_id_name_key")),
    )


def _device_group() -> None:
    op.create_table(
        "device_group",
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("name_key", sa.String(length=64), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("os_feed", sa.String(length=16), nullable=False),
        sa.Column("update_policy", sa.String(length=32), nullable=False),
        sa.Column("allow_crash_dumps", sa.String(length=16), nullable=False),
        sa.Column("regional_data_boundary", sa.String(length=16), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["product_id"], ["product.product_id"], name=op.f("fk_device_group_product_id")),
        sa.PrimaryKeyConstraint("group_id", name=op.f("pk_device_group")),
        sa.UniqueConstraint("product_id", "name_key", name=op.f("uq_device_group_product_id_name_key")),
    )


def _deployment() -> None:
    op.create_table(
        "deployment",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("in_force_at", sa.BigInteger(), nullable=True),
        sa.Column("rollout_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["group_id"], ["device_group.group_id"], name=op.f("fk_deployment_group_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_deployment")),
        sa.UniqueConstraint("deployment_id", name=op.f("uq_deployment_deployment_id")),
    )
    with op.batch_alter_table("deployment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deployment_group_id_number"), ["group_id", "number"], unique=False)


def _device() -> None:
    op.create_table(
        "device",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("device_id", sa.String(length=128), nullable=False),
        sa.Column("chip", sa.String(length=32), nullable=False),
        sa.Column("chip_sku", sa.String(length=32), nullable=False),
        sa.Column("trust_tier", sa.String(length=16), nullable=False),
        sa.Column("manufacturing_state", sa.String(length=32), nullable=False),
        sa.Column("enrolled_at", sa.BigInteger(), nullable=False),
        sa.Column("catalog_id", sa.Uuid(), nullable=True),
        sa.Column("group_id", sa.Uuid(), nullable=True),
        sa.Column("claimed_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_device_catalog_id")),
        sa.ForeignKeyConstraint(["group_id"], ["device_group.group_id"], name=op.f("fk_device_group_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_device")),
        sa.UniqueConstraint("device_id", name=op.f("uq_device_device_id")),
    )
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_device_catalog_id_device_id"), ["catalog_id", "device_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_device_group_id"), ["group_id"], unique=False)


def _check_in() -> None:
    op.create_table(
        "check_in",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("device_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("steps_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("boot_count", sa.BigInteger(), nullable=False),
        sa.Column("os_version", sa.String(length=64), nullable=False),
        sa.Column("certificate_serial", sa.String(length=40), nullable=False),
        sa.Column("certificate_not_after", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("offer_id", sa.Uuid(), nullable=True),
        sa.Column("deployment_id", sa.Uuid(), nullable=True),
        sa.Column("challenge_id", sa.LargeBinary(), nullable=False),
        sa.Column("challenge_expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_check_in_device_number")),
        sa.ForeignKeyConstraint(["steps_id"], ["appraisal_steps.steps_id"], name=op.f("fk_check_in_steps_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_check_in")),
        sa.UniqueConstraint("challenge_id", name=op.f("uq_check_in_challenge_id")),
    )
    with op.batch_alter_table("check_in", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_check_in_device_number_number"), ["device_number", "number"], unique=False)


def _deployment_image() -> None:
    op.create_table(
        "deployment_image",
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("component_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.deployment_id"], name=op.f("fk_deployment_image_deployment_id")
        ),
        sa.ForeignKeyConstraint(["image_id"], ["image.image_id"], name=op.f("fk_deployment_image_image_id")),
        sa.PrimaryKeyConstraint("deployment_id", "position", name=op.f("pk_deployment_image")),
        sa.UniqueConstraint(
            "deployment_id", "component_id", name=op.f("uq_deployment_image_deployment_id_component_id")
        ),
    )
    with op.batch_alter_table("deployment_image", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deployment_image_image_id"), ["image_id"], unique=False)


def _device_status() -> None:
    op.create_table(
        "device_status",
        sa.Column(
            "device_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("checked_in_at", sa.BigInteger(), nullable=True),
        sa.Column("refused_at", sa.BigInteger(), nullable=True),
        sa.Column("refusal", sa.String(length=64), nullable=False),
        sa.Column("boot_count", sa.BigInteger(), nullable=False),
        sa.Column("endorsement", sa.LargeBinary(), nullable=False),
        sa.Column("security_versions", sa.Text(), nullable=False),
        sa.Column("os_version", sa.String(length=64), nullable=False),
        sa.Column("sandbox", sa.String(length=64), nullable=False),
        sa.Column("installed", sa.Text(), nullable=False),
        sa.Column("enforcement", sa.Text(), nullable=False),
        sa.Column("certificate_serial", sa.String(length=40), nullable=False),
        sa.Column("certificate_not_after", sa.BigInteger(), nullable=True),
        sa.Column("offered_deployment_id", sa.Uuid(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_device_status_device_number")),
        sa.PrimaryKeyConstraint("device_number", name=op.f("pk_device_status")),
    )


def _error_report() -> None:
    op.create_table(
        "error_report",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("device_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("boot_count", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("event_category", sa.String(length=16), nullable=False),
        sa.Column("event_class", sa.String(length=16), nullable=False),
        sa.Column("event_type", sa.String(length=64), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("component_id", sa.Uuid(), nullable=True),
        sa.Column("image_id", sa.Uuid(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("end_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_error_report_device_number")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_error_report")),
        sa.UniqueConstraint(
            "device_number", "boot_count", "sequence", name=op.f("uq_error_report_device_number_boot_count_sequence")
        ),
    )


def _outcome() -> None:
    op.create_table(
        "outcome",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("device_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("offer_id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=True),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("component_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_outcome_device_number")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_outcome")),
        sa.UniqueConstraint(
            "device_number",
            "offer_id",
            "image_id",
            "outcome",
            "at",
            name=op.f("uq_outcome_device_number_offer_id_image_id_outcome_at"),
        ),
    )
    with op.batch_alter_table("outcome", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outcome_deployment_id_number"), ["deployment_id", "number"], unique=False)


def _rollout() -> None:
    op.create_table(
        "rollout",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("rollout_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("previous_deployment_id", sa.Uuid(), nullable=True),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("cohort", sa.Integer(), nullable=False),
        sa.Column("cohort_started_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployment.deployment_id"], name=op.f("fk_rollout_deployment_id")),
        sa.ForeignKeyConstraint(["group_id"], ["device_group.group_id"], name=op.f("fk_rollout_group_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_rollout")),
        sa.UniqueConstraint("rollout_id", name=op.f("uq_rollout_rollout_id")),
    )
    with op.batch_alter_table("rollout", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rollout_group_id"), ["group_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_rollout_state"), ["state"], unique=False)


def _rollout_device() -> None:
    op.create_table(
        "rollout_device",
        sa.Column("rollout_id", sa.Uuid(), nullable=False),
        sa.Column(
            "device_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("cohort", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("offered_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["device_number"], ["device.number"], name=op.f("fk_rollout_device_device_number")),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollout.rollout_id"], name=op.f("fk_rollout_device_rollout_id")),
        sa.PrimaryKeyConstraint("rollout_id", "device_number", name=op.f("pk_rollout_device")),
    )
    with op.batch_alter_table("rollout_device", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rollout_device_device_number"), ["device_number"], unique=False)
