# SPDX-License-Identifier: Apache-2.0
"""The tables of bridged devices: clients of hawkBit's DDI, which attest nothing; part of ``schema.py``.

A bridged device has rows in ``device`` and ``device_status`` as every device of a group, and one here.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from armillary.engines.records.schema.tables import Number, metadata

# How controllers of a catalog may authenticate. No row: none may. Tokens are stored as their SHA-256.
bridge_admission = Table(
    "bridge_admission",
    metadata,
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), primary_key=True),
    Column("tenant", String(50), nullable=False, unique=True),  # in lower case
    Column("target_tokens", Boolean, nullable=False),
    Column("certificates", Boolean, nullable=False),
    Column("gateway_token_hash", LargeBinary),
    # The group that controllers with the gateway token register themselves into; null: they do not.
    Column("registers_into", Uuid),
    Column("polling_s", Integer, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
)

# Authorities whose client certificates a catalog's controllers may show.
bridge_authority = Table(
    "bridge_authority",
    metadata,
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("subject", Text, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("catalog_id", "fingerprint"),
)

bridge_device = Table(
    "bridge_device",
    metadata,
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), nullable=False),
    Column("controller", String(128), nullable=False),
    Column("token_hash", LargeBinary),
    Column("attributes", Text, nullable=False),  # JSON: name -> value
    Column("attributes_at", BigInteger),  # null: the controller is asked for them
    Column("created_at", BigInteger, nullable=False),
    # When what it has or is offered changed last: the roll-out planner looks at those since its last run.
    Column("changed_at", BigInteger, nullable=False, index=True),
    UniqueConstraint("catalog_id", "controller"),
)

# What DDI shows of an image of the bridge's kind beside its row in ``image``.
bridge_artifact = Table(
    "bridge_artifact",
    metadata,
    Column("catalog_id", Uuid, nullable=False),
    Column("image_id", Uuid, nullable=False),
    Column("part", String(32), nullable=False),
    Column("filename", String(128), nullable=False),
    Column("sha1", LargeBinary, nullable=False),
    Column("md5", LargeBinary, nullable=False),
    PrimaryKeyConstraint("catalog_id", "image_id"),
    ForeignKeyConstraint(["catalog_id", "image_id"], ["image.catalog_id", "image.image_id"]),
)

# One deployment on one controller (wire/hawkbit/action.py). open_device is the device while it is open, else null.
bridge_action = Table(
    "bridge_action",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("device_number", Number, ForeignKey("device.number"), nullable=False),
    Column("deployment_id", Uuid, nullable=False),
    Column("open_device", Number, unique=True),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    # Of a closed one: whether the device may be offered the same deployment again.
    Column("may_repeat", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Index(None, "device_number", "number"),
)

# What was said of an action, by the controller or by the service.
bridge_status = Table(
    "bridge_status",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("action_number", Number, ForeignKey("bridge_action.number"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("event", String(16), nullable=False),
    Column("progress", String(32), nullable=False),
    Column("code", Integer),
    Column("messages", Text, nullable=False),  # JSON: a list of lines
    Index(None, "action_number", "number"),
)
