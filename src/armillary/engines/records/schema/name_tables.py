# SPDX-License-Identifier: Apache-2.0
"""The tables of what people call devices, of both kinds; part of ``schema.py``.

They stand beside ``device`` and ``hub_identity``, not in them: a check-in reads those rows and never a name, and what
an owner called a device goes with the owner in one place.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, String, Table, Text, Uuid

from armillary.engines.records.schema.tables import DEVICE_ID_LENGTH, metadata

# A device that somebody named; all others are called by their product and id (wire/text/device_name.py).
device_name = Table(
    "device_name",
    metadata,
    Column("identity", String(DEVICE_ID_LENGTH), primary_key=True),
    Column("catalog_id", Uuid),  # whose name it is: null for a device that nobody owns yet
    Column("name", Text, nullable=False),
)

# What a name is found by the beginnings of: all of it, and the rest from each of its words on.
device_name_word = Table(
    "device_name_word",
    metadata,
    Column("identity", String(DEVICE_ID_LENGTH), primary_key=True),
    Column("tail", Text, primary_key=True),
    Column("catalog_id", Uuid),
    Index(None, "tail"),
    Index(None, "catalog_id", "tail"),
)
