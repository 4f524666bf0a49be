# SPDX-License-Identifier: Apache-2.0
"""Reads what bills of materials list, each document once, and holds it against the advisories in force.

Bills come with images and releases at any time, and those of before this was there wait as well: a look reads what was
not read yet, a document at a time. Until then the state of what has the bill is unknown.
A look does so for a while only, and the next one goes on: no upload holds up the watch and the planner, which look in
between.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from armillary.engines.records.advisories import components as component_rows, feeds as feed_rows
from armillary.engines.records.schema.advisory_rows import ComponentRow
from armillary.errors import ArmillaryError
from armillary.service.advisories.listed import ListedComponent, components_of
from armillary.service.advisories.matching import inflated, matched
from armillary.service.context.blobs import Blobs
from armillary.service.context.context import Context

# Components of one commit, and records that they are held against at once.
STEP: Final = 500
RECORDS_AT_ONCE: Final = 500


@dataclass(slots=True)
class _Rest:
    """What is left of a bill: its components from ``first`` on, and the numbers of those before."""

    digest: bytes
    listed: Sequence[ListedComponent]
    fault: str
    first: int = 0
    numbers: list[int] = field(default_factory=list)


class BillReading:
    """Reads bills of materials. The caller sees to it that no feed is imported meanwhile."""

    def __init__(self, context: Context, blobs: Blobs) -> None:
        self._context = context
        self._blobs = blobs
        self._left: _Rest | None = None

    def is_due(self) -> bool:
        """Whether a bill was not read yet."""
        return self._context.records.read(component_rows.unread_bill) is not None

    def run(self, within_s: float | None = None) -> int:
        """Read all bills that were not read yet, or as many as the time is enough for; returns how many."""
        done, begun = 0, time.monotonic()
        while (digest := self._context.records.read(component_rows.unread_bill)) is not None:
            left = None if within_s is None else within_s - (time.monotonic() - begun)
            if (left is not None and done and left <= 0) or not self._read(digest, left):
                break
            done += 1
        return done

    def tidy(self) -> None:
        """Forget documents that no bill names any more."""
        self._context.records.write(component_rows.remove_unnamed)

    def _read(self, digest: bytes, within_s: float | None) -> bool:
        """Read a bill; False if the time was not enough. What it had of components is kept, and not written again."""
        begun, rest = time.monotonic(), self._left
        if rest is None or rest.digest != digest:
            rest = self._listed(digest)
        self._left = None
        while rest.first < len(rest.listed):
            rest.numbers += self._keep(rest.listed[rest.first : rest.first + STEP])
            rest.first += STEP
            if within_s is not None and time.monotonic() - begun > within_s and rest.first < len(rest.listed):
                self._left = rest
                return False
        values = {
            "sha256": digest,
            "components": len(rest.listed),
            "unassessed": sum(bool(each.unassessed) for each in rest.listed),
            "fault": rest.fault,
            "read_at": self._context.now(),
        }
        self._context.records.write(lambda c: component_rows.add_content(c, values, rest.numbers))
        return True

    def _listed(self, digest: bytes) -> _Rest:
        try:
            return _Rest(digest, components_of(self._blobs.read(digest)), "")
        except ArmillaryError as error:  # a bill that is damaged is unknown, not without components
            return _Rest(digest, (), error.message[:512])

    def _keep(self, listed: Sequence[ListedComponent]) -> list[int]:
        """Record components and their pairs; what was compared before has its pairs already."""
        records = self._context.records
        kept = records.write(lambda c: component_rows.add_components(c, [each.row for each in listed]))
        fresh = [each for each in kept if not each.compared and not each.unassessed]
        rows = self._pairs(fresh)
        for start in range(0, len(rows), STEP):
            records.write(partial(component_rows.put_pairs, rows=rows[start : start + STEP]))
        if fresh:
            numbers = [each.component_id for each in fresh]
            records.write(lambda c: component_rows.set_compared(c, numbers))
        return [each.component_id for each in kept]

    def _pairs(self, fresh: Sequence[ComponentRow]) -> list[dict[str, Any]]:
        """How new components stand to the advisories in force about their packages."""
        packages = {(each.ecosystem, each.package) for each in fresh}
        held = self._context.records.read(lambda c: feed_rows.documents_about(c, packages))
        rows: dict[tuple[int, int], dict[str, Any]] = {}
        for start in range(0, len(held), RECORDS_AT_ONCE):
            # Two feeds may have a record of one id: each is held against the components by itself.
            waiting = held[start : start + RECORDS_AT_ONCE]
            while waiting:
                batch: dict[str, int] = {}
                advisories, later = [], []
                for number, feed, document in waiting:
                    advisory = inflated(document)
                    if advisory.id in batch:
                        later.append((number, feed, document))
                    else:
                        batch[advisory.id] = number
                        advisories.append(advisory)
                for name, found in matched(advisories, fresh).items():
                    for row in found:
                        rows[batch[name], row["component_id"]] = {**row, "version_id": batch[name]}
                waiting = later
        return list(rows.values())
