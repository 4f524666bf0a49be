# SPDX-License-Identifier: Apache-2.0
"""Log entries about what a dossier is about, with inclusion proofs: of its cases, products, images and releases.

Only entries whose target is of the catalog are in it, so that nothing of another catalog is. The newest are taken.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Final

from armillary.errors import NotFoundError
from armillary.service.dossier.held import Sources, Subject
from armillary.wire.dossier.dossier import PROOFS
from armillary.wire.transparency.bundle import encode
from armillary.wire.transparency.entry import AUDIT, RELEASES

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
    artifacts = [str(each.artifact_id) for each in subject.field.artifacts]
    found = {}
    for log, targets in ((AUDIT, [*cases, *products, *artifacts]), (RELEASES, artifacts)):
        numbers = _numbers(sources, log, targets)
        if numbers:
            found[PROOFS[log]] = encode(sources.logs.prove(log, numbers))
    return found


def _numbers(sources: Sources, log: str, targets: Iterable[str]) -> list[int]:
    found: set[int] = set()
    for target in targets:
        if len(found) >= OF_LOG:
            break
        try:
            found.update(sources.logs.numbers_of(log, target)[-OF_TARGET:])
        except NotFoundError:  # nothing was done to it
            continue
    return list(itertools.islice(sorted(found, reverse=True), OF_LOG))
