# SPDX-License-Identifier: Apache-2.0
"""The tables of crash groups and of uploaded symbols; part of ``schema.py``. An error report names its group."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from armillary.engines.records.schema.tables import Number, metadata

# Counts are exact: they are changed in the transaction that notes how far the watch has read.
crash_group = Table(
    "crash_group",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), nullable=False),
    Column("fingerprint", String(32), nullable=False),
    Column("grouping_version", Integer, nullable=False),
    Column("basis", String(16), nullable=False),  # function | offset | exit | rest
    Column("cause", String(64), nullable=False),
    Column("places", Text, nullable=False),  # JSON: the places that count, innermost first
    Column("component_id", Uuid),
    Column("count", BigInteger, nullable=False),
    Column("devices", BigInteger, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    UniqueConstraint("catalog_id", "fingerprint"),
)

# Where a group was seen: on which images (those that the service had offered), on which devices.
crash_group_image = Table(
    "crash_group_image",
    metadata,
    Column("group_number", Number, ForeignKey("crash_group.number"), primary_key=True, autoincrement=False),
    Column("image_id", Uuid, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
)

crash_group_device = Table(
    "crash_group_device",
    metadata,
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("group_number", Number, ForeignKey("crash_group.number"), primary_key=True, autoincrement=False, index=True),
    Column("count", BigInteger, nullable=False),
)

symbol_list = Table(
    "symbol_list",
    metadata,
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), primary_key=True),
    Column("build_id", String(128), primary_key=True),  # hexadecimal
    Column("machine", String(20), nullable=False),
    Column("functions", Integer, nullable=False),
    Column("uploaded_at", BigInteger, nullable=False),
    Column("uploaded_by", Text, nullable=False),
    Column("symbols", LargeBinary, nullable=False),  # the list as text, compressed
)
