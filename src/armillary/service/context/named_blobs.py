# SPDX-License-Identifier: Apache-2.0
"""Blobs and the records that name them: kept while a record comes to name them, removed once none does.

A blob is written before the record that names it. Where that is refused the blob goes at once (:func:`kept`); where
the process dies in between it stays, and the next start removes it (:func:`collect`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from typing import Final

import structlog

from armillary.engines.records.queries import images as image_rows
from armillary.engines.records.store import Records
from armillary.errors import ArmillaryError
from armillary.service.context.blobs import Blobs

# No change takes so long between its blob and its record.
UNNAMED_S: Final = 24 * 3600

_log = structlog.get_logger("armillary.service.blobs")


@contextmanager
def kept(records: Records, blobs: Blobs, packages: Iterable[bytes]) -> Iterator[None]:
    """Keep packages while the records are changed to name them; where that is refused nothing of them stays."""
    by_digest = {sha256(package).digest(): package for package in packages}
    with ExitStack() as holding:
        for digest in sorted(by_digest):  # in one order: two that keep the same do not wait for each other
            holding.enter_context(blobs.held(digest))
        try:
            for package in by_digest.values():
                blobs.write(package)
            yield
        except ArmillaryError:
            for digest in by_digest:
                remove_unnamed(records, blobs, digest)
            raise


def remove_unnamed(records: Records, blobs: Blobs, digest: bytes) -> bool:
    """Remove a blob that nothing names; the caller holds it. Returns whether it is gone."""
    if records.read(lambda c: image_rows.names_blob(c, digest)):
        return False
    blobs.remove(digest)
    return True


def collect(records: Records, blobs: Blobs, now: float) -> int:
    """Remove the blobs that nothing names and that are older than :data:`UNNAMED_S`; returns how many there were.

    ``now`` is Unix seconds. All records are asked at once, and again for each blob before it goes.
    """
    old = blobs.written_before(now - UNNAMED_S)
    named = records.read(image_rows.named_blobs) if old else frozenset[bytes]()
    removed = 0
    for digest in old - named:
        with blobs.held(digest):
            removed += remove_unnamed(records, blobs, digest)
    if removed:
        _log.info("blobs that nothing names were removed", blobs=removed)
    return removed
