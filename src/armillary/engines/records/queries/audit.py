# SPDX-License-Identifier: Apache-2.0
"""The audit chain: each line's hash covers the line before it, so that nothing can be changed or left out unseen.

::

    hash_n = SHA-256(hash_n-1 || JSON [number, at, actor, operation, target, detail] with sorted keys, no spaces)
    hash_0 = 32 zero bytes

A chain cannot show that its end was cut off, and whoever can write the database can make a whole new one. So the lines
are also the leaves of a Merkle tree (``engines/records/transparency/tree.py``), whose checkpoints are kept elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select

from armillary.engines.database.outbox import AuditEntry
from armillary.engines.records.queries.pages import newest_first, portions
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import AuditLine, AuditVerification, Page, from_row
from armillary.engines.records.transparency import tree
from armillary.engines.records.transparency.walk import TreeWalk, releases_forked_at
from armillary.wire.transparency.entry import AUDIT, detail_text, leaf_of

EMPTY_HASH = bytes(32)
# Lines read at once while the chain is walked.
VERIFY_STEP = 1000

_table = schema.audit_line


def append(connection: Connection, *entries: AuditEntry) -> None:
    """Append lines inside the caller's transaction, but none for an entry with an id that has its line already."""
    last = select(_table.c.number, _table.c.hash).order_by(_table.c.number.desc()).limit(1)
    for entry in entries:
        with_id = select(_table.c.number).where(_table.c.entry_id == entry.entry_id)
        if entry.entry_id and connection.execute(with_id).first() is not None:
            continue
        newest = connection.execute(last).first()
        number, previous = (1, EMPTY_HASH) if newest is None else (newest.number + 1, bytes(newest.hash))
        detail = detail_text(entry.detail_of(None) or {})
        line: dict[str, Any] = {
            "number": number,
            "at": entry.at,
            "actor": entry.actor,
            "operation": entry.operation,
            "target": entry.target,
            "detail": detail,
        }
        made = {"previous_hash": previous, "hash": _hash(previous, **line)}
        connection.execute(insert(_table).values(line | made | {"entry_id": entry.entry_id or None}))
        tree.extend(connection, AUDIT, number, leaves)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which lines; what is None leaves out nothing."""

    target: str | None = None  # What was done something to
    actor: str | None = None  # Who did it
    operation: str | None = None  # ``device.revoke``, or ``device`` for all that begin with ``device.``
    since: int | None = None  # At or after, Unix seconds
    until: int | None = None  # Before


EVERY_LINE = AuditFilter()


def page(
    connection: Connection, *, limit: int, before: int | None, wanted: AuditFilter = EVERY_LINE, rising: bool = False
) -> Page[AuditLine]:
    """Lines, newest first, or with ``rising`` oldest first; ``before`` is the last number of the page before.

    Who, what exactly and to what are read by an index; families of operations and times are looked for line by line.
    """
    query = select(_table).where(*_conditions(wanted))
    return newest_first(connection, query, _table, _line, limit=limit, before=before, rising=rising)


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for column, value in ((_table.c.target, wanted.target), (_table.c.actor, wanted.actor)):
        if value is not None:
            found.append(column == value)
    if wanted.operation is not None:
        if "." in wanted.operation:
            found.append(_table.c.operation == wanted.operation)
        else:  # "/" follows "." : the range has all that begin with the word and a dot, and no other
            begins = and_(_table.c.operation > f"{wanted.operation}.", _table.c.operation < f"{wanted.operation}/")
            found.append(begins)
    if wanted.since is not None:
        found.append(_table.c.at >= wanted.since)
    if wanted.until is not None:
        found.append(_table.c.at < wanted.until)
    return found


def of_targets(connection: Connection, targets: Sequence[str], *, limit: int) -> tuple[AuditLine, ...]:
    """The newest lines about any of these targets, newest first."""
    found: list[AuditLine] = []
    for some in portions(targets):
        query = select(_table).where(_table.c.target.in_(some)).order_by(_table.c.number.desc()).limit(limit)
        found += (_line(row) for row in connection.execute(query))
    return tuple(sorted(found, key=lambda line: line.number, reverse=True)[:limit])


def some_after(connection: Connection, number: int, *, operations: Sequence[str], limit: int) -> tuple[AuditLine, ...]:
    """Lines of some operations with higher numbers, in order."""
    query = select(_table).where(_table.c.number > number, _table.c.operation.in_(operations))
    return tuple(_line(row) for row in connection.execute(query.order_by(_table.c.number).limit(limit)))


def last_number(connection: Connection) -> int:
    """Number of the newest line; 0 before the first."""
    return int(connection.execute(select(func.coalesce(func.max(_table.c.number), 0))).scalar_one())


def leaves(connection: Connection, first: int, count: int) -> Sequence[bytes]:
    """The leaves of lines from an index on, which is one less than the number; fewer where there are no more."""
    query = select(_table).where(_table.c.number > first, _table.c.number <= first + count).order_by(_table.c.number)
    return [_leaf(row) for row in connection.execute(query)]


def numbers_of(connection: Connection, target: str, limit: int) -> tuple[int, ...]:
    """The numbers of the newest lines of a target, in their order."""
    query = select(_table.c.number).where(_table.c.target == target).order_by(_table.c.number.desc()).limit(limit)
    return tuple(sorted(connection.execute(query).scalars()))


def verify(connection: Connection) -> AuditVerification:
    """Walk the whole chain, and build its tree anew: every line, every kept hash, every checkpoint; so the release log.

    What comes after a broken line is not looked at.
    """
    lines, head, walk = 0, EMPTY_HASH, TreeWalk(connection, AUDIT)
    broken_at: int | None = None
    while broken_at is None:
        query = select(_table).where(_table.c.number > lines).order_by(_table.c.number).limit(VERIFY_STEP)
        rows = connection.execute(query).all()
        for row in rows:
            expected = _hash(head, row.number, row.at, row.actor, row.operation, row.target, row.detail)
            if row.number != lines + 1 or bytes(row.previous_hash) != head or bytes(row.hash) != expected:
                broken_at = row.number
                break
            lines, head = row.number, expected
            walk.add(_leaf(row))
        if len(rows) < VERIFY_STEP:
            break
    total = connection.execute(select(func.count()).select_from(_table)).scalar_one()
    if broken_at is None and total != lines:
        broken_at = lines + 1
    root = walk.end()
    return AuditVerification(
        lines=lines,
        head=head,
        broken_at=broken_at,
        root=root,
        forked_at=walk.forked_at if broken_at is None else None,
        releases_forked_at=releases_forked_at(connection),
    )


def _hash(previous: bytes, number: int, at: int, actor: str, operation: str, target: str, detail: str) -> bytes:
    return sha256(previous + leaf_of(number, at, actor, operation, target, detail)).digest()


def _leaf(row: Row[Any]) -> bytes:
    return leaf_of(row.number, row.at, row.actor, row.operation, row.target, row.detail)


def _line(row: Row[Any]) -> AuditLine:
    return from_row(
        AuditLine, row, detail=json.loads(row.detail), previous_hash=bytes(row.previous_hash), hash=bytes(row.hash)
    )
