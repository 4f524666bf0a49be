# SPDX-License-Identifier: Apache-2.0
"""What people keep of the console's tables: views under a name, and the columns that they last chose.

Each is one owner's, a person's or a token's, and ends with it. A view is also of what its owner spoke for when it was
saved: who acts for another catalog sees none of this one's, since its filters may hold names of devices and groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.people import table_views as rows
from armillary.engines.records.people.table_views import TableView
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.context.context import Context
from armillary.wire.text.given_text import check_given_name

# Views are shown side by side above their table: more are a list that nobody looks through.
MAX_VIEWS_OF_TABLE: Final = 20
# Views of one owner: each is a row of two kilobytes at most.
MAX_VIEWS_OF_OWNER: Final = 200
# Tables for which one owner may keep columns; the console has some forty.
MAX_TABLES: Final = 200
MAX_NAME_CHARACTERS: Final = 40
MAX_QUERY_CHARACTERS: Final = 1500
MAX_PLACE_CHARACTERS: Final = 200
MAX_COLUMNS_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose views: a person or a token, by what it speaks for.

    Attributes:
        id: Of the person or the token.
        name: For the audit log.
        scope: Catalog and organisation that it speaks for; "" for all.
    """

    id: UUID
    name: str
    scope: str


class TableViews:
    """Lists, saves, renames and deletes views; remembers columns."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self, owner: Owner, place: str) -> tuple[TableView, ...]:
        """The owner's views of the table at a place, by name."""
        return self._context.records.read(lambda c: rows.at_place(c, owner.id, owner.scope, place))

    def get(self, owner: Owner, view_id: UUID) -> TableView:
        """One view of the owner. Raises NotFoundError."""
        return self._context.records.read(lambda c: _own(c, owner, view_id))

    def save(self, owner: Owner, place: str, name: str, query: str) -> TableView:
        """Save the table at a place as a view.

        Raises:
            InvalidArgumentError: the name is blank, too long or has invisible characters, or the address is too long.
            ConflictError: the table has a view of this name, or there are as many as there may be.
        """
        _check_name(name)
        if len(place) > MAX_PLACE_CHARACTERS or len(query) > MAX_QUERY_CHARACTERS:
            raise InvalidArgumentError(
                f"view: expected an address of at most {MAX_QUERY_CHARACTERS} characters after the page, "
                f"got {len(query)}",
                remedy="Use fewer filters.",
            )
        made = TableView(
            view_id=uuid4(), owner=owner.id, scope=owner.scope, place=place, name=name, query=query,
            created_at=self._context.now(),
        )  # fmt: skip

        def change(connection: Connection) -> TableView:
            there = rows.at_place(connection, owner.id, owner.scope, place)
            _check_free(there, name)
            if len(there) >= MAX_VIEWS_OF_TABLE:
                raise _full(f"this table has {len(there)} views, of {MAX_VIEWS_OF_TABLE} at most")
            if rows.count(connection, owner.id) >= MAX_VIEWS_OF_OWNER:
                raise _full(f"you have {MAX_VIEWS_OF_OWNER} views, which is as many as there may be")
            rows.add(connection, made)
            self._context.audit(connection, owner.name, "table-view.save", place, {"name": name})
            return made

        return self._context.records.write(change)

    def rename(self, owner: Owner, view_id: UUID, name: str) -> TableView:
        """Give a view another name.

        Raises:
            InvalidArgumentError: as :meth:`save`.
            NotFoundError: the owner has no such view.
            ConflictError: the table has another view of this name.
        """
        _check_name(name)

        def change(connection: Connection) -> TableView:
            found = _own(connection, owner, view_id)
            others = rows.at_place(connection, owner.id, owner.scope, found.place)
            _check_free([each for each in others if each.view_id != view_id], name)
            rows.rename(connection, view_id, name)
            detail = {"name": name, "before": found.name}
            self._context.audit(connection, owner.name, "table-view.rename", found.place, detail)
            return replace(found, name=name)

        return self._context.records.write(change)

    def delete(self, owner: Owner, view_id: UUID) -> TableView:
        """Delete a view. Raises NotFoundError."""

        def change(connection: Connection) -> TableView:
            found = _own(connection, owner, view_id)
            rows.remove(connection, view_id)
            self._context.audit(connection, owner.name, "table-view.delete", found.place, {"name": found.name})
            return found

        return self._context.records.write(change)

    def columns(self, owner: Owner, place: str) -> str | None:
        """The columns that the owner last chose for a table, with commas between; None where none was chosen."""
        return self._context.records.read(lambda c: rows.columns(c, owner.id, place))

    def choose_columns(self, owner: Owner, place: str, shown: str | None) -> None:
        """Remember the columns of a table, or with None forget them: a taste, of which the audit log says nothing.

        Raises:
            InvalidArgumentError: place or columns are longer than those of any table.
            ConflictError: columns of as many tables are remembered as may be.
        """
        if len(place) > MAX_PLACE_CHARACTERS or len(shown or "") > MAX_COLUMNS_CHARACTERS:
            raise InvalidArgumentError("columns: expected those of a table", remedy="Use the form above the table.")

        def change(connection: Connection) -> None:
            is_new = shown is not None and rows.columns(connection, owner.id, place) is None
            if is_new and rows.count_columns(connection, owner.id) >= MAX_TABLES:
                raise ConflictError(
                    f"columns of {MAX_TABLES} tables are remembered, which is as many as there may be",
                    remedy="Show all columns of another table.",
                )
            rows.choose_columns(connection, owner.id, place, shown)

        self._context.records.write(change)


def _own(connection: Connection, owner: Owner, view_id: UUID) -> TableView:
    found = rows.by_id(connection, owner.id, owner.scope, view_id)
    if found is None:
        raise NotFoundError("you have no such view", remedy="Reload the list: it may have been deleted.")
    return found


def _check_name(name: str) -> None:
    check_given_name(name, "name")
    if len(name) > MAX_NAME_CHARACTERS:
        raise InvalidArgumentError(
            f"name: expected at most {MAX_NAME_CHARACTERS} characters, got {len(name)}", remedy="Shorten it."
        )


def _check_free(there: Sequence[TableView], name: str) -> None:
    if any(each.name.lower() == name.lower() for each in there):
        raise ConflictError(f"this table has a view {name!r} already", remedy="Choose another name, or delete it.")


def _full(said: str) -> ConflictError:
    return ConflictError(said, remedy="Delete one that you do not use.")
