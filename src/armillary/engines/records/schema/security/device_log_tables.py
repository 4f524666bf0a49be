# SPDX-License-Identifier: Apache-2.0
"""The tables of the logs that devices were asked for; part of ``schema.py``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, Uuid

from armillary.engines.records.schema.tables import Number, metadata

# The newest request of a device that it has not answered. ``catalog_id`` is the catalog that the device was in then: to
# another owner it is none.
device_log_request = Table(
    "device_log_request",
    metadata,
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("request_id", Uuid, nullable=False, unique=True),
    Column("catalog_id", Uuid, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Index(None, "ends_at"),
)

# The newest answer of a device, with the request that it answers.
device_log = Table(
    "device_log",
    metadata,
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("catalog_id", Uuid, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("answered_at", BigInteger, nullable=False),
    Column("kept_until", BigInteger, nullable=False),
    Column("line_count", Integer, nullable=False),
    Column("left_out", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),  # lines, UTF-8, parted by line feeds; cleaned when they came
    Index(None, "kept_until"),
)
