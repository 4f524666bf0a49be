# SPDX-License-Identifier: Apache-2.0
"""Limits of how many data exports are enabled: of one catalog, of all catalogs together, and in all.

Each enabled export has a thread. An export beyond a limit is refused when it is enabled; one that runs is never stopped
by a later one, not even after a restart, as exports are counted in the order in which they were made.
"""

from __future__ import annotations

import contextlib
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


class EnabledExports:
    """Counts enabled exports by catalog, up to the limits."""

    def __init__(self) -> None:
        self._of_catalog: Counter[str | None] = Counter()

    def take(self, catalog: str | None) -> None:
        """Count one more; ``catalog`` is None for an export of all catalogs.

        Raises:
            ConflictError: it is beyond a limit, and not counted.
        """
        owner = None if catalog is None else catalog.lower()
        of_catalogs = sum(count for each, count in self._of_catalog.items() if each is not None)
        if self._of_catalog.total() >= MAX_EXPORTS:
            full = f"{MAX_EXPORTS} exports are enabled, which is all there may be"
        elif owner is not None and self._of_catalog[owner] >= MAX_EXPORTS_OF_CATALOG:
            full = f"{MAX_EXPORTS_OF_CATALOG} exports of the catalog are enabled, which is all that one may have"
        elif owner is not None and of_catalogs >= MAX_EXPORTS_OF_CATALOGS:
            full = f"{MAX_EXPORTS_OF_CATALOGS} exports of catalogs are enabled, which is all there may be"
        else:
            self._of_catalog[owner] += 1
            return
        raise ConflictError(full, remedy="Disable or delete another export, or keep this one disabled.")


def check_limits(present: Mapping[str, Mapping[str, Any]], changed: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ConflictError if a change enables exports beyond a limit; exports that were enabled before may stay.

    ``present`` has the bodies of all exports as they are, by id; ``changed`` those that are new.
    """
    enabled = EnabledExports()
    taken = {each for each, body in present.items() if _is_enabled(body) and not _moves(body, changed.get(each))}
    for body in (changed.get(each, present[each]) for each in taken):
        _take_present(enabled, body)
    for each, body in changed.items():
        if each not in taken and _is_enabled(body):
            enabled.take(_catalog(body))


def enabled_first(running: Iterable[str], ids: Iterable[str]) -> list[str]:
    """Ids, those of running exports first, each kind in the order given."""
    begun = frozenset(running)
    return sorted(ids, key=lambda each: each not in begun)


def _moves(before: Mapping[str, Any], after: Mapping[str, Any] | None) -> bool:
    """Whether an export is disabled, or counted for another catalog from now on."""
    return after is not None and (not _is_enabled(after) or _catalog(before) != _catalog(after))


def _take_present(enabled: EnabledExports, body: Mapping[str, Any]) -> None:
    with contextlib.suppress(ConflictError):  # of a time with another limit: it is there, and not counted
        enabled.take(_catalog(body))


def _is_enabled(body: Mapping[str, Any]) -> bool:
    return body.get("enabled", True) is True


def _catalog(body: Mapping[str, Any]) -> str | None:
    catalog = body.get("catalog")
    return catalog.lower() if isinstance(catalog, str) else None
