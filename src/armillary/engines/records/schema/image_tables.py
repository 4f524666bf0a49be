# SPDX-License-Identifier: Apache-2.0
"""The tables of images and of the deployments that name them; part of ``schema.py``."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from armillary.engines.records.schema.tables import NAME_LENGTH, Number, metadata
from armillary.wire.image.naming import VERSION_LENGTH

# Several catalogs may have the same vendor's package; an id does not reveal which other catalogs have it.
image = Table(
    "image",
    metadata,
    Column("image_id", Uuid, nullable=False),
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), nullable=False),
    Column("component_id", Uuid, nullable=False),
    Column("image_type", Integer, nullable=False),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("built_at", BigInteger, nullable=False),
    Column("architecture", String(32), nullable=False),
    Column("allowed_connections", Text, nullable=False),
    Column("regional_data_boundary", String(16), nullable=False),
    Column("uploaded_at", BigInteger, nullable=False),
    Column("uploaded_by", Text, nullable=False),
    Column("signer", String(40), nullable=False, server_default=""),  # serial of its signing certificate
    Column("version", String(VERSION_LENGTH), nullable=False, server_default=""),  # as its vendor says, "" for unknown
    PrimaryKeyConstraint("catalog_id", "image_id"),
    Index(None, "catalog_id", "uploaded_at"),
)

deployment = Table(
    "deployment",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("deployment_id", Uuid, nullable=False, unique=True),
    Column("group_id", Uuid, ForeignKey("device_group.group_id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("in_force_at", BigInteger),
    Column("rollout_id", Uuid),
    Index(None, "group_id", "number"),
)

deployment_image = Table(
    "deployment_image",
    metadata,
    Column("deployment_id", Uuid, ForeignKey("deployment.deployment_id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("image_id", Uuid, nullable=False),
    Column("component_id", Uuid, nullable=False),
    Column("catalog_id", Uuid, nullable=False),
    ForeignKeyConstraint(["catalog_id", "image_id"], ["image.catalog_id", "image.image_id"]),
    UniqueConstraint("deployment_id", "component_id"),
    Index(None, "catalog_id", "image_id"),
)
