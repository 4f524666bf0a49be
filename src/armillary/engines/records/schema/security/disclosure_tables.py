# SPDX-License-Identifier: Apache-2.0
"""The tables of what strangers report of vulnerabilities, and of how they are asked to; part of ``schema.py``.

What a report and its entries say is sealed with a secret of the keys folder: a copy of the database tells that there
are reports, when they came and how they stand, and nothing of what is in them.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    Uuid,
)

from armillary.engines.records.schema.tables import Number, metadata

# One row, or none where nothing was ever set.
disclosure_policy = Table(
    "disclosure_policy",
    metadata,
    Column("policy_id", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),  # JSON: ``service/disclosure/policies.py``
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
)

vulnerability_report = Table(
    "vulnerability_report",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("reference", String(32), nullable=False, unique=True),
    Column("received_at", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # regulation/vulnerability_report.py
    Column("catalog_id", Uuid, index=True),  # whose it was given to; null: nobody's but the service's
    Column("product_id", Uuid),
    Column("acknowledged_at", BigInteger),
    Column("told_at", BigInteger),  # when its writer last heard how it stands
    Column("closed_at", BigInteger),
    Column("sealed", LargeBinary, nullable=False),
    Index(None, "state", "number"),
)

# What was done about a report; entries are inserted, and never changed.
vulnerability_report_entry = Table(
    "vulnerability_report_entry",
    metadata,
    Column("report_number", Number, ForeignKey("vulnerability_report.number"), nullable=False),
    Column("number", Integer, nullable=False, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(16), nullable=False),
    Column("state", String(16), nullable=False),  # after it
    Column("sealed", LargeBinary, nullable=False),  # the note; empty for none
    PrimaryKeyConstraint("report_number", "number"),
)
