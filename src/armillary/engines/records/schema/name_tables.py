# SPDX-License-Identifier: Apache-2.0
"""The tables of names that people give to devices of both kinds; part of ``schema.py``.

They are separate from ``device`` and ``hub_identity``: a check-in reads those rows and never a name, and when a device
gets another owner its name is deleted in one place.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, String, Table, Text, Uuid

from armillary.engines.records.schema.tables import DEVICE_ID_LENGTH, metadata

# Devices that a person has named; names of others are made of product and id (wire/text/device_name.py).
device_name = Table(
    "device_name",
    metadata,
    Column("identity", String(DEVICE_ID_LENGTH), primary_key=True),
    Column("catalog_id", Uuid),  # the device's owner; null before it is claimed
    Column("name", Text, nullable=False),
)

# A search finds a name by the beginnings of these: the whole name, and its rest from each word on.
device_name_word = Table(
    "device_name_word",
    metadata,
    Column("identity", String(DEVICE_ID_LENGTH), primary_key=True),
    Column("tail", Text, primary_key=True),
    Column("catalog_id", Uuid),
    Index(None, "tail"),
    Index(None, "catalog_id", "tail"),
)
