# SPDX-License-Identifier: Apache-2.0
"""All that depends on the database engine: connections, durability, "insert unless it exists".

SQLite: WAL, so that readers never wait for the writer; ``synchronous=FULL``, so that a commit that was reported is on
the disk; foreign keys on. Python's driver would open transactions at moments of its own choice; that is switched off,
and BEGIN is written here: IMMEDIATE for the writer, plain (a snapshot) for readers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Select,
    Table,
    create_engine,
    delete,
    event,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError

from armillary.errors import DataFolderError

# Driver text of a statement over so many rows at once, parameters row by row.
RowsStatement = Callable[[int], str]
# Statements, each with rows of positional parameters.
Batch = Sequence[tuple[RowsStatement, Sequence[tuple[Any, ...]]]]

# Rows of one statement; few sizes, so that the driver has each one prepared. The driver releases and takes the
# interpreter lock for every statement: row by row, that costs 26 us a check-in.
ROWS_AT_ONCE = (64, 32, 16, 8, 4, 2, 1)

# Message when another process has changed rows of a batch meanwhile.
MOVED_ON = "a row is not what it was when the change was decided"
# Pages of 4 KiB that the write-ahead log may grow to before a commit copies them into the database file.
WAL_CHECKPOINT_PAGES = 4000
# Kibibytes of page cache of the writer and of each reader.
WRITER_CACHE_KIB = 512
READER_CACHE_KIB = 256
# Others that hold the lock: our own checkpoint, and the writers of device workers, for one batch each. With two workers
# under full load a change of the service waited 24 ms at most.
BUSY_TIMEOUT_MS = 10_000
# Readers at the same time: FastAPI's thread pool has 40 threads, but reads are short.
READERS = 4


def open_writer(database: Path) -> Engine:
    """An engine whose one connection writes; every transaction takes the write lock at its beginning."""
    engine = create_engine(f"sqlite:///{database}", pool_size=1, max_overflow=0, pool_reset_on_return=None)
    _configure(engine, begin="BEGIN IMMEDIATE", cache_kib=WRITER_CACHE_KIB, query_only=False)
    return engine


def open_readers(database: Path) -> Engine:
    """An engine whose connections can only read; every transaction sees one snapshot."""
    engine = create_engine(f"sqlite:///{database}", pool_size=READERS, max_overflow=32)
    _configure(engine, begin="BEGIN", cache_kib=READER_CACHE_KIB, query_only=True)
    return engine


def _configure(engine: Engine, *, begin: str, cache_kib: int, query_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode[0] != "wal":
            raise DataFolderError(
                f"the database's file system does not support write-ahead logging (mode {mode[0]!r})",
                remedy="Put the data folder on a local file system.",
            )
        for pragma in (
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            f"wal_autocheckpoint={WAL_CHECKPOINT_PAGES}",
            f"cache_size=-{cache_kib}",
            f"query_only={'ON' if query_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def execute_batch(connection: Connection, batch: Batch) -> None:
    """Run a few statements over many rows each, in one transaction, through the driver alone.

    An SQLAlchemy transaction costs 250 us of bookkeeping where the statements cost 20; a single check-in would pay it
    all.

    Raises:
        sqlalchemy.exc.IntegrityError: a row breaks a uniqueness rule, or one to update has changed meanwhile; nothing
            was committed.
    """
    raw: Any = connection.connection.driver_connection
    raw.execute("BEGIN IMMEDIATE")
    try:
        due = raw.total_changes + sum(len(rows) for _, rows in batch)
        for statement, rows in batch:
            for text, values in in_portions(statement, rows):
                raw.execute(text, values)
        _check_moved(raw.total_changes, due)
        raw.execute("COMMIT")
    except sqlite3.IntegrityError as error:
        raw.execute("ROLLBACK")
        raise IntegrityError(batch[0][0](1), None, error) from error
    except BaseException:  # undo it, whatever was raised
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise


def _check_moved(changed: int, due: int) -> None:
    if changed != due:
        raise sqlite3.IntegrityError(MOVED_ON)


def in_portions(statement: RowsStatement, rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Texts and parameters that together run a statement over all rows."""
    start = 0
    for size in ROWS_AT_ONCE:
        while len(rows) - start >= size:
            yield statement(size), tuple(chain.from_iterable(rows[start : start + size]))
            start += size


def insert_rows(table: Table, columns: Sequence[str]) -> RowsStatement:
    """INSERT of many rows; parameters in the order of ``columns``."""
    head = f"INSERT INTO {table.name} ({_quoted(columns)})"

    @cache
    def text(count: int) -> str:
        return f"{head} {_values(len(columns), count)}"

    return text


def changes(connection: Connection) -> int:
    """How many rows this connection has changed since it was opened."""
    raw: Any = connection.connection.driver_connection
    return int(raw.total_changes)


def update_rows(table: Table, columns: Sequence[str], key: str, unmoved: str | None = None) -> RowsStatement:
    """UPDATE of many rows, found by ``key``, each at most once; parameters in the order of ``columns``, then the key.

    With ``unmoved`` there is one more: the value that this column must still have, None for any. A row that another
    process has changed meanwhile is left as it is.
    """
    names = (*columns, key) if unmoved is None else (*columns, key, "unmoved")
    assigned = ", ".join(f'"{name}" = given."{name}"' for name in columns)
    tail = f'UPDATE {table.name} SET {assigned} FROM given WHERE {table.name}."{key}" = given."{key}"'  # noqa: S608 - names of the schema
    if unmoved is not None:
        tail += f' AND {table.name}."{unmoved}" = coalesce(given."unmoved", {table.name}."{unmoved}")'

    @cache
    def text(count: int) -> str:
        return f"WITH given ({_quoted(names)}) AS ({_values(len(names), count)}) {tail}"

    return text


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _values(width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"VALUES {', '.join([row] * count)}"


def fetch(connection: Connection, statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Rows of one statement in driver text, outside any transaction: it sees what is committed now."""
    raw: Any = connection.connection.driver_connection
    rows: list[tuple[Any, ...]] = raw.execute(statement, parameters).fetchall()
    return rows


def inserted(table: Table) -> ColumnElement[int]:
    """The order in which rows of a table without a number of its own were inserted, for rows of equal time."""
    return literal_column(f"{table.name}.rowid", Integer)


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows that break no uniqueness rule, and leave out the others; returns how many were inserted."""
    if not rows:
        return 0
    statement: Any
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - 2 MB that the embedded engine never needs

        statement = postgresql.insert(table).on_conflict_do_nothing()
    else:
        statement = sqlite_insert(table).on_conflict_do_nothing()
    statement = statement.execution_options(preserve_rowcount=True)  # else PostgreSQL's is not known
    return sum(connection.execute(statement, dict(row)).rowcount for row in rows)


def insert_selected(connection: Connection, table: Table, columns: Sequence[str], rows: Select[Any]) -> int:
    """Insert what a query selects, but for rows that break a uniqueness rule; returns how many were inserted.

    ``rows`` has a WHERE clause: without one SQLite's grammar takes ON CONFLICT for a join's condition.
    """
    statement: Any
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - 2 MB that the embedded engine never needs

        statement = postgresql.insert(table)
    else:
        statement = sqlite_insert(table)
    statement = statement.from_select(list(columns), rows).on_conflict_do_nothing()
    return connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount


def keep_newest(connection: Connection, table: Table, most: int, *, also: ColumnElement[bool] | None = None) -> int:
    """Delete the rows of each device beyond its newest ``most``, by ``number``; returns how many.

    ``table`` has ``device_number`` and ``number``; only rows for which ``also`` holds are deleted.
    """
    columns = table.c
    count = func.count()
    full = select(columns.device_number).group_by(columns.device_number).having(count > most)
    removed = 0
    for device in connection.execute(full).scalars().all():
        mine = columns.device_number == device
        newest = select(columns.number).where(mine).order_by(columns.number.desc()).offset(most - 1).limit(1)
        oldest_kept = connection.execute(newest).scalar_one()
        gone = delete(table).where(mine, columns.number < oldest_kept)
        removed += connection.execute(gone if also is None else gone.where(also)).rowcount
    return removed


def positional(statement: Any, engine: Engine, columns: Sequence[str]) -> str:
    """Driver text of a statement with its parameters in the order of ``columns``.

    For the look-ups of the check-in path, where a dictionary and a type conversion per value would cost
    more than the statement itself.
    """
    compiled = statement.compile(dialect=engine.dialect, column_keys=list(columns))
    order = compiled.positiontup or []
    if list(order) != list(columns):
        raise AssertionError(f"statement takes {order}, not {list(columns)}")
    return str(compiled)
