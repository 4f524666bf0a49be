# SPDX-License-Identifier: Apache-2.0
"""The tables of updates of whole devices; part of ``schema.py``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Table

from armillary.engines.records.schema.tables import Number, metadata

# The last directive of each device that was ever given one; apart from device_status, which every check-in reads.
device_directive = Table(
    "device_directive",
    metadata,
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)
