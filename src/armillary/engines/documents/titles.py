# SPDX-License-Identifier: Apache-2.0
"""Finds documents by what they are called, without reading what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from armillary.engines.database.transactions import Transactions
from armillary.engines.documents.document import check_kind

# Documents of a kind that a search looks through, those that changed last: some milliseconds.
MAX_LOOKED_THROUGH: Final = 2000
# What people call a document: a template's display name, else its name.
_TITLED: Final = """
WITH looked AS (SELECT kind, id, body FROM document WHERE kind = ?1 ORDER BY seq DESC LIMIT ?2),
titled AS (
    SELECT kind, id, coalesce(nullif(body ->> '$.display_name', ''), body ->> '$.name', id) AS name,
        body ->> '$.catalog' AS catalog
    FROM looked
)
SELECT kind, id, name, catalog FROM titled
WHERE (instr(lower(id), ?3) OR instr(lower(name), ?3) OR instr(name, ?4))
    AND (?5 IS NULL OR catalog IS NULL OR lower(catalog) = lower(?5))
ORDER BY lower(name), id LIMIT ?6
"""


@dataclass(frozen=True, slots=True)
class Title:
    """A document by what it is called; ``catalog`` is None of one of all catalogs."""

    kind: str
    id: str
    name: str
    catalog: str | None


class Titles:
    """What documents are called."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def having(self, kind: str, text: str, *, catalog: str | None, limit: int) -> tuple[Title, ...]:
        """Documents of a kind with a text in their id or name, of a catalog (None: of any) and of all, by name.

        The case of ASCII letters does not matter.
        """
        values = (check_kind(kind), MAX_LOOKED_THROUGH, text.lower(), text, catalog, limit)
        return tuple(Title(*row) for row in self._database.rows(_TITLED, values))
