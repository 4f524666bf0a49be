# SPDX-License-Identifier: Apache-2.0
"""Findings of the kind ``support-ending``: 180, 90 and 30 days before a product's support ends, and when it is over.

Each is made once for an end that is declared, in the transaction that looked whether it was made before. The one of the
stage before is closed with it, and all are closed when another end is declared.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import catalogs as catalog_rows, findings as finding_rows
from armillary.engines.records.queries.catalogs import ENDING_S
from armillary.engines.records.schema.rows import Product
from armillary.service.context.context import Context
from armillary.service.registry.product_facts import DAY_S
from armillary.service.watch.detections import Observation
from armillary.service.watch.watch import record

KIND: Final = "support-ending"
EVERY_S: Final = 300  # days matter here; a declaration is heard soon
# Days before the end -> severity; 0 is the end itself.
STAGES: Final[tuple[tuple[int, str], ...]] = ((180, "low"), (90, "medium"), (30, "high"), (0, "high"))


class SupportEnds:
    """Looks at declared ends of support, every five minutes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._looked_at: int | None = None

    def begin_anew(self) -> None:
        """Look at the next call, however short a time ago that was done."""
        self._looked_at = None

    def look(self) -> int:
        """Make the findings that are due, and close those that no longer hold; returns how many were made."""
        now = self._context.now()
        if self._looked_at is not None and 0 <= now - self._looked_at < EVERY_S:
            return 0
        self._looked_at = now
        due, stale = self._context.records.read(partial(_due, now=now))
        if not due and not stale:
            return 0
        return self._context.records.write(partial(_settle, due=due, stale=stale, now=now))


def _due(connection: Connection, now: int) -> tuple[list[Product], frozenset[str]]:
    """Products whose support ends soon or is over and nobody was told, and living findings that hold no more."""
    every = catalog_rows.every_product(connection)
    ending = [each for each in every if each.support_ends is not None and each.support_ends - now <= ENDING_S]
    holding = {_observation(each, stage, 0, now).fingerprint for each in ending for stage in [_stage(each, now)]}
    living = finding_rows.living_of_kind(connection, KIND)
    fresh = [
        each
        for each in ending
        if finding_rows.gravest(connection, _observation(each, _stage(each, now), 0, now).fingerprint) is None
    ]
    return fresh, frozenset(living) - holding


def _settle(connection: Connection, due: list[Product], stale: frozenset[str], now: int) -> int:
    for fingerprint in stale:
        finding_rows.close_open(connection, fingerprint)
    counts = catalog_rows.devices_of_products(connection, [each.product_id for each in due])
    made = 0
    for each in due:
        seen = _observation(each, _stage(each, now), counts.get(each.product_id, 0), now)
        if finding_rows.gravest(connection, seen.fingerprint) is None:
            record(connection, seen, now)
            made += 1
    return made


def _stage(product: Product, now: int) -> tuple[int, str]:
    """The last stage that was reached, of a product whose support ends within the first one's days."""
    left = (product.support_ends or 0) - now
    return [stage for stage in STAGES if left <= stage[0] * DAY_S][-1]


def _observation(product: Product, stage: tuple[int, str], devices: int, now: int) -> Observation:
    ends, (days, severity) = product.support_ends or 0, stage
    day = datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%d")
    left = (ends - now) // DAY_S
    says = f"has ended on {day}" if days == 0 else f"ends on {day}, in {left} days"
    return Observation(
        kind=KIND,
        key=(str(product.product_id), str(ends), str(days)),
        severity=severity,
        title=f"Support of product {product.name} {says}",
        cause=f"{product.catalog}/{product.name} has {devices} devices, and security updates are declared until {day}.",
        proposed_action="Tell its users until when it gets updates, or declare another end: armillary product update "
        f"--product {product.name!r} --support-ends DATE. Its devices: armillary device list --support "
        + ("ended." if days == 0 else "ending."),
        at=now,
        catalog_id=product.catalog_id,
    )
