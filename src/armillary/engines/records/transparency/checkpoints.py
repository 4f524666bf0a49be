# SPDX-License-Identifier: Apache-2.0
"""Who each log is, the checkpoints that were signed, and the witnesses with their cosignatures."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from armillary.engines.records.schema import log_tables
from armillary.engines.records.schema.rows import from_row, to_row

_log, _checkpoint = log_tables.transparency_log, log_tables.log_checkpoint
_witness, _cosignature = log_tables.log_witness, log_tables.log_cosignature


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRow:
    """A checkpoint as it was signed: a note with the log's signature alone. Times are Unix seconds UTC."""

    log: str
    size: int
    root: bytes
    note: str
    made_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessRow:
    """A witness whose cosignatures the service keeps."""

    name: str
    verifier_key: str
    added_at: int
    added_by: str


def key_of(connection: Connection, log: str) -> str | None:
    """The verifier key of a log; None before it was made."""
    return connection.execute(select(_log.c.verifier_key).where(_log.c.log == log)).scalar_one_or_none()


def add_log(connection: Connection, log: str, verifier_key: str, *, now: int) -> None:
    """Record who a log is."""
    connection.execute(insert(_log).values(log=log, verifier_key=verifier_key, made_at=now))


def newest(connection: Connection, log: str) -> CheckpointRow | None:
    """The newest checkpoint of a log; None before the first."""
    return _one(connection, log, None)


def of_size(connection: Connection, log: str, size: int) -> CheckpointRow | None:
    """The checkpoint of a size; None if none was signed."""
    return _one(connection, log, size)


def sizes(connection: Connection, log: str) -> dict[int, bytes]:
    """Size -> root of every checkpoint of a log, by size."""
    query = select(_checkpoint.c.size, _checkpoint.c.root).where(_checkpoint.c.log == log)
    return {row.size: bytes(row.root) for row in connection.execute(query.order_by(_checkpoint.c.size))}


def add(connection: Connection, made: CheckpointRow) -> None:
    """Record a checkpoint."""
    connection.execute(insert(_checkpoint).values(to_row(_checkpoint, made)))


def witnesses(connection: Connection) -> tuple[WitnessRow, ...]:
    """All witnesses, by name."""
    rows = connection.execute(select(_witness).order_by(_witness.c.name))
    return tuple(from_row(WitnessRow, row) for row in rows)


def add_witness(connection: Connection, made: WitnessRow) -> None:
    """Record a witness."""
    connection.execute(insert(_witness).values(to_row(_witness, made)))


def remove_witness(connection: Connection, name: str) -> bool:
    """Delete a witness, whose cosignatures stay; whether there was one."""
    return connection.execute(delete(_witness).where(_witness.c.name == name)).rowcount > 0


def cosignatures(connection: Connection, log: str, size: int) -> dict[str, str]:
    """Verifier key -> line of each cosignature of a checkpoint, by key."""
    here = (_cosignature.c.log == log) & (_cosignature.c.size == size)
    query = select(_cosignature.c.verifier_key, _cosignature.c.line).where(here)
    return {row.verifier_key: row.line for row in connection.execute(query.order_by(_cosignature.c.verifier_key))}


def keep_cosignature(connection: Connection, log: str, size: int, verifier_key: str, line: str, *, now: int) -> None:
    """Keep a cosignature in place of an older one of the same witness for the same checkpoint."""
    here = (_cosignature.c.log == log) & (_cosignature.c.size == size) & (_cosignature.c.verifier_key == verifier_key)
    changed = connection.execute(update(_cosignature).where(here).values(line=line, added_at=now)).rowcount
    if not changed:
        row = {"log": log, "size": size, "verifier_key": verifier_key, "line": line, "added_at": now}
        connection.execute(insert(_cosignature).values(row))


def cosigned_size(connection: Connection, log: str, verifier_key: str) -> int | None:
    """Size of the largest checkpoint that a witness has cosigned; None if none."""
    here = (_cosignature.c.log == log) & (_cosignature.c.verifier_key == verifier_key)
    found = connection.execute(select(func.max(_cosignature.c.size)).where(here)).scalar_one()
    return None if found is None else int(found)


def _one(connection: Connection, log: str, size: int | None) -> CheckpointRow | None:
    query = select(_checkpoint).where(_checkpoint.c.log == log)
    if size is not None:
        query = query.where(_checkpoint.c.size == size)
    row = connection.execute(query.order_by(_checkpoint.c.size.desc()).limit(1)).first()
    return None if row is None else from_row(CheckpointRow, row, root=bytes(row.root))
