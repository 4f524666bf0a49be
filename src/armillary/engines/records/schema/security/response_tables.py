# SPDX-License-Identifier: Apache-2.0
"""The tables of actions, of the devices that they touch, and of playbooks; part of ``schema.py``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, Uuid

from armillary.engines.records.schema.tables import Number, metadata

action = Table(
    "action",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("action_id", Uuid, nullable=False, unique=True),
    Column("catalog_id", Uuid, index=True),  # whose it is; null: of the whole service
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("target", Text, nullable=False),  # JSON: what it is aimed at
    Column("options", Text, nullable=False),  # JSON: what else was asked for
    Column("reason", Text, nullable=False),
    Column("playbook", String(64), nullable=False),  # that asked for it; empty for a person
    Column("finding_id", Uuid),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),  # when nobody has approved it until then
    Column("devices", BigInteger, nullable=False),  # that it is to touch
    Column("done", BigInteger, nullable=False),  # of these
    Column("skipped", BigInteger, nullable=False),
    Column("undone", BigInteger, nullable=False),
    Column("is_capped", Boolean, nullable=False),  # it pauses where automatic actions touch too many devices
    Column("effects", Text, nullable=False),  # JSON: what it has made or changed besides devices
    Column("said", Text, nullable=False),  # why it stands where it stands
)

# The devices that an action is to touch, as they were when somebody asked: what is approved is what is done.
action_device = Table(
    "action_device",
    metadata,
    Column("action_id", Uuid, primary_key=True),
    Column("device_number", Number, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),  # pending | done | skipped | undone
    Column("done_at", BigInteger),
    Column("said", Text, nullable=False),  # why it was skipped
    Column("is_counted", Boolean, nullable=False),  # against what automatic actions may touch
    Index(None, "action_id", "state", "device_number"),
    Index(None, "done_at"),
    Index(None, "device_number"),
)

# Whether a playbook is used, where an operator has said so; by catalog, empty for the whole service.
playbook_setting = Table(
    "playbook_setting",
    metadata,
    Column("owner", String(36), primary_key=True),
    Column("playbook", String(64), primary_key=True),
    Column("is_enabled", Boolean, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
)

# A playbook that was applied to a finding, in the commit of its actions: never again to the same.
playbook_run = Table(
    "playbook_run",
    metadata,
    Column("playbook", String(64), primary_key=True),
    Column("finding_id", Uuid, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Index(None, "finding_id"),
)

# What a catalog asks of actions, where it has said so.
action_approval = Table(
    "action_approval",
    metadata,
    Column("catalog_id", Uuid, primary_key=True),
    Column("second_person_above", Integer, nullable=False),  # devices
    Column("expires_after_s", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
)
