# SPDX-License-Identifier: Apache-2.0
"""The tables of cases that must be reported, and of dossiers; part of ``schema.py``.

Entries of a case are inserted, and never changed or deleted. Cases and dossiers outlive their catalog: they are what
authorities were told.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    Uuid,
)

from armillary.engines.records.schema.tables import NAME_LENGTH, Number, metadata

reported_case = Table(
    "reported_case",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("case_id", Uuid, nullable=False, unique=True),
    Column("catalog_id", Uuid, index=True),  # null: of the whole service
    Column("product_id", Uuid),  # null: of all products of the catalog
    Column("kind", String(32), nullable=False),
    Column("title", Text, nullable=False),
    Column("closed_at", BigInteger, index=True),  # as its last entry says
)

reported_case_entry = Table(
    "reported_case_entry",
    metadata,
    Column("case_number", Number, ForeignKey("reported_case.number"), nullable=False),
    Column("number", Integer, nullable=False, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("stated_at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("reference", Text, nullable=False),
    Column("subject", String(32), nullable=False),
    PrimaryKeyConstraint("case_number", "number"),
)

# Dossiers that were made; the file is a blob.
dossier = Table(
    "dossier",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("dossier_id", Uuid, nullable=False, unique=True),
    Column("catalog_id", Uuid, index=True),  # null: of the whole service
    Column("product", String(NAME_LENGTH), nullable=False),  # empty: of all
    Column("made_at", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("states", Text, nullable=False),  # JSON: state of a statement -> how many
)
