# SPDX-License-Identifier: Apache-2.0
"""Lists pictures without their contents, which are most of their documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from armillary.engines.database.transactions import Transactions
from armillary.engines.documents.document import folded

KIND: Final = "picture"
_LISTED: Final = """
SELECT id, body ->> '$.name', body ->> '$.catalog', body ->> '$.media_type', body ->> '$.width', body ->> '$.height',
    length(body ->> '$.content'), changed_ms, changed_by
FROM document
WHERE kind = 'picture' AND id > ?1
    AND (?2 IS NULL OR body ->> '$.catalog' IS NULL OR lower(body ->> '$.catalog') = lower(?2))
    AND (instr(folded(id), ?3) OR instr(folded(coalesce(body ->> '$.name', '')), ?3))
ORDER BY id LIMIT ?4
"""
_COUNTED: Final = (
    "SELECT count(*) FROM document WHERE kind = 'picture' AND lower(coalesce(body ->> '$.catalog', '')) = lower(?1)"
)


@dataclass(frozen=True, slots=True)
class PictureLine:
    """A picture without its content; ``catalog`` is None of one of all catalogs."""

    id: str
    name: str
    catalog: str | None
    media_type: str
    width: int
    height: int
    characters: int  # of its content as base64
    changed_ms: int
    changed_by: str


class PictureDocuments:
    """Queries about pictures."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def listed(self, catalog: str | None, *, limit: int, after: str | None, text: str) -> tuple[PictureLine, ...]:
        """Pictures of a catalog (None: of any) and of all, by id, that have ``text`` in their name or id."""
        values = (after or "", catalog, folded(text), limit)
        return tuple(PictureLine(*row) for row in self._database.rows(_LISTED, values))

    def count(self, catalog: str | None) -> int:
        """How many pictures a catalog has; with None those of all catalogs."""
        return int(self._database.row(_COUNTED, (catalog or "",))[0])
