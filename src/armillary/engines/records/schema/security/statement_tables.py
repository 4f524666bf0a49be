# SPDX-License-Identifier: Apache-2.0
"""The table of VEX statements that operators make here; part of ``schema.py``.

A statement is inserted and signed once. Taking it back sets three columns and deletes nothing: what held on an earlier
day can be asked for.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text, Uuid

from armillary.engines.records.schema.tables import Number, metadata

own_statement = Table(
    "own_statement",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("statement_id", Uuid, nullable=False, unique=True),
    Column("catalog_id", Uuid),  # null: of the whole service, which is about a release
    Column("vulnerability", String(128), nullable=False),
    Column("stated_at", BigInteger, nullable=False),
    Column("signed", LargeBinary, nullable=False),  # COSE_Sign1 of all that it says: wire/advisory/own_statement.py
    Column("made_by", Text, nullable=False),
    Column("taken_back_at", BigInteger),
    Column("taken_back_by", Text),
    Column("taken_back_reason", Text),
    Index(None, "vulnerability"),
    Index(None, "catalog_id", "number"),
)
