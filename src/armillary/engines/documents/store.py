# SPDX-License-Identifier: Apache-2.0
"""The open document store: one writer, concurrent readers; a change is durable before it returns.

Calls wait for the disk: make them from threads, not in an event loop. A change of any number of documents is one
transaction. Each version has a number over all documents (``seq``) and an ETag made of it, so that an ETag is never
used again, not even after a deletion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armillary.engines.database.outbox import AuditOutboxes, Author, Outbox, name_of
from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import Transactions
from armillary.engines.documents.database import open_database
from armillary.engines.documents.document import (
    Document,
    check_id,
    check_kind,
    check_match,
    decode_body,
    encode_body,
    folded,
    not_found,
)
from armillary.engines.documents.pictures import PictureDocuments
from armillary.engines.documents.titles import Titles
from armillary.errors import InvalidArgumentError

# Versions before the present one that are kept of a document, and how many characters they may have together: the
# newest are kept, and at least one.
MAX_HISTORY = 50
MAX_HISTORY_CHARACTERS = 4 << 20
# Of these kinds fewer: there are many devices, and what changes of them is in the audit log as well; pictures are
# large, and nobody goes back to an earlier one.
MAX_HISTORY_OF = {"device": 5, "picture": 0}

# Deleted documents of a kind whose history is kept.
MAX_DELETED = 500

# Rows of one page, and documents of one change: an import of a whole application is one.
MAX_LIMIT = 1000
MAX_CHANGES = 20_000

_PRESENT = "SELECT kind, id, version, seq, changed_ms, changed_by, body FROM document "
# What people call a document: a template's display name, else its name.
_CALLED = "coalesce(nullif(body ->> '$.display_name', ''), body ->> '$.name', '')"
_HAS_TEXT = f" AND (instr(folded(id), ?) OR instr(folded({_CALLED}), ?))"
_PAST = "SELECT kind, id, version, seq, changed_ms, changed_by, body FROM history "
_TO_HISTORY = "INSERT INTO history (kind, id, version, seq, changed_ms, changed_by, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
_REPLACE = (
    "INSERT INTO document (kind, id, version, seq, changed_ms, changed_by, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, seq = excluded.seq,"
    " changed_ms = excluded.changed_ms, changed_by = excluded.changed_by, body = excluded.body"
)


@dataclass(frozen=True, slots=True)
class Put:
    """Store ``body`` under kind and id; ``if_match`` as of :meth:`DocumentStore.put`."""

    kind: str
    id: str
    body: Mapping[str, Any]
    if_match: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a document; ``if_match`` as of :meth:`DocumentStore.put`."""

    kind: str
    id: str
    if_match: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """Documents by id; ``next_after`` continues the list, None at its end."""

    items: tuple[Document, ...]
    next_after: str | None


class DeviceDocuments:
    """Queries about the templates of devices, which their documents name."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def of_template(self, template: str, *, limit: int = MAX_LIMIT, after: str | None = None) -> DocumentPage:
        """Documents of the devices that have a template, by device id."""
        rows = self._database.rows(
            _PRESENT + "WHERE kind = 'device' AND json_extract(body, '$.template') = ? AND id > ? ORDER BY id LIMIT ?",
            (check_id(template), after or "", _bounded(limit) + 1),
        )
        return _page(rows, limit)

    def ids_of_template(self, template: str) -> tuple[str, ...]:
        """Ids of all devices that have a template, without their documents."""
        query = "SELECT id FROM document WHERE kind = 'device' AND json_extract(body, '$.template') = ? ORDER BY id"
        return tuple(row[0] for row in self._database.rows(query, (check_id(template),)))

    def modules_of(self, device_id: str) -> tuple[str, ...]:
        """Ids (``device/module``) of the modules of a device that have a document; none of a module."""
        # "0" is the character after "/"
        query = "SELECT id FROM document WHERE kind = 'device' AND id > ? AND id < ? ORDER BY id"
        return tuple(row[0] for row in self._database.rows(query, (f"{device_id}/", f"{device_id}0")))

    def templates_of(self, device_ids: Sequence[str]) -> tuple[tuple[str, int], ...]:
        """The (template, version) pairs of devices, most frequent first; reads at most MAX_LIMIT devices."""
        ids = tuple(device_ids[:MAX_LIMIT])
        marks = ", ".join("?" * len(ids))
        query = (
            "SELECT json_extract(body, '$.template') AS template, json_extract(body, '$.version') AS version "  # noqa: S608 - marks only
            f"FROM document WHERE kind = 'device' AND id IN ({marks}) AND template IS NOT NULL "
            "GROUP BY template, version ORDER BY count(*) DESC, template, version DESC"
        )
        return tuple((str(row[0]), int(row[1] or 0)) for row in self._database.rows(query, ids))


class DocumentStore:
    """Documents of one hub.

    The caller holds the lock of ``folder``; ``clock`` returns Unix time in seconds.

    Raises:
        DataFolderError: the database cannot be opened.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float], audit: AuditOutboxes | None = None) -> None:
        self._clock = clock
        self._database = open_database(folder)
        self.outbox = Outbox(audit, self._database.read, self._database.write)
        self.devices = DeviceDocuments(self._database)
        self.titles = Titles(self._database)
        self.pictures = PictureDocuments(self._database)
        # Called after each commit with the documents that changed (a deletion has no body), in the thread that changed
        # them, in the order of the commits. Must be quick and must not call the store's changes.
        self.on_change: list[Callable[[Sequence[Document]], None]] = []

    def close(self) -> None:
        """Close the database; the file then no longer needs its write-ahead log. May be called twice."""
        self._database.close()

    # Reading ------------------------------------------------------------------------------------------------

    def get(self, kind: str, document_id: str) -> Document:
        """The current version of a document.

        Raises:
            NotFoundError: there is none.
            InvalidArgumentError: no such kind, or no id.
        """
        found = self.find(kind, document_id)
        if found is None:
            raise not_found(kind, document_id)
        return found

    def find(self, kind: str, document_id: str) -> Document | None:
        """As :meth:`get`; None when there is none."""
        values = (check_kind(kind), check_id(document_id, kind))
        row = self._database.row(_PRESENT + "WHERE kind = ? AND id = ?", values)
        return None if row is None else _document(row)

    def list(
        self, kind: str, *, limit: int = MAX_LIMIT, after: str | None = None, prefix: str = "", text: str = ""
    ) -> DocumentPage:
        """Documents of a kind by id, whose ids begin with ``prefix``; at most ``limit`` and MAX_LIMIT.

        ``after`` is ``next_after`` of the page before. ``text`` stands in the id or the name of each, in upper or lower
        case; no character of it is a wildcard.
        """
        has_text, texts = (_HAS_TEXT, (folded(text), folded(text))) if text else ("", ())
        rows = self._database.rows(
            f"{_PRESENT}WHERE kind = ? AND id > ? AND id >= ? AND id < ?{has_text} ORDER BY id LIMIT ?",
            (check_kind(kind), after or "", prefix, prefix + "\U0010ffff", *texts, _bounded(limit) + 1),
        )
        return _page(rows, limit)

    def count(self, kind: str) -> int:
        """How many documents of a kind exist."""
        return int(self._database.row("SELECT count(*) FROM document WHERE kind = ?", (check_kind(kind),))[0])

    def history(self, kind: str, document_id: str) -> tuple[Document, ...]:
        """Every stored version of a document, newest first; also of a deleted document.

        Raises:
            NotFoundError: it never existed, or its history was deleted.
        """
        values = (check_kind(kind), check_id(document_id, kind)) * 2
        rows = self._database.rows(
            _PRESENT + "WHERE kind = ? AND id = ? UNION ALL " + _PAST + "WHERE kind = ? AND id = ? ORDER BY seq DESC",
            values,
        )
        if not rows:
            raise not_found(kind, document_id)
        return tuple(_document(row) for row in rows)

    def all(self, kinds: Iterable[str]) -> tuple[Document, ...]:
        """Every document of some kinds in one snapshot, by kind and id."""
        wanted = [check_kind(kind) for kind in kinds]
        marks = ", ".join("?" * len(wanted))
        query = _PRESENT + f"WHERE kind IN ({marks}) ORDER BY kind, id"
        return tuple(_document(row) for row in self._database.rows(query, tuple(wanted)))

    def oldest_first(self, kind: str) -> tuple[Document, ...]:
        """Every document of a kind in the order in which they were made first."""
        rows = self._database.rows(_PRESENT + "WHERE kind = ? ORDER BY number", (check_kind(kind),))
        return tuple(_document(row) for row in rows)

    @property
    def seq(self) -> int:
        """Number of changes so far: differs when anything has changed."""
        return int(self._database.row("SELECT value FROM progress WHERE name = 'seq'")[0])

    # Changing -----------------------------------------------------------------------------------------------

    def put(
        self, kind: str, document_id: str, body: Mapping[str, Any], *, by: Author, if_match: str | None = None
    ) -> Document:
        """Store a new version of a document, or its first; a body equal to the current one makes no version.

        Args:
            kind: One of KINDS.
            document_id: Its id.
            body: Checked by the caller.
            by: As of :meth:`change`.
            if_match: ETag of the version that the caller has read; ``*`` for any version; "" for a document that
                must not exist; None to skip the check.

        Raises:
            ConflictError: ``if_match`` does not hold (code ``request.precondition``).
            InvalidArgumentError: kind, id or body is not allowed.
            DataFolderError: the disk fails.
        """
        return self.change([Put(kind, document_id, body, if_match)], by=by)[0]

    def delete(self, kind: str, document_id: str, *, by: Author, if_match: str | None = None) -> None:
        """Delete a document; its history is kept for a while.

        Raises:
            NotFoundError: it does not exist.
            ConflictError, DataFolderError: as :meth:`put`.
        """
        self.change([Delete(kind, document_id, if_match)], by=by)

    def change(self, changes: Sequence[Put | Delete], *, by: Author) -> tuple[Document, ...]:
        """Make changes in one transaction; returns the new version of each, in order.

        ``by`` is who changes it, or the audit entry that is kept with it, its detail made of what this returns.

        Raises:
            ConflictError, NotFoundError, InvalidArgumentError, DataFolderError: nothing was changed.
        """
        if len(changes) > MAX_CHANGES:
            raise InvalidArgumentError(f"expected at most {MAX_CHANGES} changes at once, got {len(changes)}")
        checked = [_checked(change) for change in changes]
        now_ms = int(self._clock() * 1000)
        name, news = name_of(by), list[Document]()
        return self.outbox.commit(
            lambda connection: tuple(_change(connection, change, text, name, now_ms, news) for change, text in checked),
            by,
            committed=lambda _: self._tell(news),
        )

    # Inside -------------------------------------------------------------------------------------------------

    def _tell(self, news: Sequence[Document]) -> None:
        if news:
            for listener in self.on_change:
                listener(news)


def _bounded(limit: int) -> int:
    if limit < 1:
        raise InvalidArgumentError(f"limit: expected 1 to {MAX_LIMIT}, got {limit}", remedy="Ask for at least one.")
    return min(limit, MAX_LIMIT)


def _page(rows: Sequence[tuple[Any, ...]], limit: int) -> DocumentPage:
    bound = _bounded(limit)
    items = tuple(_document(row) for row in rows[:bound])
    return DocumentPage(items, items[-1].id if len(rows) > bound else None)


def _document(row: tuple[Any, ...]) -> Document:
    kind, document_id, version, seq, changed_ms, changed_by, body = row
    return Document(
        kind=kind,
        id=document_id,
        version=version,
        etag=_etag(seq),
        changed_ms=changed_ms,
        changed_by=changed_by,
        body=None if body is None else decode_body(body),
    )


def _etag(seq: int) -> str:
    return f"d-{seq}"


def _checked(change: Put | Delete) -> tuple[Put | Delete, str | None]:
    check_kind(change.kind)
    check_id(change.id, change.kind)
    return change, encode_body(change.body) if isinstance(change, Put) else None


def _change(
    connection: Connection, change: Put | Delete, text: str | None, by: str, now_ms: int, news: list[Document]
) -> Document:
    """Apply one change; returns the current version, which ``news`` gets if it is new."""
    name = (change.kind, change.id)
    present = connection.execute(_PRESENT + "WHERE kind = ? AND id = ?", name).fetchone()
    check_match(change.kind, change.id, change.if_match, None if present is None else _etag(present[3]))
    if present is None and text is None:
        raise not_found(*name)
    if present is not None and present[6] == text:
        return _document(present)
    last = present[2] if present is not None else _last_version(connection, name)
    seq = connection.execute("UPDATE progress SET value = value + 1 WHERE name = 'seq' RETURNING value").fetchone()[0]
    if present is not None:
        connection.execute(_TO_HISTORY, present)
    row = (*name, last + 1, seq, now_ms, by, text)
    if text is None:
        connection.execute("DELETE FROM document WHERE kind = ? AND id = ?", name)
        connection.execute(_TO_HISTORY, row)
        _forget_deleted(connection, change.kind)
    else:
        connection.execute(_REPLACE, row)
    _forget_old(connection, name)
    news.append(_document(row))
    return news[-1]


def _last_version(connection: Connection, name: tuple[str, str]) -> int:
    row = connection.execute("SELECT max(version) FROM history WHERE kind = ? AND id = ?", name).fetchone()
    return int(row[0] or 0)


def _forget_old(connection: Connection, name: tuple[str, str]) -> None:
    """Delete a document's history beyond its limits."""
    rows = connection.execute(
        "SELECT seq, length(coalesce(body, '')) FROM history WHERE kind = ? AND id = ? ORDER BY seq DESC", name
    ).fetchall()
    most = MAX_HISTORY_OF.get(name[0], MAX_HISTORY)
    characters = 0
    for index, (seq, length) in enumerate(rows):
        characters += length
        if index >= most or (index and characters > MAX_HISTORY_CHARACTERS):
            connection.execute("DELETE FROM history WHERE kind = ? AND id = ? AND seq <= ?", (*name, seq))
            return


def _forget_deleted(connection: Connection, kind: str) -> None:
    """Delete the histories of a kind's deleted documents beyond MAX_DELETED, the oldest first."""
    rows = connection.execute(
        "SELECT id, max(seq) AS last FROM history h WHERE kind = ?1 AND body IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM document d WHERE d.kind = ?1 AND d.id = h.id) GROUP BY id ORDER BY last DESC"
        " LIMIT -1 OFFSET ?2",
        (kind, MAX_DELETED),
    ).fetchall()
    connection.executemany("DELETE FROM history WHERE kind = ? AND id = ?", [(kind, row[0]) for row in rows])
