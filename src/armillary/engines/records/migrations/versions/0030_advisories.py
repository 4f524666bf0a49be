# SPDX-License-Identifier: Apache-2.0
"""Advisories: feeds, their records, what bills of materials list, and what of it is affected."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Apply."""
    _feeds()
    _records()
    _components()


def _feeds() -> None:
    """Keys, feeds, their editions, and what is known of exploitation."""
    op.create_table(
        "advisory_feed",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("max_age_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_advisory_feed")),
    )
    op.create_table(
        "exploitation",
        sa.Column("cve", sa.String(length=128), nullable=False),
        sa.Column("kev_added_at", sa.BigInteger(), nullable=True),
        sa.Column("kev_due_at", sa.BigInteger(), nullable=True),
        sa.Column("kev_edition", sa.Integer(), nullable=True),
        sa.Column("epss", sa.Float(), nullable=True),
        sa.Column("epss_percentile", sa.Float(), nullable=True),
        sa.Column("epss_as_of", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("cve", name=op.f("pk_exploitation")),
    )
    op.create_table(
        "feed_key",
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("feed", sa.String(length=64), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_feed_key")),
    )
    op.create_table(
        "feed_edition",
        sa.Column("feed", sa.String(length=64), nullable=False),
        sa.Column("edition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source_url", sa.Text(), nullable=False),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("ecosystems", sa.Text(), nullable=False),
        sa.Column("signer", sa.String(length=64), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("whole_at", sa.BigInteger(), nullable=True),
        sa.Column("imported_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["feed"], ["advisory_feed.name"], name=op.f("fk_feed_edition_feed")),
        sa.ForeignKeyConstraint(["signer"], ["feed_key.key_id"], name=op.f("fk_feed_edition_signer")),
        sa.PrimaryKeyConstraint("feed", "edition", name=op.f("pk_feed_edition")),
    )
    op.create_table(
        "vex_statement",
        sa.Column(
            "statement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("feed", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("vulnerability", sa.String(length=128), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("justification", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("stated_at", sa.BigInteger(), nullable=True),
        sa.Column("from_edition", sa.Integer(), nullable=False),
        sa.Column("until_edition", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["feed"], ["advisory_feed.name"], name=op.f("fk_vex_statement_feed")),
        sa.PrimaryKeyConstraint("statement_id", name=op.f("pk_vex_statement")),
        sa.UniqueConstraint("feed", "digest", "from_edition", name=op.f("uq_vex_statement_feed_digest_from_edition")),
    )
    op.create_index(op.f("ix_vex_statement_vulnerability"), "vex_statement", ["vulnerability"], unique=False)


def _records() -> None:
    """Advisories in all their versions."""
    op.create_table(
        "advisory_version",
        sa.Column(
            "version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("feed", sa.String(length=64), nullable=False),
        sa.Column("advisory_id", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.Column("modified_at", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("cvss", sa.Float(), nullable=True),
        sa.Column("cvss_vector", sa.Text(), nullable=False),
        sa.Column("fixed", sa.Text(), nullable=False),
        sa.Column("from_edition", sa.Integer(), nullable=False),
        sa.Column("until_edition", sa.Integer(), nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["feed"], ["advisory_feed.name"], name=op.f("fk_advisory_version_feed")),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_advisory_version")),
    )
    op.create_index(op.f("ix_advisory_version_advisory_id"), "advisory_version", ["advisory_id"], unique=False)
    op.create_index(
        op.f("ix_advisory_version_feed_advisory_id_until_edition"),
        "advisory_version",
        ["feed", "advisory_id", "until_edition"],
        unique=False,
    )
    op.create_table(
        "advisory_alias",
        sa.Column("alias", sa.String(length=128), nullable=False),
        sa.Column("version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["advisory_version.version_id"], name=op.f("fk_advisory_alias_version_id")
        ),
        sa.PrimaryKeyConstraint("alias", "version_id", name=op.f("pk_advisory_alias")),
    )
    op.create_index(op.f("ix_advisory_alias_version_id"), "advisory_alias", ["version_id"], unique=False)
    op.create_table(
        "advisory_package",
        sa.Column("ecosystem", sa.String(length=64), nullable=False),
        sa.Column("package", sa.String(length=256), nullable=False),
        sa.Column("version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["advisory_version.version_id"], name=op.f("fk_advisory_package_version_id")
        ),
        sa.PrimaryKeyConstraint("ecosystem", "package", "version_id", name=op.f("pk_advisory_package")),
    )
    op.create_index(op.f("ix_advisory_package_version_id"), "advisory_package", ["version_id"], unique=False)


def _components() -> None:
    """What bills of materials list, and what of it is affected."""
    op.create_table(
        "bill_content",
        sa.Column(
            "content_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("components", sa.Integer(), nullable=False),
        sa.Column("unassessed", sa.Integer(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("content_id", name=op.f("pk_bill_content")),
        sa.UniqueConstraint("sha256", name=op.f("uq_bill_content_sha256")),
    )
    op.create_table(
        "component",
        sa.Column(
            "component_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("ecosystem", sa.String(length=64), nullable=False),
        sa.Column("release", sa.String(length=64), nullable=False),
        sa.Column("package", sa.String(length=256), nullable=False),
        sa.Column("version", sa.String(length=256), nullable=False),
        sa.Column("purl", sa.Text(), nullable=False),
        sa.Column("unassessed", sa.Text(), nullable=False),
        sa.Column("compared", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("component_id", name=op.f("pk_component")),
        sa.UniqueConstraint("digest", name=op.f("uq_component_digest")),
    )
    op.create_index(op.f("ix_component_ecosystem_package"), "component", ["ecosystem", "package"], unique=False)
    op.create_table(
        "bill_component",
        sa.Column("component_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("content_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["component_id"], ["component.component_id"], name=op.f("fk_bill_component_component_id")
        ),
        sa.ForeignKeyConstraint(["content_id"], ["bill_content.content_id"], name=op.f("fk_bill_component_content_id")),
        sa.PrimaryKeyConstraint("component_id", "content_id", name=op.f("pk_bill_component")),
    )
    op.create_index(op.f("ix_bill_component_content_id"), "bill_component", ["content_id"], unique=False)
    op.create_table(
        "component_advisory",
        sa.Column("version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("component_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("answer", sa.Integer(), nullable=False),
        sa.Column("goarch", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["component_id"], ["component.component_id"], name=op.f("fk_component_advisory_component_id")
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["advisory_version.version_id"], name=op.f("fk_component_advisory_version_id")
        ),
        sa.PrimaryKeyConstraint("version_id", "component_id", name=op.f("pk_component_advisory")),
    )
    op.create_index(op.f("ix_component_advisory_component_id"), "component_advisory", ["component_id"], unique=False)
