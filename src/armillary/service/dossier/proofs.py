# SPDX-License-Identifier: Apache-2.0
"""Log entries about what a dossier is about, with inclusion proofs: of its cases, products, images and releases.

Two catalogs may have an image of one id, and a release may be promoted for one catalog: of what is in the log about
these, a catalog's dossier has only what names that catalog, or none. The newest entries are taken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.errors import NotFoundError
from armillary.service.dossier.held import Sources, Subject
from armillary.wire.dossier.dossier import PROOFS
from armillary.wire.transparency.bundle import encode
from armillary.wire.transparency.entry import AUDIT, RELEASES, LogEntry

# Entries of a target, and of a log: a bundle takes a thousand.
OF_TARGET: Final = 50
OF_LOG: Final = 500


def proofs_of(sources: Sources, subject: Subject) -> dict[str, bytes]:
    """The proof of each log that has entries about it: name of the part -> bundle."""
    cases = [
        str(each.row.case_id)
        for each in sources.cases.list(subject.catalog, limit=1000).items
        if subject.scope.product_id in (None, each.row.product_id)
    ]
    products = [f"{each.catalog}/{each.name}" for each in subject.scope.products]
    images = {str(each.artifact_id) for each in subject.field.artifacts if each.catalog_id is not None}
    releases = [str(each.artifact_id) for each in subject.field.artifacts if each.catalog_id is None]
    own = _Own(sources, subject, images)
    found = {}
    for log, targets in ((AUDIT, [*cases, *products, *images, *releases]), (RELEASES, [*images, *releases])):
        numbers = _numbers(sources, own, log, targets)
        if numbers:
            found[PROOFS[log]] = encode(sources.logs.prove(log, numbers))
    return found


def _numbers(sources: Sources, own: _Own, log: str, targets: Iterable[str]) -> list[int]:
    found: set[int] = set()
    for target in targets:
        if len(found) >= OF_LOG:
            break
        try:
            numbers = sources.logs.numbers_of(log, target)[-OF_TARGET:]
        except NotFoundError:  # nothing was done to it
            continue
        entries = (sources.logs.entries(log, number, 1)[0] for number in numbers)
        found.update(each.number for each in entries if own.has(each))
    return sorted(found)[-OF_LOG:]


class _Own:
    """Which entries a dossier may have: all of the whole service's, those of a catalog that name no other one."""

    def __init__(self, sources: Sources, subject: Subject, images: Collection[str]) -> None:
        self._images = images
        self._is_whole = subject.is_whole
        self._names = {subject.scope.catalog, str(subject.scope.catalog_id)}
        every = sources.context.records.read(catalog_rows.catalogs)
        self._others = {name for each in every for name in (each.name, str(each.catalog_id))} - self._names

    def has(self, entry: LogEntry) -> bool:
        """Whether an entry may be in the dossier."""
        if self._is_whole:
            return True
        if entry.target in self._images and entry.detail.get("catalog") not in self._names:
            return False
        return not any(text.partition("/")[0] in self._others for text in _texts(entry.detail))


def _texts(value: Any) -> Iterator[str]:
    """Every text within a JSON value, names of members too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)
