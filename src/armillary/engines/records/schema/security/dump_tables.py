# SPDX-License-Identifier: Apache-2.0
"""The tables of crash dumps and of the keys that they are sealed to; part of ``schema.py``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Uuid

from armillary.engines.records.schema.tables import Number, metadata

# Public keys of device groups; the private ones are files in the keys folder, named by key_id. A row without a living
# group is of a key that is to be deleted: it goes when its file is gone.
crash_dump_key = Table(
    "crash_dump_key",
    metadata,
    Column("key_id", Uuid, primary_key=True),
    Column("group_id", Uuid, nullable=False),
    Column("living_group", Uuid, unique=True),
    Column("public_key", LargeBinary, nullable=False),  # DER, P-256
    Column("created_at", BigInteger, nullable=False),
)

# Of the catalog and group that the device was in when it came. What is clear here, error reports say too.
crash_dump = Table(
    "crash_dump",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("dump_id", Uuid, nullable=False, unique=True),
    Column("device_number", Number, ForeignKey("device.number"), nullable=False),
    Column("catalog_id", Uuid, nullable=False),
    Column("group_id", Uuid, nullable=False),
    Column("key_id", Uuid, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("crashed_at", BigInteger, nullable=False),
    Column("component_id", Uuid, nullable=False),
    Column("image_id", Uuid, nullable=False),
    Column("signal", Integer, nullable=False),
    Column("stack", String(16), nullable=False),  # none | scrubbed | full
    Column("size", Integer, nullable=False),  # bytes, before it was sealed
    Column("sealed", LargeBinary, nullable=False),  # to the group's key: service/crash_dumps/sealing.py
    Index(None, "catalog_id", "number"),
    Index(None, "device_number", "received_at"),
    Index(None, "group_id", "received_at"),
)
