# SPDX-License-Identifier: Apache-2.0
"""The tables of roll-outs and of the devices that they started; part of ``schema.py``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, Uuid

from armillary.engines.records.schema.tables import Number, metadata

rollout = Table(
    "rollout",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("rollout_id", Uuid, nullable=False, unique=True),
    # Of applications: the group and what it gets. Both null: of an operating system.
    Column("group_id", Uuid, ForeignKey("device_group.group_id"), index=True),
    Column("deployment_id", Uuid, ForeignKey("deployment.deployment_id")),
    Column("previous_deployment_id", Uuid),
    Column("policy", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("cohort", Integer, nullable=False),
    Column("cohort_started_at", BigInteger),
    Column("reason", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("history", Text),  # JSON: a list of rows.RolloutEvent; null: nothing yet
    Column("due", BigInteger, nullable=False),  # devices of the newest cohort that have not started yet
    # Every device whose place in the roll-out's order (rollout/cohort.py) is no higher has its turn.
    Column("reach", BigInteger, nullable=False),
    # False: began before devices had places; what it had started by then stands in rollout_device alone.
    Column("by_place", Boolean, nullable=False),
    Column("reached_at", BigInteger),  # since when the newest cohort is good enough; null: it is not
    # Of an operating system: the release, the feed whose groups get it, and their only catalog (null: of all).
    Column("release_id", Uuid, ForeignKey("os_release.release_id")),
    Column("feed", String(16)),
    Column("only_catalog_id", Uuid),
    Column("from_feed", String(16)),  # the feed that the release was in before; null: not completed
    Column("action_id", Uuid),  # of the action whose devices alone get it; null: all of its groups
)

# Device groups that the rings of a roll-out of applications name, beside the one in its row.
rollout_group = Table(
    "rollout_group",
    metadata,
    Column("rollout_id", Uuid, ForeignKey("rollout.rollout_id"), primary_key=True),
    Column("group_id", Uuid, ForeignKey("device_group.group_id"), primary_key=True),
    Column("deployment_id", Uuid, ForeignKey("deployment.deployment_id"), nullable=False),
    Column("previous_deployment_id", Uuid),
    Index(None, "group_id"),
    Index(None, "deployment_id"),
)

rollout_device = Table(
    "rollout_device",
    metadata,
    Column("rollout_id", Uuid, ForeignKey("rollout.rollout_id"), primary_key=True),
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("cohort", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("offered_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("reason", Text, nullable=False),
    Column("failure", String(16)),  # the state in which it failed, kept when it is restored; null: it did not
    # From when its time runs: later than started_at while it waits for a window, or for an application.
    Column("timed_from", BigInteger, nullable=False),
    Index(None, "device_number"),
    # For the tally of a roll-out, and for the devices whose time is up: neither reads a row of the table.
    Index(None, "rollout_id", "cohort", "state", "failure", "finished_at"),
    Index(None, "rollout_id", "state", "timed_from"),
)

# The test of crash rates of a roll-out (detect/sequential.py), since it runs or was last resumed.
rollout_evidence = Table(
    "rollout_evidence",
    metadata,
    Column("rollout_id", Uuid, ForeignKey("rollout.rollout_id"), primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("position", Number, nullable=False),  # the last row of error_report that counts in it
    Column("document", Text, nullable=False),  # JSON: logarithms by milestone and ratio, devices that crashed
)

# How often a device has crashed since then, as far as it counts; gone when the roll-out has ended.
rollout_crash = Table(
    "rollout_crash",
    metadata,
    Column("rollout_id", Uuid, ForeignKey("rollout.rollout_id"), primary_key=True),
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("crashes", BigInteger, nullable=False),
)
