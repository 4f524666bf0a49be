# SPDX-License-Identifier: Apache-2.0
"""Transparency logs: tree hashes, checkpoints, witnesses, and the release log, which begins with what was there."""

from __future__ import annotations

import json
from collections import defaultdict

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"

# Of releases and images that were there before the log was.
_HELD_RELEASE = "release.held"
_HELD_IMAGE = "image.held"


def upgrade() -> None:
    """Apply. The tree of audit lines that are there is made later, in steps."""
    op.create_table(
        "transparency_log",
        sa.Column("log", sa.String(length=16), nullable=False),
        sa.Column("verifier_key", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log", name=op.f("pk_transparency_log")),
    )
    op.create_table(
        "log_subtree",
        sa.Column("log", sa.String(length=16), nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "level", "number", name=op.f("pk_log_subtree")),
    )
    op.create_table(
        "log_checkpoint",
        sa.Column("log", sa.String(length=16), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log", "size", name=op.f("pk_log_checkpoint")),
    )
    op.create_table(
        "log_witness",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("verifier_key", sa.Text(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_log_witness")),
    )
    op.create_table(
        "log_cosignature",
        sa.Column("log", sa.String(length=16), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("verifier_key", sa.String(length=256), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["log", "size"], ["log_checkpoint.log", "log_checkpoint.size"], name=op.f("fk_log_cosignature_log")
        ),
        sa.PrimaryKeyConstraint("log", "size", "verifier_key", name=op.f("pk_log_cosignature")),
    )
    op.create_table(
        "release_event",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("operation", sa.String(length=64), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_release_event")),
    )
    _begin_release_log()


def _begin_release_log() -> None:
    """An entry for each published release and each image that is held, by the time when it came."""
    connection = op.get_bind()
    components = defaultdict[str, dict[str, str]](dict)
    for row in connection.execute(sa.text("SELECT release_id, name, digest FROM os_component ORDER BY position")):
        components[row.release_id][row.name] = bytes(row.digest).hex()
    releases = sa.text(
        "SELECT release_id, chip, version, feed, published_at, withdrawn_at FROM os_release"
        " WHERE published_at IS NOT NULL"
    )
    found = [
        (
            row.published_at,
            _HELD_RELEASE,
            row.release_id,
            {
                "chip": row.chip,
                "version": row.version,
                "feed": row.feed,
                "components": components[row.release_id],
                "withdrawn": row.withdrawn_at is not None,
            },
        )
        for row in connection.execute(releases)
    ]
    images = sa.text("SELECT image_id, catalog_id, name, sha256, uploaded_at FROM image")
    found += [
        (
            row.uploaded_at,
            _HELD_IMAGE,
            row.image_id,
            {"catalog": _id(row.catalog_id), "name": row.name, "sha256": bytes(row.sha256).hex()},
        )
        for row in connection.execute(images)
    ]
    insert = sa.text("INSERT INTO release_event VALUES (:number, :at, :operation, :target, :detail)")
    for number, (at, operation, target, detail) in enumerate(sorted(found, key=lambda each: each[:3]), 1):
        said = json.dumps(detail, sort_keys=True, separators=(",", ":"))
        values = {"number": number, "at": at, "operation": operation, "target": _id(target), "detail": said}
        connection.execute(insert, values)


def _id(hexadecimal: str) -> str:
    """An id as text, from the digits that the database has."""
    digits = str(hexadecimal).replace("-", "")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
