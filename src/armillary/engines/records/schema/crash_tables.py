# SPDX-License-Identifier: Apache-2.0
"""The tables of error reports, of crash groups and of uploaded symbols; part of ``schema.py``."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from armillary.engines.records.schema.tables import Number, metadata

error_report = Table(
    "error_report",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("device_number", Number, ForeignKey("device.number"), nullable=False),
    Column("boot_count", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("event_category", String(16), nullable=False),
    Column("event_class", String(16), nullable=False),
    Column("event_type", String(64), nullable=False),
    Column("description", Text, nullable=False),
    Column("component_id", Uuid),
    Column("image_id", Uuid),
    Column("count", BigInteger, nullable=False),
    Column("start_at", BigInteger, nullable=False),
    Column("end_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("unread", BigInteger),  # As of ``refusal``; of the service's own rows, which are counted up
    Column("crash", LargeBinary),  # ``wire/device/crash_record.py``; null where none was captured
    Column("crash_group", Number),  # in which it counts; null until the watch has read it, and for other reports
    UniqueConstraint("device_number", "boot_count", "sequence"),
    Index(None, "unread", sqlite_where=text("unread IS NOT NULL")),  # As of ``refusal``
    Index(None, "crash_group", "number", sqlite_where=text("crash_group IS NOT NULL")),
)

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
