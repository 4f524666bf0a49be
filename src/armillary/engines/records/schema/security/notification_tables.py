# SPDX-License-Identifier: Apache-2.0
"""The tables of notification channels and of what they have still to be told; part of ``schema.py``."""

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
)

from armillary.engines.records.schema.tables import NAME_LENGTH, Number, metadata

# Counts are exact: each is changed in the transaction that keeps, tells or drops what it counts.
notification_channel = Table(
    "notification_channel",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("channel_id", Uuid, nullable=False, unique=True),
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id")),  # whose events it hears; null: everything
    Column("owner", String(36), nullable=False),  # the same as text, empty for null: names are unique within it
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("name_key", String(NAME_LENGTH), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("options", Text, nullable=False),  # JSON; nothing secret
    Column("secret", LargeBinary),  # JSON of what nobody is shown, sealed with the key in the keys folder; null without
    Column("topics", Text, nullable=False),  # JSON list; empty for findings and actions
    Column("finding_kinds", Text, nullable=False),  # JSON list; empty for all
    Column("min_severity", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),  # of the last event that was for it, dropped ones too
    Column("waiting", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("given_up", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),  # not kept, because too many waited
    Column("failures", Integer, nullable=False),  # attempts that failed since the last that did not
    Column("due_ms", BigInteger, nullable=False),  # when it is tried next, at the earliest
    Column("delivered_at", BigInteger),  # of the last delivery
    Column("failed_at", BigInteger),  # of the last failure
    Column("error", Text, nullable=False),  # what that was
    UniqueConstraint("owner", "name_key"),
    Index(None, "catalog_id"),
)

notification_event = Table(
    "notification_event",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("event_id", Uuid, nullable=False),
    Column("catalog_id", Uuid),
    Column("document", Text, nullable=False),  # ``wire/notification/event.py``
)

# What a channel has still to be told, or was not told; a row goes once it was. In the order of ``number``.
notification_delivery = Table(
    "notification_delivery",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("channel_number", Number, ForeignKey("notification_channel.number"), nullable=False),
    Column("event_number", Number, ForeignKey("notification_event.number"), nullable=False, index=True),
    Column("sequence", BigInteger, nullable=False),  # within the channel: a gap says that something was dropped
    Column("state", String(16), nullable=False),  # waiting | given-up
    Column("attempts", Integer, nullable=False),
    Column("kept_at", BigInteger, nullable=False),
    Column("error", Text, nullable=False),
    Index(None, "channel_number", "state", "number"),
)
