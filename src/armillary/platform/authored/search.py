# SPDX-License-Identifier: Apache-2.0
"""Search in what authors make, by name and id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from armillary.engines.documents.titles import MAX_LOOKED_THROUGH
from armillary.twin.template.name import split_id

if TYPE_CHECKING:
    from armillary.engines.documents.store import DocumentStore

KINDS: Final = ("dashboard", "rule", "template", "group", "job", "export")


def find(store: DocumentStore, kind: str, text: str, *, catalog: str | None, limit: int) -> list[dict[str, Any]]:
    """Documents of one of :data:`KINDS` that a text names: ``kind``, ``id``, ``name``, ``catalog``.

    Of a catalog those of it and of all; None for no limit. A template is one hit by its newest name, however many
    versions it has.
    """
    if kind != "template":
        found = store.titles.having(kind, text, catalog=catalog, limit=limit)
        return [{"kind": kind, "id": each.id, "name": each.name, "catalog": each.catalog} for each in found]
    newest: dict[str, tuple[int, dict[str, Any]]] = {}
    for each in store.titles.having(kind, text, catalog=catalog, limit=MAX_LOOKED_THROUGH):
        name, version = split_id(each.id)
        if version >= newest.get(name, (0, {}))[0]:
            newest[name] = version, {"kind": kind, "id": name, "name": each.name, "catalog": each.catalog}
    return [hit for _, hit in newest.values()][:limit]
