# SPDX-License-Identifier: Apache-2.0
"""Which data exports run: so many for each catalog, so many for all catalogs, and some for nobody but the operator.

Each export that is enabled has a thread. One that would be too many is refused when it is enabled; what runs is never
stopped by one that comes later, also not after a restart, as exports are counted in the order in which they were made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from armillary.errors import ConflictError

# Exports that are enabled at once: each has a thread.
MAX_EXPORTS: Final = 64
# Of one catalog a quarter of them: every source to three places, and one to try.
MAX_EXPORTS_OF_CATALOG: Final = 16
# Of all catalogs together: what is left is the operator's own (exports of no catalog).
MAX_EXPORTS_OF_CATALOGS: Final = 48


class ExportPlaces:
    """Counts enabled exports by catalog."""

    def __init__(self) -> None:
        self._held: Counter[str | None] = Counter()

    def take(self, catalog: str | None) -> None:
        """Count one more; ``catalog`` is None for an export of no catalog.

        Raises:
            ConflictError: there is no place for it; it is not counted.
        """
        owner = None if catalog is None else catalog.lower()
        of_catalogs = sum(count for each, count in self._held.items() if each is not None)
        if self._held.total() >= MAX_EXPORTS:
            full = f"{MAX_EXPORTS} exports are enabled, which is all there may be"
        elif owner is not None and self._held[owner] >= MAX_EXPORTS_OF_CATALOG:
            full = f"{MAX_EXPORTS_OF_CATALOG} exports of the catalog are enabled, which is all that one may have"
        elif owner is not None and of_catalogs >= MAX_EXPORTS_OF_CATALOGS:
            full = f"{MAX_EXPORTS_OF_CATALOGS} exports of catalogs are enabled, which is all there may be"
        else:
            self._held[owner] += 1
            return
        raise ConflictError(full, remedy="Disable or delete another export, or keep this one disabled.")


def check_places(present: Mapping[str, Mapping[str, Any]], changed: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise where a change enables exports for which there is no place; what was enabled before may stay.

    Args:
        present: Bodies of all exports as they are, by id.
        changed: Bodies that are new, by id.

    Raises:
        ConflictError: there is none.
    """
    places = ExportPlaces()
    taken = {each for each, body in present.items() if _is_enabled(body) and not _moves(body, changed.get(each))}
    for body in (changed.get(each, present[each]) for each in taken):
        _take_present(places, body)
    for each, body in changed.items():
        if each not in taken and _is_enabled(body):
            places.take(_catalog(body))


def enabled_first(running: Iterable[str], ids: Iterable[str]) -> list[str]:
    """Ids, those that run already first and else in their order."""
    begun = frozenset(running)
    return sorted(ids, key=lambda each: each not in begun)


def _moves(before: Mapping[str, Any], after: Mapping[str, Any] | None) -> bool:
    """Whether an export gives up its place, or takes one of another catalog."""
    return after is not None and (not _is_enabled(after) or _catalog(before) != _catalog(after))


def _take_present(places: ExportPlaces, body: Mapping[str, Any]) -> None:
    try:
        places.take(_catalog(body))
    except ConflictError:  # of a time with another limit: it is there, and has no place
        return


def _is_enabled(body: Mapping[str, Any]) -> bool:
    return body.get("enabled", True) is True


def _catalog(body: Mapping[str, Any]) -> str | None:
    catalog = body.get("catalog")
    return catalog.lower() if isinstance(catalog, str) else None
