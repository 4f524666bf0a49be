# SPDX-License-Identifier: Apache-2.0
"""The table of what devices say of their cellular modems; part of ``schema.py``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, Text, Uuid

from armillary.engines.records.schema.tables import Number, metadata

# The newest status of a device. ``catalog_id`` is the catalog that the device was in then: to another owner it is none.
cellular_status = Table(
    "cellular_status",
    metadata,
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("catalog_id", Uuid, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("sim", Text, nullable=False),
    Column("registration", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("technology", Text, nullable=False),
    Column("signal_dbm", Integer),
    Column("sessions", BigInteger, nullable=False),
    Column("bytes_received", BigInteger, nullable=False),
    Column("bytes_sent", BigInteger, nullable=False),
)
