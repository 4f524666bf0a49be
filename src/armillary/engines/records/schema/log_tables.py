# SPDX-License-Identifier: Apache-2.0
"""The tables of transparency logs: tree hashes, checkpoints, witnesses, the release log; part of ``schema.py``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Integer, LargeBinary, String, Table, Text

from armillary.engines.records.schema.tables import Number, metadata

# Who each log says that it is; the row is made with the log's key, and never changes.
transparency_log = Table(
    "transparency_log",
    metadata,
    Column("log", String(16), primary_key=True),
    Column("verifier_key", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
)

# Hashes of whole subtrees of 256^level leaves, for levels above 0 (wire/transparency/tiles.py).
log_subtree = Table(
    "log_subtree",
    metadata,
    Column("log", String(16), primary_key=True),
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

# Every checkpoint that was ever signed, as its note without cosignatures.
log_checkpoint = Table(
    "log_checkpoint",
    metadata,
    Column("log", String(16), primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
)

log_witness = Table(
    "log_witness",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("verifier_key", Text, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Column("added_by", Text, nullable=False),
)

# The newest cosignature of each witness for a checkpoint, as a line of its note.
log_cosignature = Table(
    "log_cosignature",
    metadata,
    Column("log", String(16), primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("verifier_key", String(256), primary_key=True),
    Column("line", Text, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["log", "size"], ["log_checkpoint.log", "log_checkpoint.size"]),
)

# What was published, promoted and revoked; entries of the release log.
release_event = Table(
    "release_event",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("operation", String(64), nullable=False),
    Column("target", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
