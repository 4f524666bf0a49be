# SPDX-License-Identifier: Apache-2.0
"""The tables of machines' firmware; part of ``schema.py``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table, Text, Uuid

from armillary.engines.records.schema.tables import Number, metadata

# Good measurements, as they were stated together (attest/firmware_reference.py).
firmware_statement = Table(
    "firmware_statement",
    metadata,
    Column("statement_id", Uuid, primary_key=True),
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), nullable=False, index=True),
    Column("chip", String(32), nullable=False),
    Column("note", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("expires_at", BigInteger),
    Column("stated_at", BigInteger, nullable=False),
    Column("stated_by", Text, nullable=False),
)

# Last measurements of a device's firmware, quoted by its TPM; written when they differ.
device_firmware = Table(
    "device_firmware",
    metadata,
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
)
