# SPDX-License-Identifier: Apache-2.0
"""The tables of what runs where: sets of software, the devices that have each, and how many moved when.

A set is what devices say together at a check-in: their chip, the OS release that their evidence was matched to and
their images. A million devices have a few thousand sets, so what is known of an image is joined to sets and never to
devices. ``software_count`` and ``software_move`` are sums of what was written to ``device_software``, in the same
commits: counts and curves read them alone. ``software_past`` answers what one device had on an earlier day.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    Uuid,
)

from armillary.engines.records.schema.tables import Number, metadata

# Stands for no set in ``software_move``: where a device came from that was not there before, or went that has gone.
NO_SET = 0
# Stands for the group of a device that no catalog has.
NO_GROUP = UUID(int=0)

software_set = Table(
    "software_set",
    metadata,
    Column("set_id", Number, primary_key=True, autoincrement=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("attested", Boolean, nullable=False),  # whether the last check-in of its devices was attested
    Column("chip", String(32), nullable=False),
    Column("os_version", String(64), nullable=False),
    Column("installed", Text, nullable=False),  # as ``device_status`` has it
    Index(None, "chip", "os_version"),
)

software_part = Table(
    "software_part",
    metadata,
    Column("set_id", Number, ForeignKey("software_set.set_id"), nullable=False),
    Column("image_id", Uuid, nullable=False),
    PrimaryKeyConstraint("image_id", "set_id"),
    Index(None, "set_id"),
)

device_software = Table(
    "device_software",
    metadata,
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("group_id", Uuid, nullable=False),
    Column("set_id", Number, ForeignKey("software_set.set_id"), nullable=False),
    Column("since", BigInteger),  # null: from before this was noted
    Index(None, "set_id", "group_id", "device_number"),  # in this order devices are listed
)

# What a device had before, and until when: the rows of a device are in the order of time.
software_past = Table(
    "software_past",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("device_number", Number, ForeignKey("device.number"), nullable=False),
    Column("group_id", Uuid, nullable=False),
    Column("set_id", Number, ForeignKey("software_set.set_id"), nullable=False, index=True),
    Column("since", BigInteger),  # null: from before this was noted
    Column("until", BigInteger, nullable=False, index=True),
    Index(None, "device_number", "until"),
)

software_count = Table(
    "software_count",
    metadata,
    Column("set_id", Number, ForeignKey("software_set.set_id"), nullable=False),
    Column("group_id", Uuid, nullable=False),
    Column("devices", BigInteger, nullable=False),
    PrimaryKeyConstraint("set_id", "group_id"),
)

software_move = Table(
    "software_move",
    metadata,
    Column("at", BigInteger, nullable=False),  # Unix seconds, down to ten
    Column("group_id", Uuid, nullable=False),
    Column("from_set", Number, nullable=False),
    Column("to_set", Number, nullable=False),
    Column("devices", BigInteger, nullable=False),
    PrimaryKeyConstraint("at", "group_id", "from_set", "to_set"),
    Index(None, "from_set", "at"),
    Index(None, "to_set", "at"),
)
